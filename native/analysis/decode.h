// Decoding under permuted rows: 2v2 accuracy of fits that are made again.
#pragma once
#include "../encode/permute.h"
#include "match.h"

namespace cortune {

struct DecodeSpec {
  int64_t width = 0;  // columns of an embedding: targets that make up a row
  bool correlation = true;
  bool zscore = true;           // columns by the training rows of their fold; else as they are
  std::vector<int32_t> groups;  // [n]: rows are compared within their group only; empty for all with all
};

// 2v2 accuracy (match.h) of the held-out rows of all folds, as a score of fits under permutations.
BlockScore decoding_score(const DecodeSpec& spec);

}  // namespace cortune
