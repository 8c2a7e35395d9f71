// Sums of squares |C_k y|^2 of many targets y for a few matrices C_k: what every held-out error comes down
// to.
#pragma once
#include "panels.h"

namespace cortune {

// Residuals of folds, maps [rows, n] each -> upper triangular C [n, n] with |C y|^2 the mean over folds of
// the mean square of their rows' residuals of y.
at::Tensor joined_form(const std::vector<at::Tensor>& residuals);
// The same of residuals whose rows are weighted already [rows, n].
at::Tensor triangle(const at::Tensor& residuals);

class SquareForms {
 public:
  SquareForms() = default;
  // `factors`: K matrices [rows, n] of one size; of upper triangular ones (`triangular`) the zeros are left
  // out.
  SquareForms(const std::vector<at::Tensor>& factors, bool triangular);

  // Panels [P, n, 32] of w targets (panels.h) -> [K, w]; products in float32, squares summed in float64.
  at::Tensor evaluate(const at::Tensor& panels, int64_t w) const;

 private:
  std::vector<PanelMatrix> factors_;
};

}  // namespace cortune
