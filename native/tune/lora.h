// LoRA (Hu et al. 2021, arXiv:2106.09685): y = x W^T + (alpha / r) x A^T B^T, with A [r, in] and B [out, r]
// trained, W frozen.
#pragma once
#include "method.h"

namespace cortune {

// K lanes stacked: A [K, r, in], B [K, out, r], r the largest rank. A lane of lower rank has its last rows of
// A and columns of B at zero, where they stay: the gradient of each is a product with the other.
class Lora : public Method {
 public:
  Lora(const Model& model, std::vector<LaneSpec> lanes, const std::vector<std::string>& targets);

  at::Tensor linear(const std::string& name, const at::Tensor& x, const at::Tensor& y) const override;
  std::vector<at::Tensor> trainable() const override;
  NamedTensors state(int64_t lane) const override;

 private:
  struct Pair {
    at::Tensor a;  // [K, r, in]
    at::Tensor b;  // [K, out, r]
  };
  std::map<std::string, Pair> pairs_;  // by module
  at::Tensor scale_;                   // [K, 1, 1]: alpha / rank
};

}  // namespace cortune
