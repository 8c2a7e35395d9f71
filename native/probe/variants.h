// Variants of a pass: parts of the model put to zero, to their mean, or to what they are when the model reads
// something else. Each variant is a lane that joins the pass where it first differs, so what lies below is
// computed once; nothing of the model is copied.
#pragma once
#include <vector>

#include "../task.h"
#include "frame.h"

namespace cortune {

// What a part is put to. kOther: its value for the other reading of the same item, at the same rows.
enum class Instead { kZero, kMean, kOther };

struct Edit {
  int64_t variant = 0;
  Point point = Point::kHeads;
  int64_t layer = 0;
  int64_t head = -1;      // of kHeads; -1 for all
  int64_t position = -1;  // token of every item; -1 for all
  Instead instead = Instead::kZero;
};

struct VariantArgs {
  std::vector<std::vector<int32_t>> items;
  std::vector<std::vector<int32_t>> others;     // [items], each as long as its item; empty for none
  std::vector<std::vector<int32_t>> reference;  // whose tokens means are of; empty for none
  std::vector<ScoredToken> scored;
  std::vector<Edit> edits;  // ascending by variant
  int64_t variants = 0;
  int64_t rows = 0;      // of one lane's pass, at most (a longer item still runs)
  int64_t together = 0;  // rows of all lanes of a pass, about
  bool half = false;
};

// Each [1 + V, scored] (with others [2 + V, scored], theirs second): the unchanged model, then every variant.
struct VariantScores {
  at::Tensor log_p;  // float64, natural logarithm
  at::Tensor hits;   // float64: 1 where the token is the likeliest of the vocabulary
};

VariantScores score_variants(const Model& model, const Delta* delta, const VariantArgs& args,
                             const Task& task);

}  // namespace cortune
