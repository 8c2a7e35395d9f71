// Visual prompt tuning (Jia et al. 2022, arXiv:2203.12119): trained states beside the patches of every image.
#pragma once
#include "method.h"

namespace cortune {

// Option `tokens`: P. Shallow: P states before the first block. Option `deep`: fresh ones for every block,
// which take the place of what the block before made of its own. Each begins uniform in +-sqrt(6 / (c p^2 +
// C)) for patches of c p^2 numbers and states of C, as the paper's code draws them.
class VisualPrompts : public Method {
 public:
  VisualPrompts(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<VisualPrompts>(*this); }

  at::Tensor prompt() const override;
  at::Tensor deep_prompt() const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;

 private:
  at::Tensor tokens_;  // [k, P, C]
  at::Tensor deep_;    // [k, L - 1, P, C]; undefined for shallow ones
};

}  // namespace cortune
