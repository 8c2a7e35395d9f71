// The packed sequences of an argument object (Packed in lib/native/types.ts).
#pragma once
#include <numeric>
#include <string>
#include <vector>

#include "../error.h"
#include "args.h"
#include "model_handles.h"
#include "train/objective.h"

namespace cortune {

// Cuts `values`, called `name` in messages, into pieces of `lengths`; every piece holds at least one value
// and together they hold all.
template <typename T>
std::vector<std::vector<T>> cut(const std::string& name, const std::vector<T>& values,
                                const std::vector<int32_t>& lengths) {
  for (const auto length : lengths)
    if (length < 1)
      fail(Code::kData, "Expected every sequence to have a token, got one of " + std::to_string(length) +
                            ". Remove empty stimuli.");
  const auto sum = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  if (sum != static_cast<int64_t>(values.size()))
    fail(Code::kArgument, "Expected `lengths` to sum to the " + std::to_string(values.size()) +
                              " values of `" + name + "`, got " + std::to_string(sum) + ".");
  std::vector<std::vector<T>> pieces;
  auto at = values.begin();
  for (const auto length : lengths) {
    pieces.emplace_back(at, at + length);
    at += length;
  }
  return pieces;
}

// Sequences with what is to be learnt of each: Packed with `labels`, a number a token or a number a sequence.
inline Examples read_examples(const Args& args, bool of_tokens) {
  const auto lengths = args.int32s("lengths");
  return {cut("ids", args.int32s("ids"), lengths),
          cut("labels", args.floats("labels"), of_tokens ? lengths : std::vector<int32_t>(lengths.size(), 1)),
          args.optional_handle<Images>("images")};
}

inline std::vector<std::vector<int32_t>> read_sequences(const Args& args) {
  return cut("ids", args.int32s("ids"), args.int32s("lengths"));
}

}  // namespace cortune
