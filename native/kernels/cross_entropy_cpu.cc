// Cross-entropy on the CPU: a row a thread, SIMD along the vocabulary. NaN or infinite logits give a NaN
// loss.
#include "cross_entropy.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>

namespace cortune {
namespace {

constexpr int64_t kLanes = 16;    // partial results side by side: one AVX-512 register
constexpr int64_t kBlock = 1024;  // values added in float32 before the sum goes on in float64

CORTUNE_SIMD float largest(const float* row, int64_t size) {
  float best[kLanes];
  std::fill(best, best + kLanes, -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) best[j] = row[i + j] > best[j] ? row[i + j] : best[j];
  for (; i < size; ++i) best[0] = row[i] > best[0] ? row[i] : best[0];
  return *std::max_element(best, best + kLanes);
}

// sum_j exp(row_j - top); the exponentials replace the row when `keep`.
CORTUNE_SIMD double exponentials(float* row, int64_t size, float top, bool keep) {
  double total = 0;
  for (int64_t start = 0; start < size; start += kBlock) {
    const int64_t end = std::min(start + kBlock, size);
    float sum[kLanes] = {};
    int64_t i = start;
    for (; i + kLanes <= end; i += kLanes)
      for (int64_t j = 0; j < kLanes; ++j) {
        const float e = exp_nonpositive(row[i + j] - top);
        sum[j] += e;
        if (keep) row[i + j] = e;
      }
    for (; i < end; ++i) {
      const float e = exp_nonpositive(row[i] - top);
      sum[0] += e;
      if (keep) row[i] = e;
    }
    for (const float part : sum) total += part;
  }
  return total;
}

CORTUNE_SIMD void multiply(float* row, int64_t size, float factor) {
  for (int64_t i = 0; i < size; ++i) row[i] *= factor;
}

// A comparison with NaN is false, so `largest` does not see one; 0 * x is NaN for NaN and the infinities, and
// so is a sum with it.
CORTUNE_SIMD bool finite(const float* row, int64_t size) {
  float sum[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) sum[j] += row[i + j] * 0.0f;
  for (; i < size; ++i) sum[0] += row[i] * 0.0f;
  return std::all_of(sum, sum + kLanes, [](float part) { return part == 0.0f; });
}

}  // namespace

void cross_entropy_cpu(float* logits, const int64_t* targets, double* losses, int64_t rows,
                       int64_t vocabulary, bool with_gradient, float scale) {
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* row = logits + r * vocabulary;
      if (!finite(row, vocabulary)) {
        losses[r] = std::numeric_limits<double>::quiet_NaN();
        if (with_gradient) std::fill(row, row + vocabulary, std::numeric_limits<float>::quiet_NaN());
        continue;
      }
      const float top = largest(row, vocabulary), target = row[targets[r]];
      const double sum = exponentials(row, vocabulary, top, with_gradient);
      losses[r] = std::log(sum) + static_cast<double>(top) - static_cast<double>(target);
      if (!with_gradient) continue;
      multiply(row, vocabulary, static_cast<float>(scale / sum));
      row[targets[r]] -= scale;
    }
  });
}

}  // namespace cortune
