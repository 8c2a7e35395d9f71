// Batches sequences by length, runs the blocks, pools each kept layer at once: no more than one batch's
// states a thread are ever held. Short sequences run as one batch a thread: nothing waits at the end of every
// small operation, and a batch's states stay in the caches of the core that makes them. A sequence too long
// for that runs alone on all threads.
#include "extract.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
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

// Which sequences run in one pass.
struct Plan {
  std::vector<std::vector<int64_t>> alone;    // on all threads
  std::vector<std::vector<int64_t>> batches;  // one thread each
};

// Fewer rows than this for each thread are too few for the matrix products of one.
constexpr int64_t kFewRows = 64;

// Longest first, so that equal lengths attend together; batches of about equal size, and as many for each
// thread.
Plan plan_passes(const ExtractArgs& args, int64_t threads, int64_t lanes) {
  const auto length_of = [&](int64_t number) { return static_cast<int64_t>(args.sequences[number].size()); };
  std::vector<int64_t> order(args.sequences.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return length_of(a) > length_of(b); });
  int64_t total = 0;
  for (const auto number : order) total += length_of(number) <= args.max_tokens ? length_of(number) : 0;
  const int64_t rounds = (total + threads * args.max_tokens - 1) / (threads * args.max_tokens);
  const int64_t size = (total + rounds * threads - 1) / std::max<int64_t>(rounds * threads, 1);
  const bool spread = size * lanes >= kFewRows;

  Plan plan;
  int64_t room = 0;
  for (const auto number : order) {
    const int64_t length = length_of(number);
    auto& passes = spread && length <= size ? plan.batches : plan.alone;
    const bool takes_one = spread && &passes == &plan.alone;
    if (passes.empty() || room < length || takes_one) {
      passes.emplace_back();
      room = spread ? size : args.max_tokens;
    }
    passes.back().push_back(number);
    room -= length;
  }
  return plan;
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

// One call of `extract`.
class Extraction {
 public:
  Extraction(const Model& model, const Delta* delta, const ExtractArgs& args, const Task& task)
      : model_(model),
        delta_(delta),
        args_(args),
        task_(task),
        spans_(spans_by_sequence(args)),
        last_needed_(*std::max_element(args.layers.begin(), args.layers.end())) {
    const auto stimuli = static_cast<int64_t>(args.spans.size() / 2);
    for (int64_t k = 0; k < (delta ? delta->lanes() : 1); ++k)
      outputs_.push_back(at::empty(
          {static_cast<int64_t>(args.layers.size()), stimuli, model.config().hidden_size}, at::kFloat));
    for (const auto& sequence : args.sequences) total_ += static_cast<int64_t>(sequence.size());
  }

  std::vector<at::Tensor> run() {
    const auto plan = plan_passes(args_, at::get_num_threads(), static_cast<int64_t>(outputs_.size()));
    for (const auto& pass : plan.alone) run_pass(pass);
    std::atomic<size_t> next{0};
    const auto workers = std::min<int64_t>(at::get_num_threads(), static_cast<int64_t>(plan.batches.size()));
    at::parallel_for(0, workers, 1, [&](int64_t, int64_t) {
      at::NoGradGuard no_grad;  // a thread's own setting
      for (size_t i; (i = next++) < plan.batches.size();) run_pass(plan.batches[i]);
    });
    task_.progress(total_, total_, "embedding");
    return outputs_;
  }

 private:
  // The rows of `pass` that each stimulus of these sequences is pooled from.
  std::vector<Span> pooled_of(const std::vector<int64_t>& numbers, const Pass& pass) const {
    std::vector<Span> pooled;
    for (size_t b = 0; b < numbers.size(); ++b) {
      const int64_t row = pass.layout.words[b].row;
      for (const auto& span : spans_[numbers[b]])
        pooled.push_back(pooled_rows({span.stimulus, span.start + row, span.end + row}, args_.pool));
    }
    return pooled;
  }

  void run_pass(const std::vector<int64_t>& numbers) {
    std::vector<std::vector<int32_t>> sequences;
    for (const auto number : numbers) sequences.push_back(args_.sequences[number]);
    const auto pass = model_.pass(sequences, delta_, args_.half, args_.images);
    const auto pooled = pooled_of(numbers, pass);
    int64_t words = 0;
    for (const auto& sequence : sequences) words += static_cast<int64_t>(sequence.size());
    const int64_t layers = model_.config().layers;
    auto h = model_.embed(pass);
    for (int64_t entry = 0;; ++entry) {
      const auto slot = slot_of(args_.layers, entry);
      if (slot >= 0) pool_into(outputs_, slot, entry == layers ? model_.finish(pass, h) : h, pooled);
      task_.progress((done_ += words) / (last_needed_ + 1), total_, "embedding");
      if (entry == last_needed_) break;
      h = model_.block(pass, entry, h);
    }
  }

  const Model& model_;
  const Delta* delta_;
  const ExtractArgs& args_;
  const Task& task_;
  std::vector<std::vector<Span>> spans_;
  int64_t last_needed_;
  std::vector<at::Tensor> outputs_;
  int64_t total_ = 0;             // tokens
  std::atomic<int64_t> done_{0};  // tokens times entries
};

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
  auto outputs = Extraction(model, delta, args, task).run();
  if (outputs.size() == 1) check_finite(outputs[0], args.layers);
  return outputs;
}

Forward forward(const Model& model, const Delta* delta, int64_t lane,
                const std::vector<std::vector<int32_t>>& sequences, std::shared_ptr<const Images> images,
                const Task& task) {
  const auto pass = model.pass(sequences, delta, false, std::move(images));
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
