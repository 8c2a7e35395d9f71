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
                     const std::vector<bool>& used, int64_t targets, at::ScalarType dtype)
    : single_(dtype == at::kFloat), m_(factor.basis.size(0)) {
  const double count = static_cast<double>(std::count(used.begin(), used.end(), true));
  const int64_t k = factor.values.size(0), trained = train.size(0);
  filters_ = filters(factor, alphas).t().contiguous();  // [A, k]
  for (int64_t i = 0; i < trained; ++i) train_.push_back(static_cast<int32_t>(train.data_ptr<int64_t>()[i]));
  // Columns of zeros for rows that are not trained on; panels take the rows they need.
  const double columns = static_cast<double>(single_ ? trained : n);
  const auto widened = [&](const at::Tensor& matrix) {
    auto out = at::zeros({n, matrix.size(0)}, matrix.options());
    return out.index_copy_(0, train, matrix.t());
  };
  if (!grouping_is_cheaper(factor, columns, count, static_cast<double>(targets), single_)) {
    if (single_) {
      packed_project_ = PanelMatrix(factor.project);
      packed_basis_ = PanelMatrix(factor.basis);
      filters_ = filters_.to(dtype);
    } else {
      project_ = widened(factor.project);
      basis_ = factor.basis.t().contiguous();
    }
    return;
  }
  if (single_)
    packed_.resize(used.size());
  else
    operators_.resize(used.size());
  each(static_cast<int64_t>(used.size()), [&](int64_t a) {
    if (!used[a]) return;
    const auto op = k == 0 ? at::zeros({m_, trained}, at::kDouble)
                           : at::mm(factor.basis * filters_[a], factor.project);  // [m, n']
    if (single_)
      packed_[a] = PanelMatrix(op);
    else
      operators_[a] = widened(op);
  });
}

at::Tensor Predictor::predict(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
  return single_ ? predict_single(y, chosen) : predict_double(y, chosen);
}

Predictor::Groups Predictor::groups_of(const std::vector<int64_t>& chosen) {
  const int64_t w = static_cast<int64_t>(chosen.size());
  Groups out;
  out.order.resize(w);
  std::iota(out.order.begin(), out.order.end(), 0);
  std::stable_sort(out.order.begin(), out.order.end(),
                   [&](int64_t a, int64_t b) { return chosen[a] < chosen[b]; });
  for (int64_t from = 0, to = 0; from < w; from = to) {
    while (to < w && chosen[out.order[to]] == chosen[out.order[from]]) ++to;
    out.ranges.emplace_back(from, to);
  }
  return out;
}

at::Tensor Predictor::predict_single(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
  auto out = at::empty({y.size(0), m_}, at::kFloat);
  if (!grouped()) {
    const int64_t w = y.size(0), k = filters_.size(1);
    auto own = at::zeros({(w + kPanelWidth - 1) / kPanelWidth * kPanelWidth, k}, at::kFloat);
    own.slice(0, 0, w) = filters_.index_select(0, at::tensor(chosen, at::kLong));
    auto z = packed_project_.times(make_panels(y), train_.data());  // [P, k, 32]
    z *= own.view({-1, kPanelWidth, k}).transpose(1, 2);
    unpack_panels(packed_basis_.times(z), w, nullptr, out);
    return out;
  }
  const auto groups = groups_of(chosen);
  for (const auto& [from, to] : groups.ranges) {
    const int64_t* order = groups.order.data() + from;
    const auto panels = make_panels(y, order, to - from);
    unpack_panels(packed_[chosen[order[0]]].times(panels, train_.data()), to - from, order, out);
  }
  return out;
}

const float* Predictor::predict_panel(const float* panel, const int32_t* rows, int64_t alpha,
                                      std::vector<float>& work) const {
  if (grouped()) {
    work.resize(static_cast<size_t>(packed_[alpha].padded() * kPanelWidth));
    packed_[alpha].times(panel, rows, work.data());
    return work.data();
  }
  const int64_t along = packed_project_.padded() * kPanelWidth;
  work.resize(static_cast<size_t>(along + packed_basis_.padded() * kPanelWidth));
  packed_project_.times(panel, rows, work.data());
  const float* filter = filters_.data_ptr<float>() + alpha * filters_.size(1);
  for (int64_t i = 0; i < filters_.size(1); ++i)
    for (int64_t j = 0; j < kPanelWidth; ++j) work[i * kPanelWidth + j] *= filter[i];
  packed_basis_.times(work.data(), nullptr, work.data() + along);
  return work.data() + along;
}

at::Tensor Predictor::predict_double(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
  if (!grouped()) {
    const auto z = at::mm(y, project_) * filters_.index_select(0, at::tensor(chosen, at::kLong));  // [w, k]
    return at::mm(z, basis_);                                                                      // [w, m]
  }
  auto out = at::empty({y.size(0), m_}, y.options());
  const auto groups = groups_of(chosen);
  for (const auto& [from, to] : groups.ranges) {
    const auto places =
        at::tensor(std::vector<int64_t>(groups.order.begin() + from, groups.order.begin() + to), at::kLong);
    out.index_copy_(0, places, at::mm(y.index_select(0, places), operators_[chosen[groups.order[from]]]));
  }
  return out;
}

}  // namespace cortune
