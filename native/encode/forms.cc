// One panel product for each matrix.
#include "forms.h"

#include <cmath>

#include "../error.h"
#include "design.h"

namespace cortune {

at::Tensor triangle(const at::Tensor& residuals) {
  auto g = gram(residuals.t());  // [n, n]
  // E^T E is singular (constants leave no residual): far below what float32 holds, a ridge makes it positive.
  double lift = 1e-14 * g.diagonal().max().item<double>();
  for (int tries = 0; tries < 12; ++tries, lift *= 10) {
    g.diagonal().add_(lift);
    auto [lower, info] = at::linalg_cholesky_ex(g);
    if (info.item<int>() == 0) return lower.t();
  }
  fail(Code::kNumeric,
       "Expected held-out errors to be sums of squares, and rounding made them none. The features differ by "
       "too many "
       "orders of magnitude; z-score them.");
}

at::Tensor joined_form(const std::vector<at::Tensor>& residuals) {
  std::vector<at::Tensor> rows;
  for (const auto& own : residuals)
    rows.push_back(own / std::sqrt(static_cast<double>(own.size(0) * residuals.size())));
  return triangle(at::cat(rows, 0));
}

SquareForms::SquareForms(const std::vector<at::Tensor>& factors, bool triangular) {
  for (const auto& factor : factors) factors_.emplace_back(factor, triangular);
}

at::Tensor SquareForms::evaluate(const at::Tensor& panels, int64_t w) const {
  const int64_t K = static_cast<int64_t>(factors_.size()), width = panels.size(0) * kPanelWidth;
  auto sums = at::zeros({K, width}, at::kDouble);
  for (int64_t k = 0; k < K; ++k)
    factors_[k].add_squares(panels, nullptr, sums.data_ptr<double>() + k * width);
  return sums.slice(1, 0, w);
}

}  // namespace cortune
