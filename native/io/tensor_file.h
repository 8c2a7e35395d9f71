// A safetensors or GGUF file whose tensors are read on demand, as float32.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "io/header.h"
#include "io/mapping.h"

namespace cortune {

class TensorFile {
 public:
  // Maps the file and checks its whole header. Errors: kNotFound, kIo, kFormat.
  static std::shared_ptr<TensorFile> open(const std::string& path);

  const std::string& path() const { return mapping_->path(); }
  const Header& header() const { return header_; }
  const std::vector<TensorEntry>& entries() const { return header_.tensors; }
  const Metadata& metadata() const { return header_.metadata; }
  // Null when the file has no such tensor.
  const TensorEntry* find(const std::string& name) const;

  // Float32, contiguous, on the CPU. F32 is a view of the mapped file (copied only when it is not aligned to
  // 4 bytes) that keeps the mapping alive; writing to it changes the tensor and never the file. Every other
  // type is converted: exactly where float32 can hold the value, rounded to nearest otherwise. kNotFound when
  // the file has no such tensor.
  at::Tensor read(const std::string& name) const;

 private:
  TensorFile(std::shared_ptr<Mapping> mapping, Header header);
  at::Tensor read_blocks(const TensorEntry& entry) const;
  at::Tensor read_numbers(const TensorEntry& entry) const;

  std::shared_ptr<Mapping> mapping_;
  Header header_;
  std::unordered_map<std::string, size_t> places_;
};

// One weight as the model wants it, float32 and contiguous. `transform` is
//   ""           as stored,
//   "transpose"  stored [in, out], wanted [out, in],
//   "unpermute"  GGUF's rotary rows of the llama architecture, `heads` heads: [heads, d/2, 2, ...] back to
//   [heads, 2, d/2, ...],
//   "regroup"    GGUF's NeoX rows, all q, all k, all v: [3, heads, d, ...] back to [heads, 3, d, ...].
at::Tensor read_weight(const TensorFile& file, const std::string& stored, const std::string& transform,
                       int64_t heads);

}  // namespace cortune
