// The one table from C++ exceptions to the codes of lib/errors.ts.
#pragma once
#include <exception>
#include <string>

#include "napi.h"

namespace cortune {

// An exception as JavaScript will see it: libtorch's C++ backtrace never reaches a user.
struct Failure {
  std::string code;
  std::string message;
};

Failure describe(std::exception_ptr error);
Napi::Error to_js(Napi::Env env, const Failure& failure);

// Runs `body`, throwing what it throws as a JavaScript error. For functions that run on the JavaScript
// thread.
template <typename Body>
auto guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js(env, describe(std::current_exception()));
  }
}

}  // namespace cortune
