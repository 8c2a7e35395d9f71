// The trained head of sequence objectives: a linear layer on the one state that stands for a sequence, one
// for each lane, as transformers' models "ForSequenceClassification" have it.
#pragma once
#include <string>
#include <vector>

#include "../model/model.h"

namespace cortune {

class Head {
 public:
  // `seeds`: one a lane. Weights normal(0, initializer_range), bias zero, as transformers draws them.
  Head(const Model& model, int64_t outputs, const std::vector<uint64_t>& seeds);

  int64_t outputs() const { return weight_.size(1); }
  // What stands for a sequence is its first token (encoders, through the pooler) or its last.
  static bool pools_first(const Model& model) { return !model.causal(); }
  // x [1 or K, M, C] -> [K, M, outputs]
  at::Tensor apply(const at::Tensor& x) const;

  // Every trained tensor, by reference.
  void visit(const std::function<void(at::Tensor& stack)>& visit);
  // Views of one lane's tensors under transformers' names: `score.weight`; `classifier.weight` and `.bias`.
  std::vector<std::pair<std::string, at::Tensor>> state(int64_t lane) const;
  void keep(const std::vector<int64_t>& lanes);

 private:
  std::string name_;
  at::Tensor weight_;  // [K, outputs, C]
  at::Tensor bias_;    // [K, 1, outputs]; undefined for causal models
};

}  // namespace cortune
