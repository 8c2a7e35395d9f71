// Plain C++ results as JavaScript values.
#pragma once
#include <algorithm>
#include <vector>

#include "handles.h"
#include "napi.h"

namespace cortune {

inline Napi::Value to_float64(Napi::Env env, const std::vector<double>& values) {
  auto array = Napi::Float64Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

inline Napi::Value to_int32(Napi::Env env, const std::vector<int32_t>& values) {
  auto array = Napi::Int32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

inline Napi::Value to_numbers(Napi::Env env, const std::vector<int64_t>& values) {
  auto array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i)
    array.Set(i, Napi::Number::New(env, static_cast<double>(values[i])));
  return array;
}

inline Napi::Value to_strings(Napi::Env env, const std::vector<std::string>& values) {
  auto array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i) array.Set(i, Napi::String::New(env, values[i]));
  return array;
}

// A contiguous float32 tensor on the CPU, shared with JavaScript only as a handle.
template <>
struct HandleTraits<at::Tensor> {
  static constexpr const char* kName = "Tensor";
  static constexpr napi_type_tag kTag = {0x6f1d5c2b90a84e37, 0xa3d1e8f2476b5c01};
  static int64_t bytes(const at::Tensor& tensor) { return static_cast<int64_t>(tensor.nbytes()); }
  static void describe(Napi::Env env, const at::Tensor& tensor, Napi::Object into) {
    into.Set("shape", to_numbers(env, tensor.sizes().vec()));
  }
};

inline Napi::Value to_handle(Napi::Env env, const at::Tensor& tensor) {
  return Handle<at::Tensor>::make(env, std::make_shared<at::Tensor>(tensor.to(at::kFloat).contiguous()));
}

inline Napi::Value to_handles(Napi::Env env, const std::vector<at::Tensor>& tensors) {
  auto array = Napi::Array::New(env, tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) array.Set(i, to_handle(env, tensors[i]));
  return array;
}

}  // namespace cortune
