// VeRA (Kopiczko et al. 2023, arXiv:2310.11454): y = x W^T + b * (B (d * (A drop(x)))), with A and B random,
// frozen and shared by all modules (each takes its corner of them), d [r] and b [out] trained.
#pragma once
#include "dropout.h"
#include "own_parameters.h"

namespace cortune {

// Lanes: `dropout`, `d_initial`. Options: `rank`; `projection_seed`, which draws A and B as PEFT does;
// `save_projection`; `biases` (parameters that are trained too).
class Vera : public Method {
 public:
  Vera(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<Vera>(*this); }

  at::Tensor parameter(const std::string& name) const override;
  std::optional<LinearEffect> linear(const std::string& module) const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;
  void before_step(int64_t step, int64_t steps) override;

 protected:
  void keep_more(const std::vector<int64_t>& lanes) override;

 private:
  struct Scales {
    at::Tensor d;  // [k, r, 1]
    at::Tensor b;  // [k, 1, out]
    int64_t in;
  };
  std::map<std::string, Scales> scales_;  // by module
  at::Tensor a_;                          // [r, largest in]
  at::Tensor b_;                          // [largest out, r]
  at::Tensor one_;                        // [k, 1, 1]
  OwnParameters biases_;
  LaneDropout dropout_;
};

}  // namespace cortune
