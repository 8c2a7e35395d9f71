// How sequences lie in the packed rows of a pass: one after the other, no padding; attention works per
// sequence.
#pragma once
#include <cstdint>
#include <vector>

#include "../pch.h"

namespace cortune {

// Neighbouring sequences of equal length attend in one call.
struct Group {
  int64_t row;    // first row
  int64_t count;  // sequences
  int64_t length;
};

struct Layout {
  at::Tensor ids;        // [N] int64
  at::Tensor positions;  // [N] int64, from 0 in each sequence
  std::vector<Group> groups;
  int64_t rows = 0;
  int64_t longest = 0;

  // `sequences` are spans of `ids`; groups form where neighbours are equally long, so sort by length to get
  // few.
  static Layout pack(const std::vector<std::vector<int32_t>>& sequences);
};

}  // namespace cortune
