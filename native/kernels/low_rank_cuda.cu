// The products of a low-rank path on CUDA: a block a row for `project` (its row of x stays in the caches
// while the block goes through the factor), a thread a value for the others.
#include "cuda_block.h"
#include "low_rank.h"

namespace cortune {
namespace {

__global__ void project_rows(const float* x, int64_t lane_stride, const float* factor, const float* scale,
                             float* low, LowRankShape s) {
  const int64_t n = blockIdx.x, k = blockIdx.y;
  const float* row = x + k * lane_stride + n * s.channels;
  for (int64_t j = 0; j < s.rank; ++j) {
    const float* f = factor + (k * s.rank + j) * s.channels;
    float sum = 0;
    for (int64_t c = threadIdx.x; c < s.channels; c += kBlock) sum += row[c] * f[c];
    const float total = block_sum(sum);
    if (threadIdx.x == 0) low[(k * s.rows + n) * s.rank + j] = total * (scale ? scale[k] : 1.0f);
  }
}

__global__ void expand_values(const float* low, const float* factor, float* y, bool fresh,
                              StartRows<float> start, LowRankShape s) {
  const int64_t size = s.lanes * s.rows * s.channels;
  for (int64_t i = grid_start(); i < size; i += grid_step()) {
    const int64_t c = i % s.channels, n = i / s.channels % s.rows, k = i / s.channels / s.rows;
    float sum = y[i];
    if (fresh) sum = start.values ? start.values[k * start.lane + n * start.row + c] : 0.0f;
    const float* own = low + (k * s.rows + n) * s.rank;
    for (int64_t j = 0; j < s.rank; ++j) sum += own[j] * factor[(k * s.rank + j) * s.channels + c];
    y[i] = sum;
  }
}

__global__ void outer_values(const float* low, const float* x, int64_t lane_stride, float* gradient,
                             LowRankShape s) {
  const int64_t size = s.lanes * s.rank * s.channels;
  for (int64_t i = grid_start(); i < size; i += grid_step()) {
    const int64_t c = i % s.channels, j = i / s.channels % s.rank, k = i / s.channels / s.rank;
    float sum = 0;
    for (int64_t n = 0; n < s.rows; ++n)
      sum += low[(k * s.rows + n) * s.rank + j] * x[k * lane_stride + n * s.channels + c];
    gradient[i] = sum;
  }
}

}  // namespace

void low_project_cuda(const float* x, int64_t lane_stride, const float* factor, const float* scale,
                      float* low, const LowRankShape& s, void* stream) {
  const dim3 rows(static_cast<unsigned>(s.rows), static_cast<unsigned>(s.lanes));
  project_rows<<<rows, kBlock, 0, static_cast<cudaStream_t>(stream)>>>(x, lane_stride, factor, scale, low, s);
}

void low_expand_cuda(const float* low, const float* factor, float* y, const StartRows<float>* start,
                     const LowRankShape& s, void* stream) {
  const auto from = start ? *start : StartRows<float>{};
  expand_values<<<blocks_for(s.lanes * s.rows * s.channels), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
      low, factor, y, start != nullptr, from, s);
}

void low_outer_cuda(const float* low, const float* x, int64_t lane_stride, float* gradient,
                    const LowRankShape& s, void* stream) {
  outer_values<<<blocks_for(s.lanes * s.rank * s.channels), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
      low, x, lane_stride, gradient, s);
}

}  // namespace cortune
