// Rotary position embedding on the CPU.
#include "rotary.h"

#include <ATen/Parallel.h>

namespace cortune {
namespace {

template <typename T>
CORTUNE_BOTH void head(T* __restrict a, T* __restrict b, const T* __restrict cos, const T* __restrict sin,
                       T sign, int64_t half) {
  for (int64_t i = 0; i < half; ++i) rotate_pair(a[i], b[i], cos[i], sign * sin[i]);
}

CORTUNE_SIMD void turn(float* x, const float* cos, const float* sin, float sign, int64_t half) {
  head(x, x + half, cos, sin, sign, half);
}
void turn(double* x, const double* cos, const double* sin, double sign, int64_t half) {
  head(x, x + half, cos, sin, sign, half);
}

}  // namespace

template <typename T>
void rotary_cpu(T* x, const T* cos, const T* sin, bool backward, const RotaryShape& s) {
  at::parallel_for(0, s.lanes * s.rows, 32, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t k = row / s.rows, n = row % s.rows;
      const int64_t at = k * s.table_stride + n * s.rotated;
      for (int64_t h = 0; h < s.heads; ++h)
        turn(x + k * s.lane_stride + n * s.row_stride + h * s.head_stride, cos + at, sin + at,
             backward ? T(-1) : T(1), s.rotated / 2);
    }
  });
}

template void rotary_cpu(float*, const float*, const float*, bool, const RotaryShape&);
template void rotary_cpu(double*, const double*, const double*, bool, const RotaryShape&);

}  // namespace cortune
