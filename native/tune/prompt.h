// Prompt tuning (Lester et al. 2021, arXiv:2104.08691): trained word embeddings before every sequence.
#pragma once
#include "method.h"

namespace cortune {

// Option `tokens`: P. Each lane begins random, as nn.Embedding (normal(0, 1)), or at the word embeddings of
// the P ids that list `ids` names, the same for all or P for each lane (initialisation by a text or a sample
// of the vocabulary).
class PromptTuning : public Method {
 public:
  PromptTuning(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<PromptTuning>(*this); }

  at::Tensor prompt() const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;

 private:
  at::Tensor tokens_;  // [k, P, C]
};

}  // namespace cortune
