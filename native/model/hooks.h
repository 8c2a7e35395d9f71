// Places inside the blocks where a pass may be looked at and changed, without a copy of the model. Whoever
// looks (native/probe) is a Hooks; where a pass has none, or none that wants a place, layers compute as ever.
#pragma once
#include <cstdint>

#include "../pch.h"

namespace cortune {

enum class Point {
  kResidual,   // the input of a block: entry `layer` of hidden_states. [K, N, C]
  kHeads,      // what each head read, before the output projection. [K, N, H * D]
  kAttention,  // what the attention adds to the residual. [K, N, C]
  kMlp,        // what the MLP adds to it. [K, N, C]
};

// A pass with hooks has the lanes of the hooks: as many as its states, all with the effect of the pass's one
// tuned lane. Lanes may join and rows may leave at a place, and what was computed before follows by `fit`.
class Hooks {
 public:
  virtual ~Hooks() = default;
  virtual bool wants(Point point, int64_t layer) const = 0;
  // What the pass goes on with in the place of `x`.
  virtual at::Tensor at(Point point, int64_t layer, const at::Tensor& x) = 0;
  // `x`, computed elsewhere in the block, with the lanes and rows that the pass goes on with: lanes only
  // join, rows only leave.
  virtual at::Tensor fit(const at::Tensor& x, int64_t lanes, int64_t rows) {
    (void)lanes;
    (void)rows;
    return x;
  }
  virtual bool wants_weights(int64_t layer) const {
    (void)layer;
    return false;
  }
  // Attention weights of the sequences of a group, virtual keys first: [K * count, H, T, M + T]. What comes
  // back multiplies the values.
  virtual at::Tensor weights(int64_t layer, const at::Tensor& weights) {
    (void)layer;
    return weights;
  }
};

}  // namespace cortune
