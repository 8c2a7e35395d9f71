// Reads GGUF headers, versions 2 and 3: key-value pairs, tensor descriptions, then aligned data.
#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "error.h"
#include "io/header.h"

namespace cortune {
namespace {

constexpr int kDeepest = 4;  // arrays of arrays; no known file has any
constexpr uint32_t kMostDims = 4;
constexpr uint64_t kSmallestPair = 8 + 4 + 1;        // key length, type, one byte of value
constexpr uint64_t kSmallestTensor = 8 + 4 + 4 + 8;  // name length, dims, type, offset

enum ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

// The least bytes a value of the type takes; 0 for an unknown type.
uint64_t smallest(uint32_t type) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    case kU64:
    case kI64:
    case kF64:
    case kString:
      return 8;
    case kArray:
      return 12;
    default:
      return 0;
  }
}

class Reader {
 public:
  Reader(const uint8_t* data, uint64_t size, const std::string& path)
      : data_(data), size_(size), path_(path) {}

  Header read() {
    Header header;
    header.format = "gguf";
    at_ = 4;  // "GGUF"
    check_version(number<uint32_t>("the version"));
    const auto tensors = count("tensors", kSmallestTensor);
    const auto pairs = count("metadata entries", kSmallestPair);
    read_metadata(pairs, &header.metadata);
    const uint64_t alignment = find_alignment(header.metadata);
    for (uint64_t i = 0; i < tensors; ++i) header.tensors.push_back(tensor(alignment));
    place(alignment, &header.tensors);
    return header;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const {
    fail(Code::kFormat, "'" + path_ + "' is not a whole GGUF file: " + what + ". Download it again.");
  }
  [[noreturn]] void wrong(const std::string& name, const std::string& what) const {
    wrong("tensor " + in_quotes(name) + " " + what);
  }

  uint64_t left() const { return size_ - at_; }

  template <typename T>
  T number(const char* what) {
    if (left() < sizeof(T)) wrong(std::string("it ends within ") + what);
    T value;
    std::memcpy(&value, data_ + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  // A count of things that follow, each of at least `each` bytes: never more than the file can hold.
  uint64_t count(const char* what, uint64_t each) {
    const auto value = number<uint64_t>(what);
    if (value > left() / each)
      wrong("it should hold " + std::to_string(value) + " " + what + ", more than fit into it");
    return value;
  }

  std::string string(const char* what) {
    const auto length = number<uint64_t>(what);
    if (length > left())
      wrong(std::string(what) + " would be " + std::to_string(length) + " bytes long, past the end");
    std::string text(reinterpret_cast<const char*>(data_) + at_, length);
    at_ += length;
    if (!is_utf8(text)) wrong(std::string(what) + " " + in_quotes(text) + " is not UTF-8");
    return text;
  }

  void check_version(uint32_t version) const {
    if (version == 2 || version == 3) return;
    const std::string what =
        __builtin_bswap32(version) <= 3 ? "a big-endian file" : "version " + std::to_string(version);
    fail(Code::kFormat,
         "'" + path_ +
             "' is GGUF of a kind that cannot be read: expected version 2 or 3, little-endian, got " + what +
             ". Convert the model again with a current llama.cpp.");
  }

  void read_metadata(uint64_t pairs, Metadata* out) {
    std::unordered_set<std::string> seen;
    for (uint64_t i = 0; i < pairs; ++i) {
      std::string key = string("a metadata key");
      if (!seen.insert(key).second) wrong("metadata key " + in_quotes(key) + " occurs twice");
      MetaValue entry = value(number<uint32_t>("a metadata type"), key, kDeepest);
      out->emplace_back(std::move(key), std::move(entry));
    }
  }

  template <typename T>
  MetaValue real() {
    return {static_cast<double>(number<T>("a metadata value"))};
  }

  MetaValue value(uint32_t type, const std::string& key, int depth) {
    switch (type) {
      case kU8:
        return real<uint8_t>();
      case kI8:
        return real<int8_t>();
      case kU16:
        return real<uint16_t>();
      case kI16:
        return real<int16_t>();
      case kU32:
        return real<uint32_t>();
      case kI32:
        return real<int32_t>();
      case kF32:
        return real<float>();
      case kU64:
        return real<uint64_t>();
      case kI64:
        return real<int64_t>();
      case kF64:
        return real<double>();
      case kBool:
        return boolean(key);
      case kString:
        return {string("a metadata string")};
      case kArray:
        return array(key, depth);
      default:
        wrong("metadata " + in_quotes(key) + " has the unknown type " + std::to_string(type));
    }
  }

  MetaValue boolean(const std::string& key) {
    const auto byte = number<uint8_t>("a metadata value");
    if (byte > 1) wrong("metadata " + in_quotes(key) + " is a boolean of value " + std::to_string(byte));
    return {byte == 1};
  }

  MetaValue array(const std::string& key, int depth) {
    if (depth == 0) wrong("metadata " + in_quotes(key) + " nests arrays too deep");
    const auto type = number<uint32_t>("a metadata type");
    const uint64_t each = smallest(type);
    if (each == 0)
      wrong("metadata " + in_quotes(key) + " is an array of the unknown type " + std::to_string(type));
    const uint64_t items = count("array items", each);
    MetaArray out;
    out.reserve(items);
    for (uint64_t i = 0; i < items; ++i) out.push_back(value(type, key, depth - 1));
    return {std::move(out)};
  }

  uint64_t find_alignment(const Metadata& metadata) const {
    for (const auto& [key, entry] : metadata) {
      if (key != "general.alignment") continue;
      const double* value = std::get_if<double>(&entry.value);
      if (value == nullptr || !(*value >= 1 && *value <= 1 << 20) ||
          !std::has_single_bit(static_cast<uint64_t>(*value)))
        wrong("its `general.alignment` is not a power of two");
      return static_cast<uint64_t>(*value);
    }
    return 32;
  }

  TensorEntry tensor(uint64_t alignment) {
    TensorEntry entry;
    entry.name = string("a tensor name");
    if (entry.name.empty()) wrong("it holds a tensor without a name");
    const auto dims = number<uint32_t>("a tensor's dimensions");
    if (dims > kMostDims) wrong(entry.name, "has " + std::to_string(dims) + " dimensions; the most is 4");
    for (uint32_t i = 0; i < dims; ++i) {
      const auto size = number<uint64_t>("a tensor's shape");
      if (size > INT64_MAX) wrong(entry.name, "has a shape whose size overflows");
      entry.shape.insert(entry.shape.begin(), static_cast<int64_t>(size));  // stored innermost first
    }
    const auto type = number<uint32_t>("a tensor's type");
    entry.dtype = gguf_dtype(type);
    if (entry.dtype == nullptr)
      fail(Code::kFormat, "'" + path_ + "' holds tensor " + in_quotes(entry.name) + " of ggml type number " +
                              std::to_string(type) + ". Expected one of " + gguf_dtypes() +
                              "; take the model in one of these.");
    entry.offset = number<uint64_t>("a tensor's offset");
    if (entry.offset % alignment != 0)
      wrong(entry.name, "starts at an offset that is not a multiple of " + std::to_string(alignment));
    if (!tensor_bytes(entry.shape, *entry.dtype, &entry.bytes))
      wrong(entry.name,
            std::string("has a shape that overflows or does not fill whole blocks of ") + entry.dtype->name);
    return entry;
  }

  // Offsets become those of the file, and are checked to lie in it, apart from each other.
  void place(uint64_t alignment, std::vector<TensorEntry>* tensors) const {
    if (tensors->empty()) return;
    const uint64_t body = (at_ + alignment - 1) / alignment * alignment;
    if (body > size_) wrong("it ends before the data of its tensors");
    const uint64_t room = size_ - body;
    std::unordered_set<std::string_view> seen;
    std::vector<const TensorEntry*> order;
    for (TensorEntry& entry : *tensors) {
      if (!seen.insert(entry.name).second) wrong(entry.name, "occurs twice");
      if (entry.offset > room || entry.bytes > room - entry.offset)
        wrong(entry.name, "needs " + std::to_string(entry.bytes) + " bytes at byte " +
                              std::to_string(entry.offset) + " of the data, which has " +
                              std::to_string(room));
      entry.offset += body;
      order.push_back(&entry);
    }
    std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
      return std::pair(a->offset, a->offset + a->bytes) < std::pair(b->offset, b->offset + b->bytes);
    });
    for (size_t i = 1; i < order.size(); ++i)
      if (order[i]->offset < order[i - 1]->offset + order[i - 1]->bytes)
        wrong(order[i]->name, "overlaps " + in_quotes(order[i - 1]->name));
  }

  const uint8_t* data_;
  uint64_t size_;
  const std::string& path_;
  uint64_t at_ = 0;
};

}  // namespace

Header parse_gguf(const uint8_t* data, uint64_t size, const std::string& path) {
  if (size < 4 || std::memcmp(data, "GGUF", 4) != 0)
    fail(Code::kFormat, "'" + path + "' is not a GGUF file: it does not start with GGUF.");
  return Reader(data, size, path).read();
}

}  // namespace cortune
