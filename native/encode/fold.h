// One piece of work of encoding: one layer and one outer fold.
#pragma once
#include <algorithm>

#include "encode.h"

namespace cortune {

// Values of an [n, A, t] block of one chunk of targets.
constexpr int64_t kChunkValues = int64_t{1} << 22;

// What all pieces of work share, and where they put their results.
struct Study {
  const at::Tensor& features;
  const at::Tensor& responses;
  const EncodeSpec& spec;
  const Task& task;
  at::Tensor alphas;
  EncodeScores& out;

  int64_t targets() const { return responses.size(1); }
  // Targets worked on at a time.
  int64_t chunk(int64_t n) const {
    return std::clamp(kChunkValues / (n * alphas.size(0)), int64_t{8}, std::max(targets(), int64_t{8}));
  }
};

// Scales, factors, chooses alphas, scores the test rows, and puts the scores at their place in `study.out`.
// Pieces may run side by side.
void encode_fold(const Study& study, int64_t layer, int64_t fold);

}  // namespace cortune
