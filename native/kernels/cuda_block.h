// What CUDA kernels share: the size of a block, sums across it, and grids over values.
#pragma once
#include <algorithm>
#include <cstdint>

namespace cortune {

constexpr int kBlock = 256;

#ifdef __CUDACC__
// Sum over the threads of a block of kBlock; all of them get it.
template <typename Value>
__device__ Value block_sum(Value value) {
  __shared__ Value shared[kBlock];
  shared[threadIdx.x] = value;
  __syncthreads();
  for (int half = kBlock / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  const Value sum = shared[0];
  __syncthreads();  // before the next use of `shared`
  return sum;
}

// The position of this thread and the step to its next, for loops that stride over a grid.
__device__ inline int64_t grid_start() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ inline int64_t grid_step() { return int64_t{blockDim.x} * gridDim.x; }
#endif

// Blocks for `size` values, at most so many that the threads stride.
inline unsigned blocks_for(int64_t size) {
  return static_cast<unsigned>(std::clamp<int64_t>((size + kBlock - 1) / kBlock, 1, 4096));
}

}  // namespace cortune
