// bfloat16 to float32 on the CPU.
#include "bf16.h"

#include <ATen/Parallel.h>

namespace cortune {
namespace {

CORTUNE_SIMD void widen(const uint16_t* x, const float* start, float* y, int64_t size) {
  if (start)
    for (int64_t i = 0; i < size; ++i) y[i] = start[i] + from_bf16(x[i]);
  else
    for (int64_t i = 0; i < size; ++i) y[i] = from_bf16(x[i]);
}

}  // namespace

void widen_cpu(const uint16_t* x, const float* start, float* y, int64_t size) {
  at::parallel_for(0, size, 1 << 15, [&](int64_t begin, int64_t end) {
    widen(x + begin, start ? start + begin : nullptr, y + begin, end - begin);
  });
}

}  // namespace cortune
