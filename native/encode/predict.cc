// Grouping by alpha, or filtering in the eigenvectors.
#include "predict.h"

#include <algorithm>
#include <numeric>

#include "parallel.h"

namespace cortune {
namespace {

// float64 products run at about this share of the speed of float32 ones.
constexpr double kSlowSetup = 2.5;

bool grouping_is_cheaper(const Factor& factor, double n, double used, double t, bool single) {
  const double k = factor.values.size(0), m = factor.basis.size(0), trained = factor.project.size(1);
  const double grouped = used * 2 * m * trained * k * (single ? kSlowSetup : 1) + 2 * m * n * t;
  return grouped < 2 * k * (n + m) * t && used * m * n * 8 <= kFitBytes;
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

Predictor::Predictor(std::vector<PanelMatrix> matrices, int64_t m, const at::Tensor& train)
    : single_(true),
      m_(m),
      train_(train.data_ptr<int64_t>(), train.data_ptr<int64_t>() + train.numel()),
      packed_(std::move(matrices)) {}

at::Tensor Predictor::predict(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
  return single_ ? predict_single(y, chosen) : predict_double(y, chosen);
}

at::Tensor Predictor::predict_single(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
  auto out = at::empty({y.size(0), m_}, at::kFloat);
  const auto groups = group_panels(chosen);
  const auto panels = make_panels(y, groups.targets);
  auto predicted = at::empty({panels.size(0), m_, kPanelWidth}, at::kFloat);
  std::vector<float> work;
  for (int64_t p = 0; p < panels.size(0); ++p) {
    const float* found = predict_panel(panels.data_ptr<float>() + p * panels.size(1) * kPanelWidth,
                                       train_.data(), groups.numbers[p], work);
    std::copy_n(found, m_ * kPanelWidth, predicted.data_ptr<float>() + p * m_ * kPanelWidth);
  }
  unpack_panels(predicted, groups.targets, out);
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
  for (int64_t a = 0; a < static_cast<int64_t>(operators_.size()); ++a) {
    std::vector<int64_t> own;
    for (size_t j = 0; j < chosen.size(); ++j)
      if (chosen[j] == a) own.push_back(static_cast<int64_t>(j));
    if (own.empty()) continue;
    const auto places = at::tensor(own, at::kLong);
    out.index_copy_(0, places, at::mm(y.index_select(0, places), operators_[a]));
  }
  return out;
}

}  // namespace cortune
