// AdamW's update of one value (Loshchilov & Hutter 2019, arXiv:1711.05101), as torch.optim.AdamW computes it:
//   p <- p (1 - rate decay);  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
//   p <- p - rate / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// Parameter, gradient and both moments are read and written once, where a composition of tensor operations
// would pass over them ten times.
#pragma once
#include <cmath>
#include <cstdint>

#include "platform.h"

namespace cortune {

struct AdamWCoefficients {
  float keep;  // 1 - rate * decay
  float grad;  // clipping: multiplies the gradient
  float beta1, beta2;
  float step;  // rate / (1 - beta1^t)
  float root;  // 1 / sqrt(1 - beta2^t)
  float eps;
};

CORTUNE_BOTH void adamw_value(float& p, float gradient, float& m, float& v, const AdamWCoefficients& c) {
  const float g = gradient * c.grad;
  m = c.beta1 * m + (1 - c.beta1) * g;
  v = c.beta2 * v + (1 - c.beta2) * g * g;
  p = p * c.keep - c.step * m / (sqrtf(v) * c.root + c.eps);
}

// All [size], in the memory of the device; `stream` is a cudaStream_t.
void adamw_cpu(float* p, const float* g, float* m, float* v, int64_t size, const AdamWCoefficients& c);
void adamw_cuda(float* p, const float* g, float* m, float* v, int64_t size, const AdamWCoefficients& c,
                void* stream);

}  // namespace cortune
