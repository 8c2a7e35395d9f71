// Vocabulary projection and cross-entropy as one chunked operation: never holds [N, V], skips tokens without
// a label.
#pragma once
#include <vector>

#include "../model/layout.h"
#include "../model/model.h"

namespace cortune {

// Which rows predict what: row i predicts targets[i].
struct NextTokens {
  at::Tensor rows;     // [M] int64
  at::Tensor targets;  // [M] int64
  int64_t words =
      0;  // the first of them, which are predicted by a word: all that lanes without a prompt have
};

// Every labelled word is predicted by the row before it; the first of a sequence has one in lanes with a
// prompt only. `labels` of all words in their order.
NextTokens next_tokens(const Layout& layout, const std::vector<uint8_t>& labels);

// Mean next-token cross-entropy (nats) of each lane. [K], differentiable in the model's trained parts.
at::Tensor causal_loss(const Model& model, const Pass& pass, const at::Tensor& finished,
                       const NextTokens& next);

}  // namespace cortune
