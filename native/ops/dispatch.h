// Calls a kernel with the type of a tensor's values: float32, or float64 in tests.
#pragma once
#include "../error.h"
#include "../pch.h"

namespace cortune {

template <typename Call>
void with_type(const at::Tensor& like, const Call& call) {
  if (like.scalar_type() == at::kFloat) return call(float{});
  if (like.scalar_type() == at::kDouble) return call(double{});
  fail(Code::kInternal,
       std::string("Expected float32 or float64 values, got ") + at::toString(like.scalar_type()) + ".");
}

// Null for an undefined tensor.
template <typename T>
T* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

}  // namespace cortune
