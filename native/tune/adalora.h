// AdaLoRA (Zhang et al. 2023, arXiv:2303.10512): y = x W^T + s drop(x) (E A)^T B^T with E diagonal; the least
// important entries of E are set to zero as training goes, so that ranks end where they matter. A term of the
// loss keeps rows of A and columns of B orthogonal.
#pragma once
#include "dropout.h"
#include "method.h"

namespace cortune {

// Lanes: `alpha`, `dropout`. Options: `initial_rank`, `target_rank` (mean rank at the end), `tinit` and
// `tfinal` (steps before the first and after the last allocation), `delta_t` (steps between two),
// `sensitivity` and `uncertainty` (shares of the past in the smoothed scores), `orthogonality` (weight of the
// term). List `ranks`: one a target, of an adapter whose ranks were allocated before; then none is taken
// away.
class AdaLora : public Method {
 public:
  AdaLora(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<AdaLora>(*this); }

  std::optional<LinearEffect> linear(const std::string& module) const override;
  at::Tensor penalty() const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;
  // Without the ranks that were taken away; `rank_pattern.MODULE` [r] says with 1 which were kept.
  NamedTensors saved(int64_t lane) const override;
  void before_step(int64_t step, int64_t steps) override;
  void after_step(const Update& update) override;

 protected:
  void keep_more(const std::vector<int64_t>& lanes) override;

 private:
  // A trained factor, and the smoothed sensitivity |w dL/dw| of its entries and its uncertainty.
  struct Factor {
    at::Tensor value, sensitivity, uncertainty;
  };
  struct Triplet {
    Factor a;         // [k, r, in]
    Factor b;         // [k, r, out]
    Factor e;         // [k, r, 1]
    at::Tensor kept;  // [k, r, 1]: 1, or 0 for a rank that was taken away
  };
  Factor factor(at::Tensor value) const;
  void add(const std::string& module, const at::Tensor& weight, int64_t rank,
           std::vector<at::Generator>& draws);
  void score(Factor& factor, const Update& update) const;
  at::Tensor importance(const Triplet& triplet) const;  // [k, r]
  int64_t budget(int64_t step, int64_t steps) const;
  void allocate(int64_t budget);
  void mask();

  std::map<std::string, Triplet> triplets_;  // by module
  at::Tensor scale_;                         // [k, 1, 1]
  LaneDropout dropout_;
  int64_t initial_budget_ = 0, target_budget_ = 0;
  bool allocated_before_ = false;
};

}  // namespace cortune
