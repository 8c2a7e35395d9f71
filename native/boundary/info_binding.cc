// What this build and this machine can do, for `cortune doctor`.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <torch/version.h>

#include "args.h"
#include "bindings.h"

namespace cortune {
namespace {

Napi::Value info(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  const bool amx = at::cpu::is_amx_tile_supported();
  const bool bf16 = amx || at::cpu::is_avx512_bf16_supported();
  auto object = Napi::Object::New(env);
  object.Set("libtorch", Napi::String::New(env, TORCH_VERSION));
  object.Set("cpuCapability", Napi::String::New(env, at::get_cpu_capability()));
  object.Set("threads", Napi::Number::New(env, at::get_num_threads()));
  object.Set("bf16", Napi::Boolean::New(env, bf16));
  object.Set("amx", Napi::Boolean::New(env, amx));
  object.Set("cuda", Napi::Boolean::New(env, at::globalContext().hasCUDA()));
  object.Set("compiler", Napi::String::New(env, "C++ " __VERSION__));
  return object;
}

Napi::Value set_threads(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  const double threads = call[0].IsNumber() ? call[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(threads >= 1 && threads <= 1024) || threads != std::floor(threads))
    throw to_js(env, {"ERR_ARGUMENT", "Expected `threads` to be an integer from 1 to 1024"});
  Environment::of(env).compute().set_threads(static_cast<int>(threads));
  return env.Undefined();
}

}  // namespace

void export_info(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "info", info);
  export_function(env, exports, "setThreads", set_threads);
}

}  // namespace cortune
