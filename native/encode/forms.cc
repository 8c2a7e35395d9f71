// Blocks of rows of all matrices are stacked, so that one product serves them all.
#include "forms.h"

#include <algorithm>

#include "../kernels/platform.h"

namespace cortune {
namespace {

// Rows of a triangular matrix in one block: more waste multiplications with zeros, fewer make the products
// thin.
constexpr int64_t kBlockRows = 64;

CORTUNE_SIMD void add_squares(const float* __restrict values, double* __restrict sums, int64_t width) {
  for (int64_t i = 0; i < width; ++i) {
    const double value = values[i];
    sums[i] += value * value;
  }
}

}  // namespace

SquareForms::SquareForms(const std::vector<at::Tensor>& factors, bool triangular)
    : count_(static_cast<int64_t>(factors.size())) {
  const int64_t rows = factors.front().size(0), n = factors.front().size(1);
  for (int64_t from = 0; from < rows; from += kBlockRows) {
    Block block{triangular ? from : 0, std::min(kBlockRows, rows - from), {}};
    block.stacked = at::empty({count_ * block.height, n - block.from}, at::kFloat);
    for (int64_t k = 0; k < count_; ++k)
      block.stacked.slice(0, k * block.height, (k + 1) * block.height)
          .copy_(factors[k].slice(0, from, from + block.height).slice(1, block.from));
    blocks_.push_back(std::move(block));
  }
}

at::Tensor SquareForms::evaluate(const at::Tensor& y) const {
  const int64_t w = y.size(0);
  auto sums = at::zeros({count_, w}, at::kDouble);
  auto product = at::empty({blocks_.front().stacked.size(0), w}, at::kFloat);
  for (const auto& block : blocks_) {
    auto out = product.slice(0, 0, block.stacked.size(0));
    at::mm_out(out, block.stacked, y.slice(1, block.from).t());  // [K * height, w]
    const float* row = out.data_ptr<float>();
    for (int64_t k = 0; k < count_; ++k)
      for (int64_t i = 0; i < block.height; ++i, row += w)
        add_squares(row, sums.data_ptr<double>() + k * w, w);
  }
  return sums;
}

}  // namespace cortune
