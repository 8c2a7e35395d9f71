// AdamW on the CPU: all threads, SIMD.
#include "adamw.h"

#include <ATen/Parallel.h>

namespace cortune {
namespace {

// A thread's share is worth its start from about this many values on.
constexpr int64_t kGrain = 1 << 15;

CORTUNE_SIMD void update(float* __restrict p, const float* __restrict g, float* __restrict m,
                         float* __restrict v, int64_t size, const AdamWCoefficients& c) {
  for (int64_t i = 0; i < size; ++i) adamw_value(p[i], g[i], m[i], v[i], c);
}

}  // namespace

void adamw_cpu(float* p, const float* g, float* m, float* v, int64_t size, const AdamWCoefficients& c) {
  at::parallel_for(0, size, kGrain, [&](int64_t begin, int64_t end) {
    update(p + begin, g + begin, m + begin, v + begin, end - begin, c);
  });
}

}  // namespace cortune
