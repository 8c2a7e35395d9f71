// LoRA (Hu et al. 2021, arXiv:2106.09685): y = x W^T + s drop(x) A^T B^T, with A [r, in] and B [out, r]
// trained, W frozen, s = alpha / r. rsLoRA (Kalajdzievski 2023, arXiv:2312.03732): s = alpha / sqrt(r).
#pragma once
#include "own_parameters.h"

namespace cortune {

// k lanes stacked: A [k, r, in], B^T [k, r, out], r the largest rank. A lane of lower rank has its last rows
// of both at zero, where they stay: the gradient of each is a product with the other. Lanes: `rank`, `alpha`,
// `dropout`. Options: `ranks`, `alphas` (one a target, instead of the lanes'), `rslora`, `biases` (parameters
// that are trained too), `b_rate` (LoRA+: times the learning rate for B).
class Lora : public Method {
 public:
  Lora(const Model& model, MethodSpec spec);

  at::Tensor parameter(const std::string& name) const override;
  std::optional<LinearEffect> linear(const std::string& module) const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;

 protected:
  struct Pair {
    at::Tensor a;                // [k, r, in]
    at::Tensor b;                // [k, r, out]
    at::Tensor scale;            // [k, 1, 1]
    std::vector<int64_t> ranks;  // of each lane
  };
  void keep_more(const std::vector<int64_t>& lanes) override;

  std::map<std::string, Pair> pairs_;  // by module

 private:
  Pair make_pair(const at::Tensor& weight, size_t target, std::vector<at::Generator>& draws) const;
  at::Tensor draw_mask(int64_t rows, int64_t width) const;

  OwnParameters biases_;
  mutable std::vector<at::Generator> dropout_draws_;  // one a lane
};

}  // namespace cortune
