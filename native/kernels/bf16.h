// bfloat16: the upper half of a float32. Products in it have float32's range and 8 bits of its precision;
// what comes out of them is added to float32.
#pragma once
#include <cstdint>

#include "platform.h"

namespace cortune {

CORTUNE_BOTH float from_bf16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  __builtin_memcpy(&wide, &bits, sizeof wide);
  return wide;
}

// y = start + x, or x where start is null (start may be y). All [size]; x holds bfloat16 values.
void widen_cpu(const uint16_t* x, const float* start, float* y, int64_t size);
void widen_cuda(const uint16_t* x, const float* start, float* y, int64_t size, void* stream);

}  // namespace cortune
