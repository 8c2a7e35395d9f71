// One piece of work of encoding: one layer and one outer fold.
#pragma once
#include <algorithm>

#include "encode.h"

namespace cortune {

// Values of an [n, A, t] block of one tile of targets, in float64.
constexpr int64_t kTileValues = int64_t{1} << 22;
// Targets in one tile, in float32: whole tiles lie at the same places whatever is done side by side, so
// scores have the same bits.
constexpr int64_t kTileTargets = 1024;

// What all pieces of work share, and where they put their results.
struct Study {
  const at::Tensor& features;
  const Responses& responses;
  const EncodeSpec& spec;
  const Task& task;
  at::Tensor alphas;
  at::Tensor row_weights;  // [n] or undefined
  double kept_bytes;       // residuals that a piece of work may keep for a second use
  EncodeScores& out;

  int64_t targets() const { return responses.targets(); }
  // Targets worked on at a time.
  int64_t tile(int64_t n) const {
    return spec.single ? kTileTargets
                       : std::clamp(kTileValues / (n * alphas.size(0)), int64_t{8}, int64_t{4096});
  }
};

// Scales, factors, chooses alphas, scores the test rows, and puts the scores at their place in `study.out`.
// Pieces may run side by side. `progress` is called after every tile.
void encode_fold(const Study& study, int64_t layer, int64_t fold,
                 const std::function<void(int64_t)>& progress);

}  // namespace cortune
