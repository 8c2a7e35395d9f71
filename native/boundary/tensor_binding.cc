// Tensors across the boundary: made from typed arrays, read back as copies. Small, synchronous.
#include "args.h"
#include "bindings.h"
#include "values.h"

namespace cortune {
namespace {

int64_t shape_argument(Napi::Env env, const Napi::Value& value, std::vector<int64_t>& shape) {
  if (!value.IsArray()) throw to_js(env, {"ERR_ARGUMENT", "Expected `shape` to be an array of integers"});
  int64_t size = 1;
  const auto list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const double length = Napi::Value(list.Get(i)).ToNumber().DoubleValue();
    if (!(length >= 0 && length <= 1e12) || length != std::floor(length))
      throw to_js(env, {"ERR_ARGUMENT", "Expected `shape` to be an array of integers"});
    shape.push_back(static_cast<int64_t>(length));
    if (__builtin_mul_overflow(size, shape.back(), &size))
      throw to_js(env, {"ERR_ARGUMENT", "Expected `shape` to be of a possible size"});
  }
  return size;
}

Napi::Value tensor_from(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
    throw to_js(env, {"ERR_ARGUMENT", "Expected `data` to be a Float32Array"});
  auto data = info[0].As<Napi::Float32Array>();
  std::vector<int64_t> shape;
  const int64_t size = shape_argument(env, info[1], shape);
  if (size != static_cast<int64_t>(data.ElementLength()))
    throw to_js(env,
                {"ERR_ARGUMENT", "Expected `data` to hold " + std::to_string(size) +
                                     " values for its shape, got " + std::to_string(data.ElementLength())});
  auto tensor = at::empty(shape, at::kFloat);
  std::copy(data.Data(), data.Data() + size, tensor.data_ptr<float>());
  return to_handle(env, tensor);
}

Napi::Value tensor_read(const Napi::CallbackInfo& info) {
  const auto tensor = Handle<at::Tensor>::get(info.Env(), info[0], "tensor");
  auto array = Napi::Float32Array::New(info.Env(), tensor->numel());
  std::copy(tensor->data_ptr<float>(), tensor->data_ptr<float>() + tensor->numel(), array.Data());
  return array;
}

}  // namespace

void export_tensor(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "tensorFrom", tensor_from);
  export_function(env, exports, "tensorRead", tensor_read);
}

}  // namespace cortune
