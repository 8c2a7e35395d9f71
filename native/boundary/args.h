// Reads the fields of a task's argument object into plain C++ values, on the JavaScript thread. Types and
// finiteness are checked here; meaning was checked in TypeScript.
#pragma once
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "errors.h"
#include "handles.h"
#include "napi.h"
#include "tune/spec.h"

namespace cortune {

class Args {
 public:
  Args(Napi::Env env, const Napi::Value& value, const std::string& name = "args") : env_(env) {
    if (!value.IsObject()) throw wrong(name, "an object");
    object_ = value.As<Napi::Object>();
  }

  bool has(const char* key) const { return !object_.Get(key).IsUndefined() && !object_.Get(key).IsNull(); }

  std::string text(const char* key) const {
    auto value = object_.Get(key);
    if (!value.IsString()) throw wrong(key, "a string");
    return value.As<Napi::String>();
  }
  double number(const char* key) const {
    auto value = object_.Get(key);
    if (!value.IsNumber() || !std::isfinite(value.As<Napi::Number>().DoubleValue()))
      throw wrong(key, "a finite number");
    return value.As<Napi::Number>();
  }
  int64_t integer(const char* key) const {
    const double value = number(key);
    if (value != std::floor(value) || std::abs(value) > 9007199254740991.0) throw wrong(key, "an integer");
    return static_cast<int64_t>(value);
  }
  bool flag(const char* key) const {
    auto value = object_.Get(key);
    if (!value.IsBoolean()) throw wrong(key, "a boolean");
    return value.As<Napi::Boolean>();
  }

  // Typed arrays, copied: JavaScript may change or detach its own while the task runs.
  std::vector<int32_t> int32s(const char* key) const {
    return copy<Napi::Int32Array, int32_t>(key, napi_int32_array, "an Int32Array");
  }
  std::vector<uint8_t> bytes(const char* key) const {
    return copy<Napi::Uint8Array, uint8_t>(key, napi_uint8_array, "a Uint8Array");
  }
  std::vector<float> floats(const char* key) const {
    return copy<Napi::Float32Array, float>(key, napi_float32_array, "a Float32Array");
  }
  std::vector<double> doubles(const char* key) const {
    return copy<Napi::Float64Array, double>(key, napi_float64_array, "a Float64Array");
  }

  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> out;
    const auto list = array(key);
    for (uint32_t i = 0; i < list.Length(); ++i) {
      Napi::Value item = list.Get(i);
      if (!item.IsString()) throw wrong(key, "an array of strings");
      out.push_back(item.As<Napi::String>());
    }
    return out;
  }
  std::vector<Args> objects(const char* key) const {
    std::vector<Args> out;
    const auto list = array(key);
    for (uint32_t i = 0; i < list.Length(); ++i) out.emplace_back(env_, list.Get(i), std::string(key) + "[]");
    return out;
  }
  Args object(const char* key) const { return Args(env_, object_.Get(key), key); }

  // Every field, which must be numbers.
  std::map<std::string, double> all_numbers() const {
    std::map<std::string, double> out;
    for (const auto& key : keys()) out[key] = number(key.c_str());
    return out;
  }
  // Every field by its type: numbers and flags, texts, lists of numbers, lists of texts.
  void sort_into(MethodOptions& options) const {
    for (const auto& key : keys()) {
      const Napi::Value value = object_.Get(key);
      if (value.IsUndefined()) continue;
      if (value.IsBoolean())
        options.numbers[key] = value.As<Napi::Boolean>() ? 1 : 0;
      else if (value.IsNumber())
        options.numbers[key] = number(key.c_str());
      else if (value.IsString())
        options.texts[key] = text(key.c_str());
      else if (value.IsTypedArray())
        options.lists[key] = doubles(key.c_str());
      else
        options.names[key] = texts(key.c_str());
    }
  }

  template <typename T>
  std::shared_ptr<T> handle(const char* key) const {
    return Handle<T>::get(env_, object_.Get(key), key);
  }
  template <typename T>
  std::shared_ptr<T> optional_handle(const char* key) const {
    return has(key) ? handle<T>(key) : nullptr;
  }
  template <typename T>
  std::vector<std::shared_ptr<T>> handles(const char* key) const {
    std::vector<std::shared_ptr<T>> out;
    const auto list = array(key);
    for (uint32_t i = 0; i < list.Length(); ++i)
      out.push_back(Handle<T>::get(env_, list.Get(i), std::string(key) + "[]"));
    return out;
  }

 private:
  Napi::Error wrong(const std::string& key, const std::string& what) const {
    return to_js(env_, {"ERR_ARGUMENT", "Expected `" + key + "` to be " + what});
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> out;
    const auto names = object_.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) out.push_back(Napi::Value(names.Get(i)).As<Napi::String>());
    return out;
  }
  Napi::Array array(const char* key) const {
    auto value = object_.Get(key);
    if (!value.IsArray()) throw wrong(key, "an array");
    return value.As<Napi::Array>();
  }
  template <typename Array, typename Element>
  std::vector<Element> copy(const char* key, napi_typedarray_type type, const char* what) const {
    auto value = object_.Get(key);
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
      throw wrong(key, what);
    auto array = value.As<Array>();
    return std::vector<Element>(array.Data(), array.Data() + array.ElementLength());
  }

  Napi::Env env_;
  Napi::Object object_;
};

}  // namespace cortune
