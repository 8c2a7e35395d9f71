// The one exception of native code: a code of lib/errors.ts and a sentence for people.
#pragma once
#include <stdexcept>
#include <string>

namespace cortune {

enum class Code {
  kArgument,
  kConfig,
  kData,
  kFormat,
  kNotFound,
  kIo,
  kMemory,
  kNumeric,
  kCancelled,
  kDisposed,
  kInternal
};

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

[[noreturn]] inline void fail(Code code, const std::string& message) { throw Error(code, message); }

}  // namespace cortune
