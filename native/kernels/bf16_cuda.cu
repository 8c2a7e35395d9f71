// bfloat16 to float32 on CUDA.
#include "bf16.h"
#include "cuda_block.h"

namespace cortune {
namespace {

__global__ void widen(const uint16_t* x, const float* start, float* y, int64_t size) {
  for (int64_t i = grid_start(); i < size; i += grid_step())
    y[i] = (start ? start[i] : 0.0f) + from_bf16(x[i]);
}

}  // namespace

void widen_cuda(const uint16_t* x, const float* start, float* y, int64_t size, void* stream) {
  widen<<<blocks_for(size), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(x, start, y, size);
}

}  // namespace cortune
