// Pointwise parts of the MLP on CUDA: a thread a value.
#include "cuda_block.h"
#include "gate.h"

namespace cortune {
namespace {

__device__ float activated(Activation activation, float x, float& slope) {
  switch (activation) {
    case Activation::kSilu:
      return silu(x, slope);
    case Activation::kGelu:
      return gelu_exact(x, slope);
    case Activation::kGeluTanh:
      return gelu_tanh(x, slope);
    default:
      return relu(x, slope);
  }
}

__global__ void forward_values(Activation activation, const float* x, const float* up, float* y,
                               int64_t size) {
  float slope;
  for (int64_t i = grid_start(); i < size; i += grid_step())
    y[i] = activated(activation, x[i], slope) * (up ? up[i] : 1.0f);
}

__global__ void backward_values(Activation activation, float* x, float* up, const float* dy, int64_t size) {
  for (int64_t i = grid_start(); i < size; i += grid_step()) {
    float slope;
    const float value = activated(activation, x[i], slope);
    x[i] = dy[i] * (up ? up[i] : 1.0f) * slope;
    if (up) up[i] = dy[i] * value;
  }
}

}  // namespace

void gate_cuda(Activation activation, const float* x, const float* up, float* y, int64_t size, void* stream) {
  forward_values<<<blocks_for(size), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(activation, x, up, y,
                                                                                     size);
}

void gate_backward_cuda(Activation activation, float* x, float* up, const float* dy, int64_t size,
                        void* stream) {
  backward_values<<<blocks_for(size), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(activation, x, up, dy,
                                                                                      size);
}

}  // namespace cortune
