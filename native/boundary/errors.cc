// The one table from C++ exceptions to the codes of lib/errors.ts.
#include "errors.h"

#include <new>

#include "../error.h"

namespace cortune {
namespace {

const char* name_of(Code code) {
  switch (code) {
    case Code::kArgument:
      return "ERR_ARGUMENT";
    case Code::kConfig:
      return "ERR_CONFIG";
    case Code::kData:
      return "ERR_DATA";
    case Code::kFormat:
      return "ERR_FORMAT";
    case Code::kNotFound:
      return "ERR_NOT_FOUND";
    case Code::kIo:
      return "ERR_IO";
    case Code::kMemory:
      return "ERR_MEMORY";
    case Code::kNumeric:
      return "ERR_NUMERIC";
    case Code::kCancelled:
      return "ERR_CANCELLED";
    case Code::kDisposed:
      return "ERR_DISPOSED";
    case Code::kInternal:
      break;
  }
  return "ERR_INTERNAL";
}

const char* const kNoMemory =
    "Not enough memory for this task. Use fewer lanes, shorter sequences or a smaller model.";

Failure describe_torch(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  // The CPU allocator reports exhaustion as a plain c10::Error.
  if (text.find("can't allocate memory") != std::string::npos ||
      text.find("out of memory") != std::string::npos)
    return {"ERR_MEMORY", kNoMemory};
  return {"ERR_INTERNAL", text};
}

}  // namespace

Failure describe(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return {name_of(e.code()), e.what()};
  } catch (const c10::Error& e) {
    return describe_torch(e);
  } catch (const std::bad_alloc&) {
    return {"ERR_MEMORY", kNoMemory};
  } catch (const std::exception& e) {
    return {"ERR_INTERNAL", e.what()};
  } catch (...) {
    return {"ERR_INTERNAL", "Unknown native error."};
  }
}

Napi::Error to_js(Napi::Env env, const Failure& failure) {
  Napi::Error error = failure.code == "ERR_ARGUMENT"
                          ? static_cast<Napi::Error>(Napi::TypeError::New(env, failure.message))
                          : Napi::Error::New(env, failure.message);
  error.Set("code", Napi::String::New(env, failure.code));
  return error;
}

}  // namespace cortune
