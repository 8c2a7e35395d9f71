// A small strict JSON reader for untrusted headers: bounded depth, no duplicate keys, valid UTF-8 only.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace cortune {

struct Json;
using JsonArray = std::vector<Json>;
using JsonObject = std::vector<std::pair<std::string, Json>>;  // in the order of the text
struct Json {
  // Whole numbers that fit are uint64_t, all others double.
  std::variant<std::nullptr_t, bool, uint64_t, double, std::string, JsonArray, JsonObject> value;

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&value);
  }
};

// What is wrong and where, without the name of the file.
class JsonError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws JsonError. Nesting deeper than `depth` is refused.
Json parse_json(std::string_view text, int depth = 8);

// `text` as a JSON string, quotes included.
std::string json_string(std::string_view text);

}  // namespace cortune
