// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) of the first R channels of each head, in
// place: with halves a, b of them,  a' = a cos - b sin,  b' = b cos + a sin;  backward with -sin.
#pragma once
#include <cstdint>

#include "platform.h"

namespace cortune {

template <typename T>
CORTUNE_BOTH void rotate_pair(T& a, T& b, T cos, T sin) {
  const T turned = a * cos - b * sin;
  b = b * cos + a * sin;
  a = turned;
}

// x [K, N, H, D] with strides in values (channels contiguous); cos, sin [N, R] of each lane, `table_stride`
// apart (0: shared), both halves of R equal.
struct RotaryShape {
  int64_t lanes, rows, heads, rotated;
  int64_t lane_stride, row_stride, head_stride;
  int64_t table_stride;
};

template <typename T>
void rotary_cpu(T* x, const T* cos, const T* sin, bool backward, const RotaryShape& shape);
void rotary_cuda(float* x, const float* cos, const float* sin, bool backward, const RotaryShape& shape,
                 void* stream);

}  // namespace cortune
