// Batches sequences by length, runs the blocks, pools each kept layer at once: no more than one batch's
// states are ever held.
#include "extract.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "../error.h"

namespace cortune {
namespace {

// A stimulus: rows [start, end) of its sequence.
struct Span {
  int64_t stimulus;
  int64_t start;
  int64_t end;
};

// Which sequence each span lies in; [B] lists.
std::vector<std::vector<Span>> spans_by_sequence(const ExtractArgs& args) {
  std::vector<std::vector<Span>> lists(args.sequences.size());
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (const auto& sequence : args.sequences) ends.push_back(total += static_cast<int64_t>(sequence.size()));
  for (size_t i = 0; 2 * i < args.spans.size(); ++i) {
    const int64_t start = args.spans[2 * i], end = args.spans[2 * i + 1];
    const auto sequence = std::upper_bound(ends.begin(), ends.end(), start) - ends.begin();
    const int64_t first = sequence == 0 ? 0 : ends[std::max<int64_t>(sequence - 1, 0)];
    if (start < 0 || end <= start || start >= total || end > ends[sequence])
      fail(Code::kArgument, "Expected `spans` to hold pairs [start, end) inside one sequence, got [" +
                                std::to_string(start) + ", " + std::to_string(end) + ") at stimulus " +
                                std::to_string(i) + ".");
    lists[sequence].push_back({static_cast<int64_t>(i), start - first, end - first});
  }
  return lists;
}

// Sequences of one pass, longest first, at most max_tokens in all.
std::vector<std::vector<int64_t>> plan_batches(const ExtractArgs& args) {
  std::vector<int64_t> order(args.sequences.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return args.sequences[a].size() > args.sequences[b].size(); });
  std::vector<std::vector<int64_t>> batches;
  int64_t tokens = 0;
  for (const auto number : order) {
    const auto length = static_cast<int64_t>(args.sequences[number].size());
    if (batches.empty() || tokens + length > args.max_tokens) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(number);
    tokens += length;
  }
  return batches;
}

Span pooled_rows(const Span& span, const std::string& pool) {
  if (pool == "last") return {span.stimulus, span.end - 1, span.end};
  if (pool == "first") return {span.stimulus, span.start, span.start + 1};
  if (pool == "mean") return span;
  fail(Code::kArgument, "Expected `pool` to be last, mean or first, got `" + pool + "`.");
}

// Mean over each span's rows of h [K, N, C] into outputs[k][slot][stimulus].
void pool_into(std::vector<at::Tensor>& outputs, int64_t slot, const at::Tensor& h,
               const std::vector<Span>& spans) {
  const auto states = h.contiguous();
  const int64_t rows = states.size(1), width = states.size(2);
  const float* base = states.data_ptr<float>();
  for (size_t k = 0; k < outputs.size(); ++k) {
    // Lanes that do not differ (yet) share one state.
    const float* source = base + (states.size(0) == 1 ? 0 : static_cast<int64_t>(k) * rows * width);
    float* into = outputs[k].data_ptr<float>() + slot * outputs[k].size(1) * width;
    at::parallel_for(0, static_cast<int64_t>(spans.size()), 64, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        const auto& span = spans[s];
        float* out = into + span.stimulus * width;
        std::fill(out, out + width, 0.0f);
        for (int64_t row = span.start; row < span.end; ++row)
          for (int64_t c = 0; c < width; ++c) out[c] += source[row * width + c];
        const float share = 1.0f / static_cast<float>(span.end - span.start);
        for (int64_t c = 0; c < width; ++c) out[c] *= share;
      }
    });
  }
}

// With several lanes one that diverged must not take the others down: whoever scores it refuses it alone.
void check_finite(const at::Tensor& states, const std::vector<int32_t>& layers) {
  for (int64_t slot = 0; slot < states.size(0); ++slot)
    if (!at::isfinite(states.select(0, slot)).all().item<bool>())
      fail(Code::kNumeric,
           "Expected finite hidden states, got NaN or infinity at layer " + std::to_string(layers[slot]) +
               ". The weights are damaged or their tuning diverged: load the model again, or tune it "
               "with a lower learning rate.");
}

// Where entry `entry` of hidden_states goes; -1 if it is not kept.
int64_t slot_of(const std::vector<int32_t>& layers, int64_t entry) {
  const auto found = std::find(layers.begin(), layers.end(), entry);
  return found == layers.end() ? -1 : found - layers.begin();
}

}  // namespace

std::vector<at::Tensor> extract(const Model& model, const Delta* delta, const ExtractArgs& args,
                                const Task& task) {
  const auto& config = model.config();
  if (args.layers.empty()) fail(Code::kArgument, "Expected `layers` to name at least one layer.");
  for (const auto layer : args.layers)
    if (layer < 0 || layer > config.layers)
      fail(Code::kArgument, "Expected `layers` to lie in 0 to " + std::to_string(config.layers) + ", got " +
                                std::to_string(layer) + ".");
  if (std::set<int32_t>(args.layers.begin(), args.layers.end()).size() < args.layers.size())
    fail(Code::kArgument, "Expected `layers` to name each layer once.");
  const int64_t last_needed = *std::max_element(args.layers.begin(), args.layers.end());
  const auto spans = spans_by_sequence(args);
  const auto stimuli = static_cast<int64_t>(args.spans.size() / 2);
  std::vector<at::Tensor> outputs;
  for (int64_t k = 0; k < (delta ? delta->lanes() : 1); ++k)
    outputs.push_back(
        at::empty({static_cast<int64_t>(args.layers.size()), stimuli, config.hidden_size}, at::kFloat));

  const auto batches = plan_batches(args);
  int64_t done = 0, total = 0;
  for (const auto& sequence : args.sequences) total += static_cast<int64_t>(sequence.size());
  for (const auto& batch : batches) {
    std::vector<std::vector<int32_t>> sequences;
    for (const auto number : batch) sequences.push_back(args.sequences[number]);
    const auto pass = model.pass(sequences, delta);
    std::vector<Span> pooled;
    int64_t words = 0;
    for (size_t b = 0; b < batch.size(); ++b) {
      const int64_t row = pass.layout.words[b].row;
      for (const auto& span : spans[batch[b]])
        pooled.push_back(pooled_rows({span.stimulus, span.start + row, span.end + row}, args.pool));
      words += pass.layout.words[b].length;
    }
    auto h = model.embed(pass);
    for (int64_t entry = 0;; ++entry) {
      task.progress(done + words * entry / (config.layers + 1), total, "embedding");
      const auto slot = slot_of(args.layers, entry);
      if (slot >= 0) pool_into(outputs, slot, entry == config.layers ? model.finish(pass, h) : h, pooled);
      if (entry == last_needed) break;
      h = model.block(pass, entry, h);
    }
    done += words;
  }
  task.progress(total, total, "embedding");
  if (outputs.size() == 1) check_finite(outputs[0], args.layers);
  return outputs;
}

Forward forward(const Model& model, const Delta* delta, int64_t lane,
                const std::vector<std::vector<int32_t>>& sequences, const Task& task) {
  const auto pass = model.pass(sequences, delta);
  const auto words = pass.layout.word_rows();
  const auto of_lane = [&](const at::Tensor& h) {
    return h[h.size(0) == 1 ? 0 : lane].index_select(0, words);
  };
  std::vector<at::Tensor> states;
  auto h = model.embed(pass);
  for (int64_t i = 0; i < model.config().layers; ++i) {
    task.check();
    states.push_back(of_lane(h));
    h = model.block(pass, i, h);
  }
  h = model.finish(pass, h);
  states.push_back(of_lane(h));
  Forward result{at::stack(states), {}};
  if (!model.head_weight().empty())
    result.logits = at::linear(of_lane(model.head_input(pass, h)), pass.matrix(model.head_weight(), lane));
  return result;
}

}  // namespace cortune
