// Stimuli to responses' rows: rows mixed (words to volumes), then delayed copies side by side (FIR).
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "../task.h"

namespace cortune {

// A sparse [m, n] matrix by rows (CSR).
struct RowMixing {
  std::vector<int32_t> starts;  // m + 1
  std::vector<int32_t> columns;
  std::vector<float> weights;
};

// out[.., i, d * C + c] = sum_j mixing[i - delays[d], j] * tensor[.., j, c]; 0 where i - delays[d] is before
// the first or after the last row. Sums in float64. tensor [.., n, C] float32 -> [.., m, C * delays].
at::Tensor align_rows(const at::Tensor& tensor, const RowMixing& mixing, const std::vector<int32_t>& delays,
                      const Task& task);

}  // namespace cortune
