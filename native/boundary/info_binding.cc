// What this build and this machine can do, for `cortune doctor`.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <cpuid.h>
#include <torch/version.h>

#include "args.h"
#include "bindings.h"

namespace cortune {
namespace {

// libtorch does not say which bf16 units a CPU has; CPUID does (Intel SDM, leaf 7).
struct Bf16Units {
  bool avx512 = false;
  bool amx = false;
};

Bf16Units bf16_units() {
  Bf16Units units;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
    units.amx = (d >> 22 & 1) && (d >> 24 & 1);                            // AMX-BF16 and AMX-TILE
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) units.avx512 = a >> 5 & 1;  // AVX512-BF16
  return units;
}

Napi::Value info(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  const auto units = bf16_units();
  auto object = Napi::Object::New(env);
  object.Set("libtorch", Napi::String::New(env, TORCH_VERSION));
  object.Set("cpuCapability", Napi::String::New(env, at::get_cpu_capability()));
  object.Set("threads", Napi::Number::New(env, Environment::of(env).compute().threads()));
  object.Set("bf16", Napi::Boolean::New(env, units.amx || units.avx512));
  object.Set("amx", Napi::Boolean::New(env, units.amx));
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
