// Packs sequences into rows.
#include "layout.h"

#include <algorithm>

namespace cortune {
namespace {

int64_t largest(const std::vector<int64_t>& counts) {
  return counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
}

// Position of each row for a lane with `prompt` and `prefix` virtual tokens.
void number_rows(const Layout& layout, int64_t prompt, int64_t prefix, int64_t* into) {
  const int64_t unused = layout.counts.shared ? 0 : layout.prompt - prompt;
  const auto* source = layout.word_source.data_ptr<int64_t>();
  for (int64_t row = 0; row < layout.rows; ++row)
    if (source[row] < layout.prompt) into[row] = std::max<int64_t>(0, source[row] - unused);
  for (const auto& words : layout.words)
    for (int64_t t = 0; t < words.length; ++t) into[words.row + t] = prompt + prefix + words.before + t;
}

at::Tensor number_all(const Layout& layout) {
  const auto lanes =
      static_cast<int64_t>(std::max(layout.counts.prompts.size(), layout.counts.prefixes.size()));
  auto positions = at::empty({std::max<int64_t>(lanes, 1), layout.rows}, at::kLong);
  for (int64_t k = 0; k < positions.size(0); ++k)
    number_rows(layout, layout.counts.prompt(k), layout.counts.prefix(k), positions[k].data_ptr<int64_t>());
  return lanes == 0 ? positions[0] : positions;
}

// Everything but groups; `shared` [B] or empty for none: words at the beginning that need no rows.
Layout lay_out(const std::vector<std::vector<int32_t>>& sequences, const std::vector<int64_t>& shared,
               const VirtualCounts& counts) {
  Layout layout;
  layout.counts = counts;
  layout.prompt = counts.longest_prompt();
  const int64_t before = layout.rows_before();
  layout.rows = layout.prompt - before;
  for (size_t b = 0; b < sequences.size(); ++b) {
    const int64_t length = static_cast<int64_t>(sequences[b].size()),
                  skipped = shared.empty() ? 0 : shared[b];
    layout.words.push_back({layout.rows + before, length - skipped, skipped});
    layout.rows += before + length - skipped;
    layout.longest = std::max(layout.longest, length);
  }
  int64_t virtual_tokens = 0;
  for (size_t k = 0; k < std::max(counts.prompts.size(), counts.prefixes.size()); ++k)
    virtual_tokens = std::max(virtual_tokens, counts.prompt(k) + counts.prefix(k));
  layout.longest += virtual_tokens;

  layout.ids = at::zeros({layout.rows}, at::kLong);
  layout.word_source = at::arange(layout.prompt, layout.prompt + layout.rows, at::kLong);
  auto* ids = layout.ids.data_ptr<int64_t>();
  auto* source = layout.word_source.data_ptr<int64_t>();
  if (counts.shared)
    for (int64_t i = 0; i < layout.prompt; ++i) source[i] = i;
  for (size_t b = 0; b < sequences.size(); ++b) {
    const auto& words = layout.words[b];
    for (int64_t i = 0; i < before; ++i) source[words.row - before + i] = i;
    std::copy(sequences[b].begin() + words.before, sequences[b].end(), ids + words.row);
  }
  layout.positions = number_all(layout);
  return layout;
}

}  // namespace

int64_t VirtualCounts::longest_prompt() const { return largest(prompts); }
int64_t VirtualCounts::longest_prefix() const { return largest(prefixes); }

Layout Layout::pack(const std::vector<std::vector<int32_t>>& sequences, const VirtualCounts& counts) {
  auto layout = lay_out(sequences, {}, counts);
  const int64_t before = layout.rows_before();
  for (const auto& words : layout.words) {
    const int64_t length = before + words.length;
    if (!layout.groups.empty() && layout.groups.back().length == length)
      ++layout.groups.back().count;
    else
      layout.groups.push_back({words.row - before, 1, length});
  }
  return layout;
}

Layout Layout::pack_tree(const std::vector<std::vector<int32_t>>& sequences,
                         const std::vector<int64_t>& before, const VirtualCounts& counts) {
  auto layout = lay_out(sequences, before, counts);
  layout.tree = true;
  return layout;
}

int64_t Layout::row_of(int64_t sequence, int64_t word) const {
  while (word < words[sequence].before) --sequence;
  return words[sequence].row + word - words[sequence].before;
}

at::Tensor Layout::word_rows() const {
  int64_t count = 0;
  for (const auto& sequence : words) count += sequence.length;
  auto rows_of_words = at::empty({count}, at::kLong);
  auto* into = rows_of_words.data_ptr<int64_t>();
  for (const auto& sequence : words)
    for (int64_t t = 0; t < sequence.length; ++t) *into++ = sequence.row + t;
  return rows_of_words;
}

}  // namespace cortune
