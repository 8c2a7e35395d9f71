// A safetensors or GGUF file whose tensors are read on demand, as float32.
#include "io/tensor_file.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

#include "error.h"
#include "io/dequant.h"

namespace cortune {
namespace {

at::ScalarType scalar_type(Kind kind) {
  switch (kind) {
    case Kind::kF64:
      return at::kDouble;
    case Kind::kF32:
      return at::kFloat;
    case Kind::kF16:
      return at::kHalf;
    case Kind::kBF16:
      return at::kBFloat16;
    case Kind::kF8E4M3:
      return at::kFloat8_e4m3fn;
    case Kind::kF8E5M2:
      return at::kFloat8_e5m2;
    case Kind::kI64:
      return at::kLong;
    case Kind::kI32:
      return at::kInt;
    case Kind::kI16:
      return at::kShort;
    case Kind::kI8:
      return at::kChar;
    case Kind::kU64:
      return at::kUInt64;
    case Kind::kU32:
      return at::kUInt32;
    case Kind::kU16:
      return at::kUInt16;
    default:
      return at::kByte;  // U8, and BOOL, whose bytes may lie
  }
}

}  // namespace

TensorFile::TensorFile(std::shared_ptr<Mapping> mapping, Header header)
    : mapping_(std::move(mapping)), header_(std::move(header)) {
  for (size_t i = 0; i < header_.tensors.size(); ++i) places_.emplace(header_.tensors[i].name, i);
}

std::shared_ptr<TensorFile> TensorFile::open(const std::string& path) {
  auto mapping = Mapping::open(path);
  Header header = parse_header(mapping->data(), mapping->size(), path);
  return std::shared_ptr<TensorFile>(new TensorFile(std::move(mapping), std::move(header)));
}

const TensorEntry* TensorFile::find(const std::string& name) const {
  const auto place = places_.find(name);
  return place == places_.end() ? nullptr : &header_.tensors[place->second];
}

at::Tensor TensorFile::read(const std::string& name) const {
  const TensorEntry* entry = find(name);
  if (entry == nullptr)
    fail(Code::kNotFound,
         "Expected tensor " + in_quotes(name) + " in '" + path() + "', which has no such tensor.");
  return entry->dtype->block > 1 ? read_blocks(*entry) : read_numbers(*entry);
}

at::Tensor TensorFile::read_blocks(const TensorEntry& entry) const {
  at::Tensor out = at::empty(entry.shape, at::kFloat);
  const DType& dtype = *entry.dtype;
  const uint8_t* in = mapping_->data() + entry.offset;
  float* numbers = out.data_ptr<float>();
  const auto blocks = static_cast<int64_t>(entry.bytes / dtype.bytes);
  const int64_t grain = 65536 / static_cast<int64_t>(dtype.block);  // a quarter of a MiB of output
  at::parallel_for(0, blocks, grain, [&](int64_t begin, int64_t end) {
    dequantize(dtype.kind, in + begin * static_cast<int64_t>(dtype.bytes),
               numbers + begin * static_cast<int64_t>(dtype.block), end - begin);
  });
  mapping_->release(entry.offset, entry.bytes);  // read once; keeps the peak near the float32 size
  return out;
}

at::Tensor TensorFile::read_numbers(const TensorEntry& entry) const {
  const at::ScalarType type = scalar_type(entry.dtype->kind);
  uint8_t* bytes = mapping_->data() + entry.offset;
  const bool aligned = reinterpret_cast<uintptr_t>(bytes) % std::max<uint64_t>(entry.dtype->bytes, 1) == 0;
  at::Tensor stored;
  if (aligned) {
    // The deleter holds the mapping: it lives as long as the last tensor that views it.
    stored = at::from_blob(
        bytes, entry.shape, [mapping = mapping_](void*) {}, at::TensorOptions(type));
  } else {
    stored = at::empty(entry.shape, type);
    if (entry.bytes > 0) std::memcpy(stored.data_ptr(), bytes, entry.bytes);
  }
  if (type == at::kFloat) return stored;
  at::Tensor out = entry.dtype->kind == Kind::kBool ? stored.ne(0).to(at::kFloat) : stored.to(at::kFloat);
  stored.reset();
  mapping_->release(entry.offset, entry.bytes);
  return out;
}

at::Tensor read_weight(const TensorFile& file, const std::string& stored, const std::string& transform,
                       int64_t heads) {
  at::Tensor tensor = file.read(stored);
  if (transform.empty()) return tensor;
  const auto refuse = [&](const std::string& wanted) {
    fail(Code::kFormat, "Expected tensor " + in_quotes(stored) + " in '" + file.path() + "' to " + wanted +
                            ". The file does not fit this model.");
  };
  if (transform == "transpose") {
    if (tensor.dim() != 2) refuse("have two dimensions, got " + std::to_string(tensor.dim()));
    return tensor.t().contiguous();  // [in, out] -> [out, in]
  }
  if (transform == "top" || transform == "bottom") {
    if (tensor.dim() < 1 || tensor.size(0) % 2 != 0) refuse("have an even number of rows");
    return tensor.narrow(0, transform == "top" ? 0 : tensor.size(0) / 2, tensor.size(0) / 2).contiguous();
  }
  const bool unpermute = transform == "unpermute";
  if (!unpermute && transform != "regroup")
    fail(Code::kInternal, "Expected a known weight transform, got " + in_quotes(transform) + ".");
  const int64_t parts = unpermute ? 2 : 3;
  const int64_t rows = tensor.dim() < 1 ? 0 : tensor.size(0);
  if (heads < 1 || rows == 0 || rows % (parts * heads) != 0)
    refuse("have a multiple of " + std::to_string(parts * heads) + " rows, for " + std::to_string(heads) +
           " heads, got " + std::to_string(rows));
  const auto shape = tensor.sizes().vec();
  const int64_t d = rows / heads / parts;
  const int64_t in = tensor.numel() / rows;
  const at::Tensor swapped = unpermute
                                 ? tensor.reshape({heads, d, 2, in}).transpose(1, 2)   // [heads, 2, d, in]
                                 : tensor.reshape({3, heads, d, in}).transpose(0, 1);  // [heads, 3, d, in]
  return swapped.reshape(shape).contiguous();
}

}  // namespace cortune
