// Batches of items, their rows and scores.
#include "frame.h"

#include <algorithm>
#include <numeric>

#include "../error.h"
#include "../ops/product.h"

namespace cortune {
namespace {

using Tokens = std::vector<int32_t>;

int64_t alike(const Tokens& a, const Tokens& b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

Pass make_pass(const Model& model, const Delta* delta, const ItemBatch& batch,
               const std::vector<Tokens>& items, bool half) {
  std::vector<Tokens> sequences;
  for (const auto item : batch.items) sequences.push_back(items[item]);
  auto pass = model.pass(sequences, delta, half);
  pass.layout = Layout::pack_tree(sequences, batch.before, pass.layout.counts);
  if (model.config().rope_theta > 0) pass.rotary = rotary_tables(model.config(), pass.layout);
  return pass;
}

// Logits at a time: as in native/train/loss.cc.
constexpr int64_t kChunkLogits = int64_t{1} << 24;

}  // namespace

std::vector<ItemBatch> batches_of(const std::vector<Tokens>& items, const std::vector<Tokens>& others,
                                  int64_t rows) {
  std::vector<int64_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return items[a] < items[b]; });
  std::vector<ItemBatch> batches;
  int64_t size = 0;
  for (const auto item : order) {
    const auto length = static_cast<int64_t>(items[item].size());
    if (!batches.empty()) {
      auto& last = batches.back();
      const auto neighbour = last.items.back();
      int64_t before = alike(items[neighbour], items[item]);
      if (!others.empty()) before = std::min(before, alike(others[neighbour], others[item]));
      if (size + length - before <= rows) {
        last.items.push_back(item);
        last.before.push_back(before);
        size += length - before;
        continue;
      }
    }
    batches.push_back({{item}, {0}});
    size = length;
  }
  return batches;
}

Frame::Frame(const Model& model, const Delta* delta, const ItemBatch& batch, const std::vector<Tokens>& items,
             const std::vector<ScoredToken>& scored, bool half)
    : pass(make_pass(model, delta, batch, items, half)), slot(pass.layout.rows, -1) {
  for (const auto item : batch.items) lengths_.push_back(static_cast<int64_t>(items[item].size()));
  std::vector<int64_t> rows;
  for (size_t s = 0; s < scored.size(); ++s) {
    const auto found = std::find(batch.items.begin(), batch.items.end(), scored[s].item);
    if (found == batch.items.end()) continue;
    rows.push_back(row_of(found - batch.items.begin(), scored[s].position));
    tokens.push_back(static_cast<int64_t>(s));
    targets_.push_back(scored[s].token);
  }
  for (const auto row : rows) slot[row] = 0;
  std::vector<int64_t> kept;
  for (size_t row = 0; row < slot.size(); ++row)
    if (slot[row] == 0) {
      slot[row] = static_cast<int64_t>(kept.size());
      kept.push_back(static_cast<int64_t>(row));
    }
  for (const auto row : rows) slots_.push_back(slot[row]);
  scored_rows = at::tensor(kept, at::kLong);
}

int64_t Frame::row_of(int64_t i, int64_t position) const {
  if (position < 0 || position >= lengths_[i]) return -1;
  return pass.layout.row_of(i, position);
}

std::vector<int64_t> Frame::rows_of(int64_t position) const {
  std::vector<int64_t> rows;
  for (size_t i = 0; i < lengths_.size(); ++i) {
    const int64_t row = row_of(static_cast<int64_t>(i), position);
    if (row >= 0 && (rows.empty() || rows.back() != row)) rows.push_back(row);
  }
  return rows;
}

void Frame::score(const Model& model, const at::Tensor& states, at::Tensor& log_p, at::Tensor& hits) const {
  const auto h = model.head_input(pass, model.finish(pass, states));  // [K, M, C]
  const auto weight = pass.matrix(model.head_weight(), 0);
  const auto factor = pass.half ? weight.to(at::kBFloat16) : weight;
  const int64_t lanes = h.size(0), kept = h.size(1), rows = lanes * kept;
  const auto all = h.reshape({rows, -1}).contiguous();
  const int64_t step = std::max<int64_t>(kept, kChunkLogits / weight.size(0) / kept * kept);
  log_p = at::empty({lanes, static_cast<int64_t>(tokens.size())}, at::kDouble);
  hits = at::empty_like(log_p);
  auto* p = log_p.data_ptr<double>();
  auto* hit = hits.data_ptr<double>();
  for (int64_t start = 0; start < rows; start += step) {
    const int64_t size = std::min(step, rows - start);
    const auto logits = times(all.narrow(0, start, size), factor);  // [size, V]
    const auto [top, best] = logits.max(1);
    const auto total = (logits - top.unsqueeze(1)).exp_().sum(1, false, at::kDouble).log().add_(top);
    const auto* value = logits.data_ptr<float>();
    const auto* sum = total.data_ptr<double>();
    const auto* likeliest = best.data_ptr<int64_t>();
    for (int64_t k = 0; k * kept < size; ++k)
      for (size_t s = 0; s < tokens.size(); ++s) {
        const int64_t row = k * kept + slots_[s];
        const auto at = (start / kept + k) * static_cast<int64_t>(tokens.size()) + static_cast<int64_t>(s);
        p[at] = static_cast<double>(value[row * logits.size(1) + targets_[s]]) - sum[row];
        hit[at] = likeliest[row] == targets_[s] ? 1 : 0;
      }
  }
}

}  // namespace cortune
