// Opaque, type-tagged JavaScript objects that own native values. `dispose()` frees at once and may be called
// again; use after it throws ERR_DISPOSED; garbage collection is the fallback. A running job holds the value
// itself, so disposing a handle under it is safe. The bytes a handle keeps alive are reported to V8.
#pragma once
#include <memory>
#include <string>

#include "environment.h"
#include "errors.h"
#include "napi.h"

namespace cortune {

// What a handle's class needs to know of T; specialised beside each binding.
//   static constexpr const char* kName; static const napi_type_tag kTag;
//   static int64_t bytes(const T&); static void describe(Napi::Env, const T&, Napi::Object into) - read-only
//   properties.
template <typename T>
struct HandleTraits;

template <typename T>
class Handle : public Napi::ObjectWrap<Handle<T>> {
  using Traits = HandleTraits<T>;

 public:
  static Napi::Object make(Napi::Env env, std::shared_ptr<T> value) {
    auto& constructor = class_of(env);
    auto object = constructor.New({});
    Handle* handle = Napi::ObjectWrap<Handle<T>>::Unwrap(object);
    handle->adopt(env, std::move(value));
    object.Set("kind", Napi::String::New(env, Traits::kName));
    Traits::describe(env, *handle->value_, object);
    return object;
  }

  // The value behind `argument`; `name` says which argument it is in errors.
  static std::shared_ptr<T> get(Napi::Env env, const Napi::Value& argument, const std::string& name) {
    if (!argument.IsObject() || !argument.As<Napi::Object>().CheckTypeTag(&Traits::kTag))
      throw to_js(env, {"ERR_ARGUMENT", "Expected `" + name + "` to be a " + Traits::kName + " handle"});
    Handle* handle = Napi::ObjectWrap<Handle<T>>::Unwrap(argument.As<Napi::Object>());
    if (!handle->value_)
      throw to_js(env, {"ERR_DISPOSED", "Expected `" + name + "` to be alive, but its dispose() was called"});
    return handle->value_;
  }

  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Handle<T>>(info) {
    info.This().As<Napi::Object>().TypeTag(&Traits::kTag);
  }
  ~Handle() override { release(); }

 private:
  static Napi::FunctionReference& class_of(Napi::Env env) {
    auto& reference = Environment::of(env).classes[Traits::kName];
    if (reference.IsEmpty()) {
      using Wrap = Napi::ObjectWrap<Handle<T>>;
      reference.Reset(Wrap::DefineClass(env, Traits::kName,
                                        {Wrap::InstanceMethod("dispose", &Handle::dispose),
                                         Wrap::template InstanceAccessor<&Handle::disposed>("disposed")}),
                      1);
      reference.SuppressDestruct();
    }
    return reference;
  }

  void adopt(Napi::Env env, std::shared_ptr<T> value) {
    env_ = env;
    value_ = std::move(value);
    bytes_ = Traits::bytes(*value_);
    Napi::MemoryManagement::AdjustExternalMemory(env, bytes_);
  }
  void release() {
    if (!value_) return;
    value_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(Napi::Env(env_), -bytes_);
  }
  Napi::Value dispose(const Napi::CallbackInfo& info) {
    release();
    return info.Env().Undefined();
  }
  Napi::Value disposed(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), !value_); }

  napi_env env_ = nullptr;
  std::shared_ptr<T> value_;
  int64_t bytes_ = 0;
};

}  // namespace cortune
