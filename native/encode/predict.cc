// Grouping by alpha, or filtering in the eigenvectors.
#include "predict.h"

#include <algorithm>
#include <numeric>

#include "parallel.h"

namespace cortune {
namespace {

// float64 products run at about this share of the speed of float32 ones.
constexpr double kSlowSetup = 2.5;
// Largest size of all matrices of the grouped way.
constexpr double kOperatorBytes = 256e6;

bool grouping_is_cheaper(const Factor& factor, double n, double used, double t, bool single) {
  const double k = factor.values.size(0), m = factor.basis.size(0), trained = factor.project.size(1);
  const double grouped = used * 2 * m * trained * k * (single ? kSlowSetup : 1) + 2 * m * n * t;
  return grouped < 2 * k * (n + m) * t && used * m * n * 8 <= kOperatorBytes;
}

}  // namespace

Predictor::Predictor(const Factor& factor, const at::Tensor& train, int64_t n, const at::Tensor& alphas,
                     const std::vector<bool>& used, int64_t targets, at::ScalarType dtype) {
  const double count = static_cast<double>(std::count(used.begin(), used.end(), true));
  const int64_t k = factor.values.size(0), m = factor.basis.size(0);
  filters_ = filters(factor, alphas).t().contiguous();  // [A, k]
  auto project = at::zeros({n, k}, factor.values.options());
  project.index_copy_(0, train, factor.project.t());
  if (!grouping_is_cheaper(factor, static_cast<double>(n), count, static_cast<double>(targets),
                           dtype == at::kFloat)) {
    project_ = project.to(dtype);
    basis_ = factor.basis.t().to(dtype).contiguous();
    filters_ = filters_.to(dtype);
    return;
  }
  operators_.resize(used.size());
  each(static_cast<int64_t>(used.size()), [&](int64_t a) {
    if (!used[a]) return;
    operators_[a] = k == 0 ? at::zeros({n, m}, dtype)
                           : at::mm(project, (factor.basis * filters_[a]).t()).to(dtype);  // [n, m]
  });
}

at::Tensor Predictor::predict(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
  if (!operators_.empty()) return grouped(y, chosen);
  const auto z = at::mm(y, project_) * filters_.index_select(0, at::tensor(chosen, at::kLong));  // [w, k]
  return at::mm(z, basis_);                                                                      // [w, m]
}

at::Tensor Predictor::grouped(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
  const int64_t w = y.size(0);
  std::vector<int64_t> order(w);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return chosen[a] < chosen[b]; });
  const auto places = at::tensor(order, at::kLong);
  const auto sorted = y.index_select(0, places);
  at::Tensor out;
  for (int64_t from = 0, to = 0; from < w; from = to) {
    const auto& op = operators_[chosen[order[from]]];
    if (!out.defined()) out = at::empty({w, op.size(1)}, y.options());
    while (to < w && chosen[order[to]] == chosen[order[from]]) ++to;
    auto rows = out.slice(0, from, to);
    at::mm_out(rows, sorted.slice(0, from, to), op);
  }
  auto placed = at::empty_like(out);
  return placed.index_copy_(0, places, out);
}

}  // namespace cortune
