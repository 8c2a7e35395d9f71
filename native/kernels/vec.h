// Explicit SIMD that reads like arithmetic: 64 bytes of values side by side. Where a clone of a loop (see
// platform.h) has narrower registers, the compiler splits them.
#pragma once
#include <cstdint>

#include "platform.h"

namespace cortune {

template <typename T>
struct VecOf {
  typedef T type __attribute__((vector_size(64)));
  // The same at any address, over memory that is declared as T.
  typedef T loose __attribute__((vector_size(64), aligned(alignof(T)), may_alias));
  static constexpr int64_t kSize = 64 / sizeof(T);
};
template <typename T>
using Vec = typename VecOf<T>::type;

template <typename T>
CORTUNE_BOTH Vec<T> load(const T* from) {
  return *reinterpret_cast<const typename VecOf<T>::loose*>(from);
}
template <typename T>
CORTUNE_BOTH void store(T* to, const Vec<T>& value) {
  *reinterpret_cast<typename VecOf<T>::loose*>(to) = value;
}
template <typename T>
CORTUNE_BOTH T sum_of(const Vec<T>& value) {
  T sum = 0;
  for (int64_t i = 0; i < VecOf<T>::kSize; ++i) sum += value[i];
  return sum;
}

// sum_i a_i b_i
template <typename T>
CORTUNE_BOTH T dot(const T* a, const T* b, int64_t size) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  Vec<T> sum = {};
  int64_t i = 0;
  for (; i + kStep <= size; i += kStep) sum += load(a + i) * load(b + i);
  T total = sum_of<T>(sum);
  for (; i < size; ++i) total += a[i] * b[i];
  return total;
}

// y += factor x
template <typename T>
CORTUNE_BOTH void add_multiple(T* y, T factor, const T* x, int64_t size) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  int64_t i = 0;
  for (; i + kStep <= size; i += kStep) store<T>(y + i, load(y + i) + factor * load(x + i));
  for (; i < size; ++i) y[i] += factor * x[i];
}

}  // namespace cortune
