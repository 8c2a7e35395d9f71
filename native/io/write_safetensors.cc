// Writes safetensors files so that a file with the final name is always whole.
#include "io/write_safetensors.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "error.h"
#include "io/header.h"
#include "io/json.h"

namespace cortune {
namespace {

// A write past the limit on file sizes (ulimit -f) raises SIGXFSZ, which would end the process: held back
// here, the write fails with EFBIG instead.
class HeldSizeSignal {
 public:
  HeldSizeSignal() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~HeldSizeSignal() {
    const timespec now{};
    while (::sigtimedwait(&signal_, nullptr, &now) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  HeldSizeSignal(const HeldSizeSignal&) = delete;
  HeldSizeSignal& operator=(const HeldSizeSignal&) = delete;

 private:
  sigset_t signal_;
  sigset_t before_;
};

// A file beside the wanted one, that becomes it on `commit` and vanishes otherwise.
class Draft {
 public:
  Draft(const std::string& path, uint64_t size) : path_(path), size_(size) {
    static std::atomic<int> serial{0};
    draft_ = path + "." + std::to_string(::getpid()) + "-" + std::to_string(serial++) + ".part";
    fd_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) refuse();
  }
  ~Draft() {
    if (fd_ >= 0) ::close(fd_);
    if (!committed_) ::unlink(draft_.c_str());
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void write(const void* data, uint64_t bytes, const Task& task) {
    constexpr uint64_t kPiece = 16 << 20;  // checks for cancellation between pieces
    const char* from = static_cast<const char*>(data);
    while (bytes > 0) {
      task.check();
      const ssize_t written = ::write(fd_, from, std::min(bytes, kPiece));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) refuse();
      from += written;
      bytes -= static_cast<uint64_t>(written);
    }
  }

  void commit() {
    if (::fsync(fd_) != 0) refuse();
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0 || ::rename(draft_.c_str(), path_.c_str()) != 0) refuse();
    committed_ = true;
    sync_folder();
  }

 private:
  // The name is in the folder: without this a crash of the system could lose it. Not every file system can;
  // the data is safe.
  void sync_folder() const {
    const size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
  }

  [[noreturn]] void refuse() const {
    const int reason = errno;
    const std::string what = "Could not write '" + path_ + "': " + std::strerror(reason) + ". ";
    if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG)
      fail(Code::kIo, what + "It needs " + std::to_string((size_ >> 20) + 1) +
                          " MiB; free some space, or choose another folder.");
    if (reason == ENOENT) fail(Code::kIo, what + "Create its folder first.");
    fail(Code::kIo, what + "Choose a folder that you may write to.");
  }

  std::string path_;
  std::string draft_;
  uint64_t size_;
  int fd_ = -1;
  bool committed_ = false;
};

std::string header_text(const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  const auto member = [&](const std::string& name) {
    text += (text.size() > 1 ? "," : "") + json_string(name) + ":";
  };
  if (!metadata.empty()) {
    member("__metadata__");
    std::string pairs;
    for (const auto& [key, value] : metadata)
      pairs += (pairs.empty() ? "" : ",") + json_string(key) + ":" + json_string(value);
    text += "{" + pairs + "}";
  }
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    member(name);
    std::string shape;
    for (const int64_t size : tensor.sizes()) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    text += R"({"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" + std::to_string(offset) + ",";
    offset += tensor.nbytes();
    text += std::to_string(offset) + "]}";
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');  // the numbers then start at a multiple of 8
  return text;
}

void check(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::unordered_set<std::string> seen;
  for (const auto& [name, tensor] : tensors) {
    if (name == "__metadata__" || !is_utf8(name))
      fail(Code::kArgument, "Expected a usable name of a tensor, got " + in_quotes(name) + ".");
    if (!seen.insert(name).second)
      fail(Code::kArgument, "Expected every tensor to have its own name, got " + in_quotes(name) + " twice.");
    if (tensor.scalar_type() != at::kFloat || !tensor.device().is_cpu())
      fail(Code::kInternal, "Expected tensor " + in_quotes(name) + " to be float32 on the CPU.");
  }
}

}  // namespace

void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata, const Task& task) {
  check(tensors);
  const std::string text = header_text(tensors, metadata);
  uint64_t size = 8 + text.size();
  for (const auto& [name, tensor] : tensors) size += tensor.nbytes();
  const HeldSizeSignal held;
  Draft draft(path, size);
  const uint64_t length = text.size();
  draft.write(&length, sizeof length, task);
  draft.write(text.data(), text.size(), task);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor whole = tensor.contiguous();
    draft.write(whole.data_ptr(), whole.nbytes(), task);
  }
  draft.commit();
}

}  // namespace cortune
