// Softmax cross-entropy of rows of logits, and its gradient in their place. With s = sum_j exp(l_j - max):
//   loss = log s + max - l_target;   dloss / dl_j = exp(l_j - max) / s - [j = target]
#pragma once
#include <cmath>
#include <cstdint>

#include "platform.h"

namespace cortune {

// exp(x) for x <= 0 without a call, so that loops over it become SIMD: x = n ln 2 + r, exp(r) by the
// polynomial of Cephes' expf (error below 2 units in the last place), times 2^n. Below -87, where float32
// would leave its normal range, it is 0.
CORTUNE_BOTH float exp_nonpositive(float x) {
  constexpr float kLog2e = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound =
      12582912.0f;  // 1.5 * 2^23: adding and taking it away rounds to the nearest integer
  const float clamped = x < -87.0f ? -87.0f : x;
  const float n = (clamped * kLog2e + kRound) - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  static_assert(sizeof power == sizeof bits, "");
  __builtin_memcpy(&power, &bits, sizeof power);
  return x < -87.0f ? 0.0f : y * power;
}

// logits [rows, V], targets [rows] in 0 to V - 1, losses [rows]. With `with_gradient`, logits become scale *
// dloss / dlogits.
void cross_entropy_cpu(float* logits, const int64_t* targets, double* losses, int64_t rows,
                       int64_t vocabulary, bool with_gradient, float scale);
void cross_entropy_cuda(float* logits, const int64_t* targets, double* losses, int64_t rows,
                        int64_t vocabulary, bool with_gradient, float scale, void* stream);

}  // namespace cortune
