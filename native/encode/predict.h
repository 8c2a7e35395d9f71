// Fits at the alpha chosen for each target.
#pragma once
#include "factor.h"

namespace cortune {

// Predictions (or weights: whatever the rows of `factor.basis` are) without intercept. One of two ways, by
// cost: a matrix [m, n] for each alpha in use, or every target through the eigenvectors.
class Predictor {
 public:
  Predictor() = default;
  // `train` [n']: places of the factor's training rows among the n columns of y. `used`: which alphas some
  // target chose. Computes in `dtype`.
  Predictor(const Factor& factor, const at::Tensor& train, int64_t n, const at::Tensor& alphas,
            const std::vector<bool>& used, int64_t targets, at::ScalarType dtype);

  // y [w, n]; chosen [w]: numbers of alphas, none below 0 -> [w, m].
  at::Tensor predict(const at::Tensor& y, const std::vector<int64_t>& chosen) const;

 private:
  at::Tensor grouped(const at::Tensor& y, const std::vector<int64_t>& chosen) const;

  at::Tensor filters_;                 // [A, k]
  at::Tensor project_, basis_;         // [n, k], [k, m]
  std::vector<at::Tensor> operators_;  // [n, m] for each alpha in use; empty for the way through eigenvectors
};

}  // namespace cortune
