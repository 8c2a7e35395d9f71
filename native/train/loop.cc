// The training loop.
#include "loop.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "../error.h"
#include "loss.h"

namespace cortune {
namespace {

struct Batch {
  std::vector<std::vector<int32_t>> sequences;
  std::vector<uint8_t> labels;
};

// The step's sequences, longest first so that equal lengths attend together; a mean over tokens does not see
// their order.
Batch assemble(const TrainArgs& args, int64_t step) {
  std::vector<int32_t> chosen;
  for (int64_t b = 0; b < args.batch; ++b) {
    const int32_t number = args.order[step * args.batch + b];
    if (number >= 0) chosen.push_back(number);
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [&](int32_t a, int32_t b) { return args.sequences[a].size() > args.sequences[b].size(); });
  Batch batch;
  for (const auto number : chosen) {
    batch.sequences.push_back(args.sequences[number]);
    batch.labels.insert(batch.labels.end(), args.labels[number].begin(), args.labels[number].end());
  }
  return batch;
}

at::Tensor run_blocks(const Model& model, const Pass& pass, const Task& task) {
  auto h = model.embed(pass);
  for (int64_t i = 0; i < model.config().layers; ++i) {
    task.check();
    h = model.block(pass, i, h);
  }
  return model.finish(pass, h);
}

// Loss of every lane on one batch. [K]
at::Tensor batch_loss(const Model& model, const LaneSet& set, const Batch& batch, int64_t step,
                      const Task& task) {
  const auto pass = model.pass(batch.sequences, &set);
  const auto next = next_tokens(pass.layout, batch.labels);
  if (next.words == 0)
    fail(Code::kData, "Expected every batch to have a token to predict, got none at step " +
                          std::to_string(step + 1) + ". Use texts of at least two tokens.");
  return causal_loss(model, pass, run_blocks(model, pass, task), next);
}

void check_train_args(const Model& model, const TrainArgs& args) {
  if (model.head_weight().empty())
    fail(Code::kArgument,
         "Expected a causal model (llama, gpt2, neox, opt) for causal language modelling, got family `" +
             model.config().family + "`.");
  if (static_cast<int64_t>(args.order.size()) != args.steps * args.batch ||
      static_cast<int64_t>(args.schedule.size()) != args.steps)
    fail(Code::kArgument, "Expected `order` to hold steps x batch numbers and `schedule` one factor a step.");
  for (const auto factor : args.schedule)
    if (!std::isfinite(factor))
      fail(Code::kArgument,
           "Expected `schedule` to hold finite factors, got " + std::to_string(factor) + ".");
  for (const auto number : args.order)
    if (number >= static_cast<int32_t>(args.sequences.size()))
      fail(Code::kArgument,
           "Expected `order` to name sequences below " + std::to_string(args.sequences.size()) + ".");
}

}  // namespace

TrainResult train(const Model& model, LaneSet& set, const TrainArgs& args, const Task& task) {
  check_train_args(model, args);
  const int64_t lanes = set.lanes();
  std::vector<double> rates, decays;
  for (int64_t k = 0; k < lanes; ++k) {
    rates.push_back(set.spec(k).lr);
    decays.push_back(set.spec(k).weight_decay);
  }
  AdamW optimiser(set.trainable(), rates, decays, args.optimiser);
  TrainResult result{{}, std::vector<int64_t>(lanes, -1)};
  std::vector<bool> active(lanes, true);

  for (int64_t step = 0; step < args.steps; ++step) {
    const auto batch = assemble(args, step);
    set.before_step(step, args.steps);
    at::Tensor losses;
    {
      at::AutoGradMode with_grad(true);
      set.set_training(true);
      losses = batch_loss(model, set, batch, step, task);
      const auto penalty = set.penalty();
      (penalty.defined() ? losses.sum() + penalty.sum() : losses.sum()).backward();
      set.set_training(false);
    }
    std::vector<double> now;
    for (int64_t k = 0; k < lanes; ++k) {
      const double loss = losses[k].item<double>();
      if (active[k] && !std::isfinite(loss)) {  // recorded and left as it is; the others go on
        active[k] = false;
        result.failed_at[k] = step;
      }
      now.push_back(active[k] ? loss : std::numeric_limits<double>::quiet_NaN());
    }
    result.losses.insert(result.losses.end(), now.begin(), now.end());
    optimiser.step(args.schedule[step], active);
    set.after_step(step, args.steps);
    task.progress(step + 1, args.steps, "tuning", now);
    if (std::none_of(active.begin(), active.end(), [](bool on) { return on; })) {
      result.losses.resize(args.steps * lanes, std::numeric_limits<double>::quiet_NaN());
      break;
    }
  }
  return result;
}

std::vector<double> evaluate(const Model& model, const LaneSet* set,
                             const std::vector<std::vector<int32_t>>& sequences, const Task& task) {
  if (model.head_weight().empty())
    fail(Code::kArgument,
         "Expected a causal model for a next-token loss, got family `" + model.config().family + "`.");
  const int64_t lanes = set ? set->lanes() : 1;
  std::vector<double> sums(lanes, 0);
  double count = 0;
  for (const auto& sequence : sequences) {
    const auto pass = model.pass({sequence}, set);
    std::vector<uint8_t> labels(sequence.size(), 1);
    labels[0] = 0;  // so that lanes with a prompt are measured by the same words as those without
    const auto next = next_tokens(pass.layout, labels);
    if (next.words == 0) continue;
    const auto losses = causal_loss(model, pass, run_blocks(model, pass, task), next).expand({lanes});
    const auto tokens = static_cast<double>(next.words);
    for (int64_t k = 0; k < lanes; ++k) sums[k] += losses[k].item<double>() * tokens;
    count += tokens;
  }
  if (count == 0) fail(Code::kData, "Expected a text of at least two tokens, got none.");
  for (auto& sum : sums) sum /= count;
  return sums;
}

}  // namespace cortune
