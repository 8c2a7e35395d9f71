// Keys and values of words that were read, for words that are written after them. Every layer has one pool of
// rows, in which each lane of a pass keeps its own; a sequence is a list of rows, so that continuations of
// one text share the rows of what they have in common, and choosing among them copies no states.
#pragma once
#include <cstdint>
#include <vector>

#include "../ops/attention.h"
#include "../pch.h"

namespace cortune {

// Rows of the pool that hold the words (and virtual tokens) of one sequence, in their order.
using History = std::vector<int32_t>;

class KeyValueCache {
 public:
  KeyValueCache(int64_t layers, int64_t lanes) : keys_(layers), values_(layers), lanes_(lanes) {}

  // A pass that reads follows: what its layers attend over is kept. Virtual tokens take the first rows.
  // Returns a history for every sequence of `layout` in every lane. [K][B]
  std::vector<std::vector<History>> begin_reading(const Layout& layout);
  // A pass of one word for each of N sequences follows, whose row is added to its history. [K][N]
  void begin_step(std::vector<std::vector<History*>> histories);
  bool steps() const { return !starts_.empty(); }

  // What a pass that reads gives: k, v [1 or K, rows of the layout, H_kv, D].
  void keep(int64_t layer, const at::Tensor& k, const at::Tensor& v, const Memory& memory);
  // Keeps k, v [1 or K, N, H_kv, D] and attends with q [1 or K, N, H, D] over the histories -> [K, N, H * D].
  // A word sees those less than `window` before it; 0 for all.
  at::Tensor attend(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    int64_t window);
  int64_t rows() const { return used_; }

 private:
  // Room for rows that are used now, in one layer's pool.
  void grow(at::Tensor& pool, const at::Tensor& like) const;

  std::vector<at::Tensor> keys_, values_;  // of each layer [K, R, H_kv, D]
  int64_t lanes_;
  int64_t memory_ = -1;          // rows of virtual tokens; -1 before the first pass
  int64_t used_ = 0;             // rows
  int64_t first_ = 0;            // row of the pool where this pass begins to write
  int64_t prompt_ = 0;           // rows of this pass that hold shared prompts, which are the memory's
  std::vector<int32_t> list_;    // histories of a step, one after the other
  std::vector<int64_t> starts_;  // [K * N + 1] into list_; empty for a pass that reads
};

}  // namespace cortune
