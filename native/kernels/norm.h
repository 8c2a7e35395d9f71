// RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016) of rows x [C], forward and backward, each
// row read once into the caches:
//   mean m = 0 (RMS) or mean(x);  i = 1 / sqrt(mean((x - m)^2) + eps);  h = (x - m) i;  y = h w + b
//   with g = dy w:  dx = i (g - mean(g) [LayerNorm only] - h mean(g h));  dw = sum dy h;  db = sum dy
#pragma once
#include <cmath>
#include <cstdint>

#include "platform.h"

namespace cortune {

template <typename T>
CORTUNE_BOTH T norm_value(T x, T mean, T inverse, T weight, T bias) {
  return (x - mean) * inverse * weight + bias;
}

// `mean_g` and `mean_gh` are the row's means of g and of g h.
template <typename T>
CORTUNE_BOTH T norm_gradient(T x, T mean, T inverse, T dy, T weight, T mean_g, T mean_gh) {
  return inverse * (dy * weight - mean_g - (x - mean) * inverse * mean_gh);
}

// x, y [K, N, C]; weight and bias [C] of each lane, `weight_stride` apart (0: shared). Bias null: RMSNorm.
struct NormShape {
  int64_t lanes, rows, channels;
  int64_t weight_stride;
};

// `inverse` [K, N] and, for LayerNorm, `mean` [K, N] are kept for the backward pass.
template <typename T>
void norm_cpu(const T* x, const T* weight, const T* bias, double eps, T* y, T* mean, T* inverse,
              const NormShape& shape);
// dx, and with `dweight` (and `dbias`) [K, C], zeroed before, the gradients of each lane's own.
template <typename T>
void norm_backward_cpu(const T* x, const T* dy, const T* weight, const T* mean, const T* inverse, T* dx,
                       T* dweight, T* dbias, const NormShape& shape);

void norm_cuda(const float* x, const float* weight, const float* bias, double eps, float* y, float* mean,
               float* inverse, const NormShape& shape, void* stream);
void norm_backward_cuda(const float* x, const float* dy, const float* weight, const float* mean,
                        const float* inverse, float* dx, float* dweight, float* dbias, const NormShape& shape,
                        void* stream);

}  // namespace cortune
