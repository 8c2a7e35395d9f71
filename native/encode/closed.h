// Leave-one-out and generalised cross-validation errors of every alpha, in closed form.
#pragma once
#include "inner.h"

namespace cortune {

// With H the hat matrix of ridge with unpenalised intercept, row weights w and r~ = sqrt(w) (y - yhat):
//   leave-one-out  sum_i (r~_i / (1 - H_ii))^2 / sum w      (Allen 1974; Cook & Weisberg 1982, sec. 2.2)
//   generalised    sum_i r~_i^2 / sum w / (1 - trace(H) / n)^2      (Golub, Heath & Wahba 1979)
class ClosedErrors {
 public:
  ClosedErrors() = default;
  // `fit` of all training rows, `dual` or primal; `weights` [n] or undefined.
  ClosedErrors(const Refit& fit, bool dual, const at::Tensor& weights, const at::Tensor& alphas,
               bool generalised);
  at::Tensor errors(const at::Tensor& y) const;  // [w, n] -> [A, w] float64

 private:
  bool generalised_ = false;
  at::Tensor alphas_, roots_, mean_, total_;
  at::Tensor values_, vectors_;  // [k], [n, k]: scaled, centred rows are  vectors diag(sqrt(values)) V^T
  at::Tensor spare_;             // [A, n]: 1 - H_ii, or (generalised) [A, 1]: its mean
};

}  // namespace cortune
