// Centring and scaling in float64, and the Gram matrix.
#include "design.h"

#include <cmath>

namespace cortune {
namespace {

struct ColumnScale {
  std::vector<double> mean;
  std::vector<double> factor;  // 0 where the column is constant
};

// Row-wise passes, so that memory is read in order. Two passes: sums of squares of raw values would cancel.
ColumnScale column_scale(const float* layer, int64_t p, const std::vector<int64_t>& rows, bool zscore) {
  ColumnScale scale{std::vector<double>(p, 0.0), std::vector<double>(p, 0.0)};
  std::vector<uint8_t> varies(p, 0);
  const float* first = layer + rows.front() * p;
  for (const int64_t row : rows) {
    const float* x = layer + row * p;
    for (int64_t c = 0; c < p; ++c) {
      scale.mean[c] += x[c];
      varies[c] |= x[c] != first[c];
    }
  }
  const double n = static_cast<double>(rows.size());
  for (auto& mean : scale.mean) mean /= n;
  if (zscore) {
    for (const int64_t row : rows) {
      const float* x = layer + row * p;
      for (int64_t c = 0; c < p; ++c) scale.factor[c] += (x[c] - scale.mean[c]) * (x[c] - scale.mean[c]);
    }
    for (auto& factor : scale.factor) factor = 1.0 / std::sqrt(factor / n);
  } else {
    std::fill(scale.factor.begin(), scale.factor.end(), 1.0);
  }
  for (int64_t c = 0; c < p; ++c)
    if (!varies[c]) scale.factor[c] = 0.0;
  return scale;
}

void scale_rows(const float* layer, int64_t p, const std::vector<int64_t>& rows, const ColumnScale& scale,
                double* z) {
  for (const int64_t row : rows) {
    const float* x = layer + row * p;
    for (int64_t c = 0; c < p; ++c) z[c] = (x[c] - scale.mean[c]) * scale.factor[c];
    z += p;
  }
}

}  // namespace

Design make_design(const at::Tensor& layer, const RowSplit& rows, bool zscore) {
  const float* x = layer.data_ptr<float>();
  const int64_t p = layer.size(1), n = static_cast<int64_t>(rows.train.size());
  const ColumnScale scale = column_scale(x, p, rows.train, zscore);
  auto all = at::empty({n + static_cast<int64_t>(rows.test.size()), p}, at::kDouble);
  scale_rows(x, p, rows.train, scale, all.data_ptr<double>());
  scale_rows(x, p, rows.test, scale, all.data_ptr<double>() + n * p);
  return {all, at::tensor(scale.mean, at::kDouble), at::tensor(scale.factor, at::kDouble)};
}

at::Tensor kernel_products(const at::Tensor& rows, const Kernel& kernel) {
  const auto products = gram(rows);
  if (kernel.kind == Kernel::Kind::kLinear) return products;
  if (kernel.kind == Kernel::Kind::kPolynomial)
    return (products * kernel.gamma + kernel.offset).pow(kernel.degree);
  const auto squares = products.diagonal();
  const auto distances = (squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * products).clamp_min(0);
  return (distances * -kernel.gamma).exp();
}

at::Tensor gram(const at::Tensor& x) {
  constexpr int64_t kBlock = 128;
  const int64_t n = x.size(0);
  auto out = at::empty({n, n}, x.options());
  for (int64_t from = 0; from < n; from += kBlock) {
    const int64_t to = std::min(n, from + kBlock);
    auto rows = out.slice(0, from, to).slice(1, 0, to);
    rows.copy_(at::mm(x.slice(0, from, to), x.slice(0, 0, to).t()));
    if (from > 0) out.slice(0, 0, from).slice(1, from, to).copy_(rows.slice(1, 0, from).t());
  }
  return out;
}

}  // namespace cortune
