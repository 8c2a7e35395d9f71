// Rotary positions on CUDA: a thread a pair of channels.
#include "cuda_block.h"
#include "rotary.h"

namespace cortune {
namespace {

__global__ void turn(float* x, const float* cos, const float* sin, float sign, RotaryShape s) {
  const int64_t half = s.rotated / 2, size = s.lanes * s.rows * s.heads * half;
  for (int64_t i = grid_start(); i < size; i += grid_step()) {
    const int64_t c = i % half, h = i / half % s.heads, n = i / half / s.heads % s.rows,
                  k = i / half / s.heads / s.rows;
    float* head = x + k * s.lane_stride + n * s.row_stride + h * s.head_stride;
    const int64_t at = k * s.table_stride + n * s.rotated + c;
    rotate_pair(head[c], head[c + half], cos[at], sign * sin[at]);
  }
}

}  // namespace

void rotary_cuda(float* x, const float* cos, const float* sin, bool backward, const RotaryShape& s,
                 void* stream) {
  const int64_t size = s.lanes * s.rows * s.heads * s.rotated / 2;
  turn<<<blocks_for(size), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(x, cos, sin,
                                                                           backward ? -1.0f : 1.0f, s);
}

}  // namespace cortune
