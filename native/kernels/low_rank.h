// The three products of a low-rank path (LoRA and its kin), of K lanes at once. With N some hundred rows, C
// channels and a rank r of 4 to 64 they are too thin for a general GEMM, which reaches a tenth of its speed
// on them; here the factors [r, C] are read along their rows and partial results stay in registers.
//   project  low = s x f^T      [N, C] [r, C] -> [N, r]
//   expand   y (+)= low f       [N, r] [r, C] -> [N, C]
//   outer    g = low^T x        [N, r] [N, C] -> [r, C]
// The forward pass of y = x W^T + s (x A^T) B'  projects with A and expands with B'; the backward pass
// projects dy with B', expands with A, and the gradients of both are outer products.
#pragma once
#include <cstdint>

#include "platform.h"

namespace cortune {

// Matrices are contiguous, and those of a lane follow the lane before; of x, lanes lie `lane_stride` apart (0
// when they share it).
struct LowRankShape {
  int64_t lanes, rows, rank, channels;
};

// `scale` [K] multiplies the result, or is null.
template <typename T>
void low_project_cpu(const T* x, int64_t lane_stride, const T* factor, const T* scale, T* low,
                     const LowRankShape& shape);
// What y starts from instead of what it holds: row n of lane k is at values + k lane + n row (a bias has row
// 0, one for all lanes also lane 0); 0 where values is null.
template <typename T>
struct StartRows {
  const T* values;
  int64_t lane, row;
};
// Adds to y, or starts it from `start` when that is not null.
template <typename T>
void low_expand_cpu(const T* low, const T* factor, T* y, const StartRows<T>* start,
                    const LowRankShape& shape);
template <typename T>
void low_outer_cpu(const T* low, const T* x, int64_t lane_stride, T* gradient, const LowRankShape& shape);

void low_project_cuda(const float* x, int64_t lane_stride, const float* factor, const float* scale,
                      float* low, const LowRankShape& shape, void* stream);
void low_expand_cuda(const float* low, const float* factor, float* y, const StartRows<float>* start,
                     const LowRankShape& shape, void* stream);
void low_outer_cuda(const float* low, const float* x, int64_t lane_stride, float* gradient,
                    const LowRankShape& shape, void* stream);

}  // namespace cortune
