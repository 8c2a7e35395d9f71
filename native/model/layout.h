// How sequences lie in the packed rows of a pass: one after the other, no padding; attention works per
// sequence.
#pragma once
#include <cstdint>
#include <vector>

#include "../pch.h"

namespace cortune {

// Neighbouring sequences of equal length attend in one call. Prompt rows in front of each are counted.
struct Group {
  int64_t row;    // first row
  int64_t count;  // sequences
  int64_t length;
};

// How many virtual tokens each lane has, [K] or empty for none: states before the words (prompts), or keys
// and values before those of every layer (prefixes).
struct VirtualCounts {
  std::vector<int64_t> prompts;
  std::vector<int64_t> prefixes;
  // A causal model's prompt cannot see what follows it, so it is computed once a lane, not once a sequence.
  bool shared = true;

  int64_t prompt(int64_t lane) const { return prompts.empty() ? 0 : prompts[lane]; }
  int64_t prefix(int64_t lane) const { return prefixes.empty() ? 0 : prefixes[lane]; }
  // The most that any lane has.
  int64_t longest_prompt() const;
  int64_t longest_prefix() const;
};

// Rows of the words of one sequence. In a tree its first `before` words have the rows that they have in the
// sequence before it, and `row` and `length` are of the others.
struct WordRows {
  int64_t row;
  int64_t length;
  int64_t before = 0;
};

struct Layout {
  at::Tensor ids;             // [N] int64, 0 in prompt rows
  at::Tensor positions;       // [N] int64, from 0 in each sequence, or [K, N] where lanes have virtual tokens
  std::vector<Group> groups;  // none in a tree
  std::vector<WordRows> words;  // [B], in the order of the sequences given
  bool tree = false;
  int64_t rows = 0;
  int64_t longest = 0;  // with virtual tokens

  // Prompts: P rows, as many as the lane with most has. Shared ones are rows 0 to P - 1, and lane k's fill
  // the first of them. Else every sequence begins with P rows, and lane k's fill the last of them.
  VirtualCounts counts;
  int64_t prompt = 0;      // P
  at::Tensor word_source;  // [N] int64: i < P for a row that holds prompt token i, else P + row

  // `sequences` are spans of `ids`; groups form where neighbours are equally long, so sort by length to get
  // few.
  static Layout pack(const std::vector<std::vector<int32_t>>& sequences, const VirtualCounts& counts = {});
  // Words that sequences begin with in common have one row: a causal model computes the same there. Sequence
  // i begins as sequence i - 1 does for `before[i]` words, and is found by comparing with that one alone, so
  // sort them. For passes without gradients, whose lanes have equally many virtual tokens.
  static Layout pack_tree(const std::vector<std::vector<int32_t>>& sequences,
                          const std::vector<int64_t>& before, const VirtualCounts& counts = {});
  // The row of word `word` of sequence number `sequence`.
  int64_t row_of(int64_t sequence, int64_t word) const;
  // Prompt rows in front of each sequence.
  int64_t rows_before() const { return counts.shared ? 0 : prompt; }
  // Rows of all words. [words]
  at::Tensor word_rows() const;
};

}  // namespace cortune
