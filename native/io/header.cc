// The type tables and checks that both header parsers share.
#include "io/header.h"

#include <array>
#include <cstring>

#include "error.h"

namespace cortune {
namespace {

constexpr std::array kSafetensors{
    DType{Kind::kF64, "F64", 1, 8},        DType{Kind::kF32, "F32", 1, 4},
    DType{Kind::kF16, "F16", 1, 2},        DType{Kind::kBF16, "BF16", 1, 2},
    DType{Kind::kF8E4M3, "F8_E4M3", 1, 1}, DType{Kind::kF8E5M2, "F8_E5M2", 1, 1},
    DType{Kind::kI64, "I64", 1, 8},        DType{Kind::kI32, "I32", 1, 4},
    DType{Kind::kI16, "I16", 1, 2},        DType{Kind::kI8, "I8", 1, 1},
    DType{Kind::kU64, "U64", 1, 8},        DType{Kind::kU32, "U32", 1, 4},
    DType{Kind::kU16, "U16", 1, 2},        DType{Kind::kU8, "U8", 1, 1},
    DType{Kind::kBool, "BOOL", 1, 1},
};

struct Numbered {
  uint32_t number;  // ggml_type
  DType dtype;
};
constexpr std::array kGguf{
    Numbered{0, {Kind::kF32, "F32", 1, 4}},        Numbered{1, {Kind::kF16, "F16", 1, 2}},
    Numbered{2, {Kind::kQ4_0, "Q4_0", 32, 18}},    Numbered{3, {Kind::kQ4_1, "Q4_1", 32, 20}},
    Numbered{6, {Kind::kQ5_0, "Q5_0", 32, 22}},    Numbered{7, {Kind::kQ5_1, "Q5_1", 32, 24}},
    Numbered{8, {Kind::kQ8_0, "Q8_0", 32, 34}},    Numbered{12, {Kind::kQ4_K, "Q4_K", 256, 144}},
    Numbered{13, {Kind::kQ5_K, "Q5_K", 256, 176}}, Numbered{14, {Kind::kQ6_K, "Q6_K", 256, 210}},
    Numbered{24, {Kind::kI8, "I8", 1, 1}},         Numbered{25, {Kind::kI16, "I16", 1, 2}},
    Numbered{26, {Kind::kI32, "I32", 1, 4}},       Numbered{27, {Kind::kI64, "I64", 1, 8}},
    Numbered{28, {Kind::kF64, "F64", 1, 8}},       Numbered{30, {Kind::kBF16, "BF16", 1, 2}},
};

bool continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// Length of the well-formed sequence at `text` (Unicode 15, table 3-7), 0 for none.
size_t sequence_length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return text.size() > 1 && continuation(at(1)) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (text.size() < 3 || !continuation(at(1)) || !continuation(at(2))) return 0;
    if (first == 0xE0 && at(1) < 0xA0) return 0;  // overlong
    if (first == 0xED && at(1) > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (text.size() < 4 || !continuation(at(1)) || !continuation(at(2)) || !continuation(at(3))) return 0;
    if (first == 0xF0 && at(1) < 0x90) return 0;  // overlong
    if (first == 0xF4 && at(1) > 0x8F) return 0;  // past U+10FFFF
    return 4;
  }
  return 0;
}

}  // namespace

const DType* safetensors_dtype(std::string_view name) {
  for (const DType& dtype : kSafetensors)
    if (name == dtype.name) return &dtype;
  return nullptr;
}

const DType* gguf_dtype(uint32_t number) {
  for (const Numbered& row : kGguf)
    if (number == row.number) return &row.dtype;
  return nullptr;
}

std::string safetensors_dtypes() {
  std::string names;
  for (const DType& dtype : kSafetensors) names += (names.empty() ? "" : ", ") + std::string(dtype.name);
  return names;
}

std::string gguf_dtypes() {
  std::string names;
  for (const Numbered& row : kGguf) names += (names.empty() ? "" : ", ") + std::string(row.dtype.name);
  return names;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool tensor_bytes(const std::vector<int64_t>& shape, const DType& dtype, uint64_t* bytes) {
  int64_t count = 1;
  for (const int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return false;
  const auto block = static_cast<int64_t>(dtype.block);
  if (block > 1 && (shape.empty() || shape.back() % block != 0)) return false;
  int64_t total = 0;
  if (__builtin_mul_overflow(count / block, static_cast<int64_t>(dtype.bytes), &total)) return false;
  *bytes = static_cast<uint64_t>(total);
  return true;
}

std::string in_quotes(std::string_view name) {
  constexpr size_t kLongest = 80;
  std::string text = "'";
  for (const char letter : name.substr(0, kLongest)) text += letter >= 0x20 && letter < 0x7F ? letter : '?';
  return text + (name.size() > kLongest ? "...'" : "'");
}

Header parse_header(const uint8_t* data, uint64_t size, const std::string& path) {
  if (size >= 4 && std::memcmp(data, "GGUF", 4) == 0) return parse_gguf(data, size, path);
  // A safetensors header starts after 8 bytes of length; any other known first bytes deserve their own
  // answer.
  if (size >= 2 && std::memcmp(data, "PK", 2) == 0)
    fail(Code::kFormat, "'" + path +
                            "' is a zip (a PyTorch checkpoint?). Expected a safetensors or GGUF file; "
                            "convert it to safetensors.");
  if (size >= 7 && std::memcmp(data, "version", 7) == 0)
    fail(Code::kFormat,
         "'" + path + "' is a Git LFS pointer, not the weights. Fetch it with `git lfs pull`.");
  return parse_safetensors(data, size, path);
}

}  // namespace cortune
