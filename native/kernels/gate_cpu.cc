// Pointwise parts of the MLP on the CPU: all threads, SIMD (but for the exact GELU, whose erfc is a call).
#include "gate.h"

#include <ATen/Parallel.h>

namespace cortune {
namespace {

constexpr int64_t kGrain = 1 << 14;

template <typename T, typename F>
CORTUNE_BOTH void forward_loop(const F& f, const T* __restrict x, const T* __restrict up, T* __restrict y,
                               int64_t size) {
  T slope;
  if (up)
    for (int64_t i = 0; i < size; ++i) y[i] = f(x[i], slope) * up[i];
  else
    for (int64_t i = 0; i < size; ++i) y[i] = f(x[i], slope);
}

template <typename T, typename F>
CORTUNE_BOTH void backward_loop(const F& f, T* __restrict x, T* __restrict up, const T* __restrict dy,
                                int64_t size) {
  if (up)
    for (int64_t i = 0; i < size; ++i) {
      T slope;
      const T value = f(x[i], slope);
      x[i] = dy[i] * up[i] * slope;
      up[i] = dy[i] * value;
    }
  else
    for (int64_t i = 0; i < size; ++i) {
      T slope;
      f(x[i], slope);
      x[i] = dy[i] * slope;
    }
}

// Calls run(f) with the activation's function.
template <typename T, typename Run>
CORTUNE_BOTH void with(Activation activation, const Run& run) {
  switch (activation) {
    case Activation::kSilu:
      return run([](T x, T & slope) __attribute__((always_inline)) { return silu(x, slope); });
    case Activation::kGelu:
      return run([](T x, T & slope) __attribute__((always_inline)) { return gelu_exact(x, slope); });
    case Activation::kGeluTanh:
      return run([](T x, T & slope) __attribute__((always_inline)) { return gelu_tanh(x, slope); });
    case Activation::kRelu:
      return run([](T x, T & slope) __attribute__((always_inline)) { return relu(x, slope); });
  }
}

template <typename T>
CORTUNE_BOTH void forward_any(Activation activation, const T* x, const T* up, T* y, int64_t size) {
  with<T>(
      activation, [&](const auto& f) __attribute__((always_inline)) { forward_loop(f, x, up, y, size); });
}
template <typename T>
CORTUNE_BOTH void backward_any(Activation activation, T* x, T* up, const T* dy, int64_t size) {
  with<T>(
      activation, [&](const auto& f) __attribute__((always_inline)) { backward_loop(f, x, up, dy, size); });
}

CORTUNE_SIMD void forward_part(Activation a, const float* x, const float* up, float* y, int64_t size) {
  forward_any(a, x, up, y, size);
}
void forward_part(Activation a, const double* x, const double* up, double* y, int64_t size) {
  forward_any(a, x, up, y, size);
}
CORTUNE_SIMD void backward_part(Activation a, float* x, float* up, const float* dy, int64_t size) {
  backward_any(a, x, up, dy, size);
}
void backward_part(Activation a, double* x, double* up, const double* dy, int64_t size) {
  backward_any(a, x, up, dy, size);
}

}  // namespace

template <typename T>
void gate_cpu(Activation activation, const T* x, const T* up, T* y, int64_t size) {
  at::parallel_for(0, size, kGrain, [&](int64_t begin, int64_t end) {
    forward_part(activation, x + begin, up ? up + begin : nullptr, y + begin, end - begin);
  });
}

template <typename T>
void gate_backward_cpu(Activation activation, T* x, T* up, const T* dy, int64_t size) {
  at::parallel_for(0, size, kGrain, [&](int64_t begin, int64_t end) {
    backward_part(activation, x + begin, up ? up + begin : nullptr, dy + begin, end - begin);
  });
}

template void gate_cpu(Activation, const float*, const float*, float*, int64_t);
template void gate_cpu(Activation, const double*, const double*, double*, int64_t);
template void gate_backward_cpu(Activation, float*, float*, const float*, int64_t);
template void gate_backward_cpu(Activation, double*, double*, const double*, int64_t);

}  // namespace cortune
