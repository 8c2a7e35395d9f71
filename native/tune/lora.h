// LoRA (Hu et al. 2021, arXiv:2106.09685): y = x W^T + s drop(x) A^T B^T, with A [r, in] and B [out, r]
// trained, W frozen, s = alpha / r. rsLoRA (Kalajdzievski 2023, arXiv:2312.03732): s = alpha / sqrt(r). DoRA
// (Liu et al. 2024, arXiv:2402.09353): the rows of W + s B A are scaled to trained lengths m.
#pragma once
#include "dropout.h"
#include "own_parameters.h"

namespace cortune {

// k lanes stacked: A [k, r, in], B^T [k, r, out], r the largest rank. A lane of lower rank has its last rows
// of both at zero, where they stay: the gradient of each is a product with the other. Lanes: `rank`, `alpha`,
// `dropout`. Options: `ranks`, `alphas` (one a target, instead of the lanes'), `rslora`, `dora`, `init` (see
// lora_init.h), `biases` (parameters that are trained too), `b_rate` (LoRA+: times the learning rate for B).
class Lora : public Method {
 public:
  Lora(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<Lora>(*this); }

  at::Tensor parameter(const std::string& name) const override;
  std::optional<LinearEffect> linear(const std::string& module) const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;
  // Where the first factors were taken from the base, they lie beside the trained ones, B with its sign
  // turned: a plain LoRA of twice the rank, as PEFT converts such adapters.
  NamedTensors saved(int64_t lane) const override;
  void before_step(int64_t step, int64_t steps) override;

 protected:
  void keep_more(const std::vector<int64_t>& lanes) override;

 private:
  struct Pair {
    at::Tensor a;                // [k, r, in]
    at::Tensor b;                // [k, r, out]
    at::Tensor scale;            // [k, 1, 1]
    std::vector<int64_t> ranks;  // of each lane
    at::Tensor a0, b0;           // the first factors, where they were taken from the base: constants
    at::Tensor weight;           // W, for DoRA
    at::Tensor squares;          // of its rows, summed [out]
    at::Tensor magnitude;        // m [k, 1, out]
  };
  Pair make_pair(const at::Tensor& weight, size_t target, std::vector<at::Generator>& draws) const;
  void fill(Pair& pair, int64_t lane, double alpha, const at::Tensor& weight, at::Generator draws) const;
  at::Tensor whole_a(const Pair& pair) const;  // [k, r or 2 r, in]
  at::Tensor whole_b(const Pair& pair) const;
  at::Tensor lengths(const Pair& pair) const;  // of the rows of W + s B A [k, 1, out]

  std::map<std::string, Pair> pairs_;  // by module
  OwnParameters biases_;
  LaneDropout dropout_;
};

}  // namespace cortune
