// What the header of a tensor file says, checked against the file's size, whatever the format.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace cortune {

// How numbers are stored. The quantised kinds are llama.cpp's block formats.
enum class Kind {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K,
};

struct DType {
  Kind kind;
  const char* name;
  uint64_t block;  // numbers in a block
  uint64_t bytes;  // bytes of a block
};

// Null for a name or number that is unknown (or known and not readable).
const DType* safetensors_dtype(std::string_view name);
const DType* gguf_dtype(uint32_t number);
// Names of all readable types, for messages.
std::string safetensors_dtypes();
std::string gguf_dtypes();

struct TensorEntry {
  std::string name;
  const DType* dtype = nullptr;
  std::vector<int64_t> shape;  // outermost first, as torch has it
  uint64_t offset = 0;         // from the start of the file
  uint64_t bytes = 0;
};

struct MetaValue;
using MetaArray = std::vector<MetaValue>;
struct MetaValue {
  std::variant<bool, double, std::string, MetaArray> value;
};
using Metadata = std::vector<std::pair<std::string, MetaValue>>;

struct Header {
  const char* format = "";  // "safetensors" | "gguf"
  std::vector<TensorEntry> tensors;
  Metadata metadata;
};

// Each reads a whole file that lies in memory, and fails with kFormat and one sentence that names `path` and
// the fault. Nothing outside [data, data + size) is ever touched, whatever the file says.
Header parse_safetensors(const uint8_t* data, uint64_t size, const std::string& path);
Header parse_gguf(const uint8_t* data, uint64_t size, const std::string& path);
// Chooses by the first bytes.
Header parse_header(const uint8_t* data, uint64_t size, const std::string& path);

// Shared by both parsers.
bool is_utf8(std::string_view text);
// Product of the shape, times bytes of the type; false when it overflows or a row does not fill whole blocks.
bool tensor_bytes(const std::vector<int64_t>& shape, const DType& dtype, uint64_t* bytes);
// A name in a message: quoted, short, printable.
std::string in_quotes(std::string_view name);

}  // namespace cortune
