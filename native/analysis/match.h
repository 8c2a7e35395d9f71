// Matching: do predicted rows lie nearer to their own true row than to the others? 2v2 accuracy and ranks.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "../task.h"

namespace cortune {

struct MatchSpec {
  bool correlation = true;  // else cosine
  std::vector<int32_t>
      groups;  // [n]: only rows of one group are compared with each other; empty for one group
  std::vector<int32_t> orders;  // [P, n]: order[j] is the true row that takes the place of row j
};

struct MatchScores {
  std::vector<double> wins, pairs;  // [L]: pairs told apart, and all pairs
  std::vector<double> ranks;        // [L, n]: 1 is best; ties count half; NaN for a row without direction
  std::vector<double> baseline;     // [L, P]: share of pairs told apart under each order
};

// predicted [L, n, p] (or [n, p] for one layer), actual [n, p] or [L, n, p], float32. With s(i, j) the
// correlation (or cosine) of predicted row i and true row j, the pair i < j is told apart when s(i, i) + s(j,
// j) > s(i, j) + s(j, i) (Mitchell et al. 2008, Science 320, 1191). Rank of row i: 1 + how many j have s(i,
// j) > s(i, i).
//
// All s come from products in float32; what lies within their error bound is decided again by dot products in
// float64, so every comparison is the one that float64 makes.
MatchScores match_rows(const at::Tensor& predicted, const at::Tensor& actual, const MatchSpec& spec,
                       const Task& task);
// Of rows [n, p] of one layer, in their own order: share of pairs told apart, NaN where there are none.
double two_vs_two(const at::Tensor& predicted, const at::Tensor& actual, const MatchSpec& spec,
                  const Task& task);

}  // namespace cortune
