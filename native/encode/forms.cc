// One panel product for each matrix.
#include "forms.h"

namespace cortune {

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
