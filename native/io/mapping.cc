// A file mapped into memory for reading, shared by every tensor that views it.
#include "io/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "error.h"

namespace cortune {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void refuse(const std::string& path) {
  const int reason = errno;
  if (reason == ENOENT || reason == ENOTDIR)
    fail(Code::kNotFound, "Expected a file at '" + path + "', found nothing. Check the path.");
  fail(Code::kIo, "Could not read '" + path + "': " + std::strerror(reason) + ".");
}

}  // namespace

std::shared_ptr<Mapping> Mapping::open(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) refuse(path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) refuse(path);
  if (!S_ISREG(info.st_mode))
    fail(Code::kFormat,
         "Expected '" + path + "' to be a file, got a folder or a device. Give the path of a file.");
  if (info.st_size == 0)
    fail(Code::kFormat, "'" + path + "' is empty (0 bytes). Download or write it again.");
  const auto size = static_cast<uint64_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.get(), 0);
  if (data == MAP_FAILED) refuse(path);
  return std::shared_ptr<Mapping>(new Mapping(path, static_cast<uint8_t*>(data), size));
}

Mapping::~Mapping() { ::munmap(data_, size_); }

void Mapping::release(uint64_t offset, uint64_t bytes) const {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = (offset + page - 1) / page * page;
  const uint64_t end = (offset + bytes) / page * page;
  if (begin < end) ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

}  // namespace cortune
