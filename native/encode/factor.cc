// Eigendecompositions and the filters 1 / (l + alpha).
#include "factor.h"

#include <limits>

namespace cortune {

Spectrum eigendecompose(const at::Tensor& symmetric, int64_t size) {
  auto [values, vectors] = at::linalg_eigh(symmetric);
  const double largest = values.numel() > 0 ? std::max(0.0, values[-1].item<double>()) : 0.0;
  return {values, vectors, largest * static_cast<double>(size) * std::numeric_limits<double>::epsilon()};
}

namespace {

// The first kept position; values ascend.
int64_t first_above(const at::Tensor& values, double floor) {
  const double* l = values.data_ptr<double>();
  int64_t from = 0;
  while (from < values.numel() && !(l[from] > floor)) ++from;
  return from;
}

}  // namespace

Factor dual_factor(const Spectrum& spectrum, const at::Tensor& cross) {
  const int64_t from = first_above(spectrum.values, spectrum.floor);
  const auto vectors = spectrum.vectors.slice(1, from);
  return {spectrum.values.slice(0, from), vectors.t(), at::mm(cross, vectors), vectors};
}

Factor primal_factor(const at::Tensor& train, const at::Tensor& test) {
  const auto spectrum = eigendecompose(at::mm(train.t(), train), std::max(train.size(0), train.size(1)));
  const int64_t from = first_above(spectrum.values, spectrum.floor);
  const auto vectors = spectrum.vectors.slice(1, from);
  return {spectrum.values.slice(0, from), at::mm(vectors.t(), train.t()), at::mm(test, vectors), vectors};
}

Factor weighted_primal_factor(const at::Tensor& train, const at::Tensor& test, const at::Tensor& roots) {
  auto factor = primal_factor(train * roots.unsqueeze(1), test);
  factor.project = factor.project * roots;
  return factor;
}

Factor weighted_dual_factor(const at::Tensor& block, const at::Tensor& cross, const at::Tensor& roots) {
  const auto spectrum = eigendecompose(block * roots.unsqueeze(1) * roots, block.size(0));
  auto factor = dual_factor(spectrum, cross * roots);
  factor.project = factor.project * roots;
  factor.vectors = factor.vectors * roots.unsqueeze(1);
  return factor;
}

at::Tensor filters(const Factor& factor, const at::Tensor& alphas) {
  return (factor.values.unsqueeze(1) + alphas.unsqueeze(0)).reciprocal();
}

at::Tensor predict_path(const Factor& factor, const at::Tensor& y, const at::Tensor& alphas) {
  const auto filtered =
      filters(factor, alphas).unsqueeze(2) * at::mm(factor.project, y).unsqueeze(1);  // [k, A, t]
  const int64_t k = factor.values.size(0), A = alphas.size(0), t = y.size(1), m = factor.basis.size(0);
  return at::mm(factor.basis, filtered.reshape({k, A * t})).view({m, A, t});  // [m, A, t]
}

at::Tensor predict_chosen(const Factor& factor, const at::Tensor& y, const at::Tensor& alpha) {
  const auto filtered =
      at::mm(factor.project, y) / (factor.values.unsqueeze(1) + alpha.unsqueeze(0));  // [k, t]
  return at::mm(factor.basis, filtered);                                              // [m, t]
}

}  // namespace cortune
