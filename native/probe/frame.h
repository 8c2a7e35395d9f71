// Items as one pass reads them: which of them share it, the rows that are scored, and the scores of states.
#pragma once
#include <cstdint>
#include <vector>

#include "../model/model.h"

namespace cortune {

// Token `token` of item `item` is expected after position `position` of its sequence.
struct ScoredToken {
  int64_t item, position, token;
};

// Items that run in one pass, sorted; each begins like the one before it for `before` tokens, which are
// computed once (Layout::pack_tree).
struct ItemBatch {
  std::vector<int64_t> items, before;
};

// Batches with as few rows as the items' common beginnings allow, of `rows` at most (a longer item still
// runs). `others` (empty, or as many, each as long as its item) must share the beginnings too.
std::vector<ItemBatch> batches_of(const std::vector<std::vector<int32_t>>& items,
                                  const std::vector<std::vector<int32_t>>& others, int64_t rows);

// One batch of items, laid out.
struct Frame {
  Frame(const Model& model, const Delta* delta, const ItemBatch& batch,
        const std::vector<std::vector<int32_t>>& items, const std::vector<ScoredToken>& scored, bool half);

  // The row of position `position` of item number `i` of the batch; -1 where it has none.
  int64_t row_of(int64_t i, int64_t position) const;
  // Rows of a position in all items that have it, each once.
  std::vector<int64_t> rows_of(int64_t position) const;
  // Log probability of each scored token of the batch, and whether it is the likeliest, of states of the
  // scored rows alone. [K, M, C] -> log_p, hits [K, tokens]
  void score(const Model& model, const at::Tensor& states, at::Tensor& log_p, at::Tensor& hits) const;

  Pass pass;
  std::vector<int64_t> tokens;  // numbers of the scored tokens of the batch
  at::Tensor scored_rows;       // [M], ascending
  std::vector<int64_t> slot;    // of each row in scored_rows; -1 for none

 private:
  std::vector<int64_t> lengths_;
  std::vector<int64_t> slots_, targets_;  // of `tokens`
};

}  // namespace cortune
