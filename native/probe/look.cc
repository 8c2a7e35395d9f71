// Passes that are looked at.
#include "look.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "../error.h"

namespace cortune {
namespace {

using Sequences = std::vector<std::vector<int32_t>>;

constexpr int64_t kRows = 2048;  // of one pass, about

// Hands what is at one point of every block to `see`.
class Watch : public Hooks {
 public:
  using See = std::function<void(int64_t layer, const at::Tensor& x)>;
  Watch(Point point, See see) : point_(point), see_(std::move(see)) {}
  bool wants(Point point, int64_t) const override { return point == point_; }
  at::Tensor at(Point, int64_t layer, const at::Tensor& x) override {
    see_(layer, x);
    return x;
  }

 private:
  Point point_;
  See see_;
};

class WatchWeights : public Hooks {
 public:
  explicit WatchWeights(Watch::See see) : see_(std::move(see)) {}
  bool wants(Point, int64_t) const override { return false; }
  at::Tensor at(Point, int64_t, const at::Tensor& x) override { return x; }
  bool wants_weights(int64_t) const override { return true; }
  at::Tensor weights(int64_t layer, const at::Tensor& weights) override {
    see_(layer, weights);
    return weights;
  }

 private:
  Watch::See see_;
};

// All blocks from 0 to `last`, whose inputs (and what the last gives) are seen at kResidual.
void run(const Model& model, Pass& pass, Hooks& hooks, int64_t last, const Task& task) {
  pass.hooks = &hooks;
  auto h = model.embed(pass);
  for (int64_t layer = 0; layer <= last; ++layer) {
    task.check();
    if (hooks.wants(Point::kResidual, layer)) h = hooks.at(Point::kResidual, layer, h);
    if (layer < model.config().layers) h = model.block(pass, layer, h);
  }
}

// Sequences [first, first + count) of passes of some kRows rows.
void in_pieces(const Sequences& sequences, const std::function<void(size_t first, size_t count)>& each) {
  for (size_t first = 0; first < sequences.size();) {
    size_t count = 0;
    int64_t rows = 0;
    while (first + count < sequences.size() && (count == 0 || rows < kRows))
      rows += static_cast<int64_t>(sequences[first + count++].size());
    each(first, count);
    first += count;
  }
}

Sequences piece_of(const Sequences& sequences, size_t first, size_t count) {
  return {sequences.begin() + static_cast<int64_t>(first),
          sequences.begin() + static_cast<int64_t>(first + count)};
}

int64_t width_of(const Model& model, Point point) {
  const auto& config = model.config();
  return point == Point::kHeads ? config.heads * config.head_dim : config.hidden_size;
}

int64_t tokens_of(const Sequences& sequences) {
  int64_t tokens = 0;
  for (const auto& sequence : sequences) tokens += static_cast<int64_t>(sequence.size());
  return tokens;
}

}  // namespace

at::Tensor capture(const Model& model, const Delta* delta, const Sequences& sequences, Point point,
                   const std::vector<int32_t>& layers, bool half, const Task& task) {
  at::NoGradGuard no_grad;
  const int64_t most = model.config().layers - (point == Point::kResidual ? 0 : 1);
  if (layers.empty()) fail(Code::kArgument, "Expected `layers` to name at least one layer.");
  for (const auto layer : layers)
    if (layer < 0 || layer > most)
      fail(Code::kArgument, "Expected `layers` to lie in 0 to " + std::to_string(most) + ", got " +
                                std::to_string(layer) + ".");
  const auto count = static_cast<int64_t>(layers.size());
  auto result = at::empty({count, tokens_of(sequences), width_of(model, point)});
  int64_t start = 0;
  in_pieces(sequences, [&](size_t first, size_t size) {
    auto pass = model.pass(piece_of(sequences, first, size), delta, half);
    const auto words = pass.layout.word_rows();
    Watch watch(point, [&](int64_t layer, const at::Tensor& x) {
      const auto found = std::find(layers.begin(), layers.end(), layer);
      if (found == layers.end()) return;
      result[found - layers.begin()].narrow(0, start, words.size(0)).copy_(x[0].index_select(0, words));
    });
    run(model, pass, watch, *std::max_element(layers.begin(), layers.end()), task);
    start += words.size(0);
  });
  return result;
}

at::Tensor mean_of(const Model& model, const Delta* delta, const Sequences& sequences, Point point, bool half,
                   const Task& task) {
  at::NoGradGuard no_grad;
  const int64_t layers = model.config().layers;
  auto sum = at::zeros({layers, width_of(model, point)}, at::kDouble);
  in_pieces(sequences, [&](size_t first, size_t size) {
    auto pass = model.pass(piece_of(sequences, first, size), delta, half);
    const auto words = pass.layout.word_rows();
    Watch watch(point, [&](int64_t layer, const at::Tensor& x) {
      if (layer < layers) sum[layer].add_(x[0].index_select(0, words).sum(0, false, at::kDouble));
    });
    run(model, pass, watch, layers - 1, task);
  });
  return sum.div_(static_cast<double>(tokens_of(sequences))).to(at::kFloat);
}

at::Tensor attention_maps(const Model& model, const Delta* delta, const Sequences& sequences,
                          const Task& task) {
  at::NoGradGuard no_grad;
  const auto& config = model.config();
  const auto length = static_cast<int64_t>(sequences.at(0).size());
  for (size_t i = 0; i < sequences.size(); ++i)
    if (static_cast<int64_t>(sequences[i].size()) != length)
      fail(Code::kArgument, "Expected sequences of " + std::to_string(length) + " tokens, got one of " +
                                std::to_string(sequences[i].size()) + " at number " + std::to_string(i + 1) +
                                ".");
  auto sum = at::zeros({config.layers, config.heads, length, length});
  in_pieces(sequences, [&](size_t first, size_t size) {
    auto pass = model.pass(piece_of(sequences, first, size), delta);
    WatchWeights watch([&](int64_t layer, const at::Tensor& weights) {
      const auto own =
          weights.narrow(2, weights.size(2) - length, length).narrow(3, weights.size(3) - length, length);
      sum[layer].add_(own.sum(0));
    });
    run(model, pass, watch, config.layers - 1, task);
    task.progress(static_cast<int64_t>(first + size), static_cast<int64_t>(sequences.size()), "attention");
  });
  return sum.div_(static_cast<double>(sequences.size()));
}

}  // namespace cortune
