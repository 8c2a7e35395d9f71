// One function per area puts its functions on the module's exports.
#pragma once
#include "errors.h"
#include "napi.h"

namespace cortune {

void export_info(Napi::Env env, Napi::Object exports);
void export_tensor(Napi::Env env, Napi::Object exports);
void export_io(Napi::Env env, Napi::Object exports);
void export_model(Napi::Env env, Napi::Object exports);
void export_embed(Napi::Env env, Napi::Object exports);
void export_probe(Napi::Env env, Napi::Object exports);
void export_generate(Napi::Env env, Napi::Object exports);
void export_tune(Napi::Env env, Napi::Object exports);
void export_encode(Napi::Env env, Napi::Object exports);
void export_analysis(Napi::Env env, Napi::Object exports);

// Exports `body(info)`, its C++ exceptions thrown as JavaScript errors with codes.
template <typename Body>
void export_function(Napi::Env env, Napi::Object exports, const char* name, Body body) {
  exports.Set(name, Napi::Function::New(
                        env,
                        [body](const Napi::CallbackInfo& info) -> Napi::Value {
                          return guarded(info.Env(), [&] { return body(info); });
                        },
                        name));
}

}  // namespace cortune
