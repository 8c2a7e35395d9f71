// AdamW on CUDA: one thread a value, striding over the grid.
#include <algorithm>

#include "adamw.h"

namespace cortune {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

__global__ void update(float* p, const float* g, float* m, float* v, int64_t size, AdamWCoefficients c) {
  const int64_t stride = int64_t{blockDim.x} * gridDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < size; i += stride)
    adamw_value(p[i], g[i], m[i], v[i], c);
}

}  // namespace

void adamw_cuda(float* p, const float* g, float* m, float* v, int64_t size, const AdamWCoefficients& c,
                void* stream) {
  if (size == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<int64_t>((size + kThreads - 1) / kThreads, kMaxBlocks));
  update<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p, g, m, v, size, c);
}

}  // namespace cortune
