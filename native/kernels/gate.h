// The pointwise parts of the MLP: SwiGLU (Shazeer 2020, arXiv:2002.05202), silu(gate) * up, and GELU
// (Hendrycks & Gimpel 2016) exact or by tanh, and ReLU. Each is one pass forward, one backward; a
// composition of tensor operations would pass five times over the widest tensors of the model.
#pragma once
#include <cmath>
#include <cstdint>

#include "cross_entropy.h"
#include "platform.h"

namespace cortune {

enum class Activation { kSilu, kGelu, kGeluTanh, kRelu };

// 1 / (1 + exp(-x)), through exponentials of numbers that are not positive.
CORTUNE_BOTH float sigmoid(float x) {
  const float e = exp_nonpositive(x < 0 ? x : -x);
  return (x < 0 ? e : 1.0f) / (1.0f + e);
}
CORTUNE_BOTH double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// Value and derivative of tanh-GELU: x s(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3), s the sigmoid.
template <typename T>
CORTUNE_BOTH T gelu_tanh(T x, T& slope) {
  constexpr T kRoot = static_cast<T>(0.7978845608028654), kCubic = static_cast<T>(0.044715);
  const T s = sigmoid(2 * kRoot * (x + kCubic * x * x * x));
  slope = s + x * s * (1 - s) * 2 * kRoot * (1 + 3 * kCubic * x * x);
  return x * s;
}
template <typename T>
CORTUNE_BOTH T gelu_exact(T x, T& slope) {
  constexpr T kRootHalf = static_cast<T>(0.7071067811865476), kDensity = static_cast<T>(0.3989422804014327);
  const T below = static_cast<T>(0.5) * erfc(-x * kRootHalf);  // the normal distribution's
  slope = below + x * kDensity * exp(static_cast<T>(-0.5) * x * x);
  return x * below;
}
template <typename T>
CORTUNE_BOTH T silu(T x, T& slope) {
  const T s = sigmoid(x);
  slope = s * (1 + x * (1 - s));
  return x * s;
}
template <typename T>
CORTUNE_BOTH T relu(T x, T& slope) {
  slope = x > 0 ? T(1) : T(0);
  return x > 0 ? x : T(0);
}

// y = f(x), or with `up` f(x) * up. All [size].
template <typename T>
void gate_cpu(Activation activation, const T* x, const T* up, T* y, int64_t size);
// In place: x becomes dx and `up`, when there, dup.
template <typename T>
void gate_backward_cpu(Activation activation, T* x, T* up, const T* dy, int64_t size);

void gate_cuda(Activation activation, const float* x, const float* up, float* y, int64_t size, void* stream);
void gate_backward_cuda(Activation activation, float* x, float* up, const float* dy, int64_t size,
                        void* stream);

}  // namespace cortune
