// A file mapped into memory for reading, shared by every tensor that views it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace cortune {

// Pages are private copy-on-write: a tensor that views them may be written to, the file never changes.
class Mapping {
 public:
  // Fails with kNotFound when there is no such file, kIo when the system refuses, kFormat for a folder or an
  // empty file.
  static std::shared_ptr<Mapping> open(const std::string& path);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // Gives whole pages inside the range back to the system (they are read again when touched). Only for bytes
  // that no tensor views: a changed page would lose its changes.
  void release(uint64_t offset, uint64_t bytes) const;

 private:
  Mapping(std::string path, uint8_t* data, uint64_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::string path_;
  uint8_t* data_;
  uint64_t size_;
};

}  // namespace cortune
