// Sparse row mixing and FIR delays.
#include "align.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace cortune {
namespace {

void check_mixing(const RowMixing& mixing, int64_t n, const std::vector<int32_t>& delays) {
  const auto& starts = mixing.starts;
  if (starts.empty() || starts.front() != 0 || !std::is_sorted(starts.begin(), starts.end()) ||
      static_cast<size_t>(starts.back()) != mixing.columns.size() ||
      mixing.columns.size() != mixing.weights.size())
    fail(Code::kArgument, "Expected `rowStarts` to ascend from 0 to the number of `columns` and `weights`");
  for (const int32_t column : mixing.columns)
    if (column < 0 || column >= n)
      fail(Code::kArgument, "Expected `columns` to be rows of the tensor, 0 to " + std::to_string(n - 1) +
                                ", got " + std::to_string(column));
  if (delays.empty()) fail(Code::kArgument, "Expected `delays` to hold at least one delay; use [0] for none");
}

// One row of the mixture: a [n, C] -> out [C].
void mix_row(const float* a, int64_t C, const RowMixing& mixing, int64_t row, std::vector<double>& sum,
             float* out) {
  std::fill(sum.begin(), sum.end(), 0.0);
  for (int32_t k = mixing.starts[row]; k < mixing.starts[row + 1]; ++k) {
    const float* x = a + static_cast<int64_t>(mixing.columns[k]) * C;
    const double weight = mixing.weights[k];
    for (int64_t c = 0; c < C; ++c) sum[c] += weight * x[c];
  }
  for (int64_t c = 0; c < C; ++c) out[c] = static_cast<float>(sum[c]);
}

}  // namespace

at::Tensor align_rows(const at::Tensor& tensor, const RowMixing& mixing, const std::vector<int32_t>& delays,
                      const Task& task) {
  if (tensor.dim() < 2)
    fail(Code::kArgument,
         "Expected `tensor` to have rows and columns, got " + std::to_string(tensor.dim()) + " axes");
  const auto input = tensor.contiguous();
  const int64_t n = input.size(-2), C = input.size(-1), D = static_cast<int64_t>(delays.size());
  check_mixing(mixing, n, delays);
  const int64_t m = static_cast<int64_t>(mixing.starts.size()) - 1;
  const int64_t leads = n * C > 0 ? input.numel() / (n * C) : 0;
  auto shape = input.sizes().vec();
  shape[shape.size() - 2] = m;
  shape.back() = C * D;
  auto out = at::zeros(shape, input.options());  // [.., m, C * D]
  for (int64_t lead = 0; lead < leads; ++lead) {
    task.progress(lead, leads, "align");
    const float* a = input.data_ptr<float>() + lead * n * C;
    float* to = out.data_ptr<float>() + lead * m * C * D;
    at::parallel_for(0, m, 64, [&](int64_t begin, int64_t end) {
      std::vector<double> sum(C);
      std::vector<float> mixed(C);
      for (int64_t row = begin; row < end; ++row) {
        mix_row(a, C, mixing, row, sum, mixed.data());
        for (int64_t d = 0; d < D; ++d) {
          const int64_t target = row + delays[d];
          if (target >= 0 && target < m) std::copy(mixed.begin(), mixed.end(), to + (target * D + d) * C);
        }
      }
    });
  }
  return out;
}

}  // namespace cortune
