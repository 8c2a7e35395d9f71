// The packed sequences of an argument object (Packed in lib/native/types.ts).
#pragma once
#include <numeric>
#include <string>
#include <vector>

#include "../error.h"
#include "args.h"

namespace cortune {

// Cuts `values` into pieces of `lengths`; every piece holds at least one value and together they hold all.
template <typename T>
std::vector<std::vector<T>> cut(const std::vector<T>& values, const std::vector<int32_t>& lengths) {
  std::vector<std::vector<T>> pieces;
  size_t at = 0;
  for (const auto length : lengths) {
    if (length < 1) fail(Code::kData, "Expected every sequence to have a token, got one of " + std::to_string(length) + ". Remove empty stimuli.");
    if (at + static_cast<size_t>(length) > values.size()) break;
    pieces.emplace_back(values.begin() + at, values.begin() + at + length);
    at += length;
  }
  if (at != values.size() || pieces.size() != lengths.size())
    fail(Code::kArgument, "Expected `lengths` to sum to the " + std::to_string(values.size()) + " packed values, got " +
                              std::to_string(std::accumulate(lengths.begin(), lengths.end(), int64_t{0})) + ".");
  return pieces;
}

inline std::vector<std::vector<int32_t>> read_sequences(const Args& args) { return cut(args.int32s("ids"), args.int32s("lengths")); }

}  // namespace cortune
