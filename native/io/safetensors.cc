// Reads safetensors headers: 8 bytes of length, JSON, then the numbers, without holes or overlaps.
#include <algorithm>
#include <cstring>

#include "error.h"
#include "io/header.h"
#include "io/json.h"

namespace cortune {
namespace {

constexpr uint64_t kLongestHeader = 100'000'000;  // as the reference implementation has it

class Reader {
 public:
  Reader(const uint8_t* data, uint64_t size, const std::string& path)
      : data_(data), size_(size), path_(path) {}

  Header read() {
    Header header;
    header.format = "safetensors";
    const Json json = document();
    const JsonObject* members = json.as<JsonObject>();
    if (members == nullptr) wrong("its header is not a JSON object");
    for (const auto& [name, value] : *members) {
      if (name == "__metadata__")
        header.metadata = metadata(value);
      else
        header.tensors.push_back(tensor(name, value));
    }
    check_layout(header.tensors);
    return header;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const {
    fail(Code::kFormat,
         "'" + path_ + "' is not a whole safetensors file: " + what + ". Download or write it again.");
  }
  [[noreturn]] void wrong(const std::string& name, const std::string& what) const {
    wrong("tensor " + in_quotes(name) + " " + what);
  }

  Json document() {
    if (size_ < 8)
      wrong("it has " + std::to_string(size_) + " bytes, fewer than the 8 of the header's length");
    uint64_t length = 0;
    std::memcpy(&length, data_, 8);
    if (length > kLongestHeader)
      wrong("its header would be " + std::to_string(length) + " bytes long, more than the format allows");
    if (length > size_ - 8)
      wrong("its header should have " + std::to_string(length) + " bytes, but only " +
            std::to_string(size_ - 8) + " follow");
    body_ = 8 + length;
    try {
      return parse_json({reinterpret_cast<const char*>(data_) + 8, length});
    } catch (const JsonError& error) {
      wrong(std::string("its header has ") + error.what());
    }
  }

  Metadata metadata(const Json& json) const {
    const JsonObject* members = json.as<JsonObject>();
    if (members == nullptr) wrong("its __metadata__ is not an object");
    Metadata out;
    for (const auto& [name, value] : *members) {
      const std::string* text = value.as<std::string>();
      if (text == nullptr) wrong("its __metadata__ holds " + in_quotes(name) + " that is not a string");
      out.push_back({name, MetaValue{*text}});
    }
    return out;
  }

  std::vector<uint64_t> whole_numbers(const std::string& name, const Json& json, const char* key) const {
    const JsonArray* items = json.as<JsonArray>();
    if (items == nullptr) wrong(name, std::string("has no array `") + key + "`");
    std::vector<uint64_t> out;
    for (const Json& item : *items) {
      const uint64_t* number = item.as<uint64_t>();
      if (number == nullptr || *number > INT64_MAX)
        wrong(name, std::string("has a `") + key + "` that is not whole numbers from 0");
      out.push_back(*number);
    }
    return out;
  }

  TensorEntry tensor(const std::string& name, const Json& json) const {
    const JsonObject* members = json.as<JsonObject>();
    if (members == nullptr) wrong(name, "is not described by an object");
    const auto find = [&](const char* key) -> const Json& {
      for (const auto& [member, value] : *members)
        if (member == key) return value;
      wrong(name, std::string("lacks `") + key + "`");
    };
    TensorEntry entry;
    entry.name = name;
    const std::string* dtype = find("dtype").as<std::string>();
    if (dtype == nullptr) wrong(name, "has a `dtype` that is not a string");
    entry.dtype = safetensors_dtype(*dtype);
    if (entry.dtype == nullptr)
      fail(Code::kFormat, "'" + path_ + "' holds tensor " + in_quotes(name) + " of type " +
                              in_quotes(*dtype) + ". Expected one of " + safetensors_dtypes() +
                              "; convert it.");
    for (const uint64_t size : whole_numbers(name, find("shape"), "shape"))
      entry.shape.push_back(static_cast<int64_t>(size));
    const std::vector<uint64_t> range = whole_numbers(name, find("data_offsets"), "data_offsets");
    if (range.size() != 2 || range[0] > range[1]) wrong(name, "has `data_offsets` that are not [begin, end]");
    if (range[1] > size_ - body_)
      wrong(name, "ends at byte " + std::to_string(range[1]) + " of the data, past its end at " +
                      std::to_string(size_ - body_));
    if (!tensor_bytes(entry.shape, *entry.dtype, &entry.bytes))
      wrong(name, "has a shape whose size overflows");
    if (entry.bytes != range[1] - range[0])
      wrong(name, "needs " + std::to_string(entry.bytes) + " bytes for its shape and type, but has " +
                      std::to_string(range[1] - range[0]));
    entry.offset = body_ + range[0];
    return entry;
  }

  void check_layout(const std::vector<TensorEntry>& tensors) const {
    std::vector<const TensorEntry*> order;
    for (const TensorEntry& entry : tensors) order.push_back(&entry);
    std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
      return std::pair(a->offset, a->offset + a->bytes) < std::pair(b->offset, b->offset + b->bytes);
    });
    uint64_t end = body_;
    for (const TensorEntry* entry : order) {
      if (entry->offset < end) wrong(entry->name, "overlaps another tensor");
      if (entry->offset > end)
        wrong(entry->name, "leaves a hole of " + std::to_string(entry->offset - end) + " bytes before it");
      end = entry->offset + entry->bytes;
    }
    if (end != size_) wrong("it has " + std::to_string(size_ - end) + " bytes that belong to no tensor");
  }

  const uint8_t* data_;
  uint64_t size_;
  const std::string& path_;
  uint64_t body_ = 0;
};

}  // namespace

Header parse_safetensors(const uint8_t* data, uint64_t size, const std::string& path) {
  return Reader(data, size, path).read();
}

}  // namespace cortune
