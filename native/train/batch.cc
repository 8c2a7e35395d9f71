// Batches of examples and their evaluation.
#include "batch.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "../error.h"
#include "forward.h"

namespace cortune {
namespace {

void longest_first(std::vector<int32_t>& numbers, const Examples& examples) {
  std::stable_sort(numbers.begin(), numbers.end(), [&](int32_t a, int32_t b) {
    return examples.sequences[a].size() > examples.sequences[b].size();
  });
}

}  // namespace

Batch assemble(const Examples& examples, std::vector<int32_t> numbers) {
  numbers.erase(std::remove_if(numbers.begin(), numbers.end(), [](int32_t number) { return number < 0; }),
                numbers.end());
  longest_first(numbers, examples);
  Batch batch;
  batch.images = examples.images;
  for (const auto number : numbers) {
    batch.sequences.push_back(examples.sequences[number]);
    const auto& own = examples.labels[number];
    batch.labels.insert(batch.labels.end(), own.begin(), own.end());
  }
  return batch;
}

void check_examples(const Objective& objective, const Examples& examples) {
  for (size_t i = 0; i < examples.sequences.size(); ++i) {
    const size_t wanted = objective.of_tokens() ? examples.sequences[i].size() : 1;
    if (examples.labels[i].size() != wanted)
      fail(Code::kArgument, "Expected " + std::to_string(wanted) + " `labels` for sequence " +
                                std::to_string(i + 1) + ", got " + std::to_string(examples.labels[i].size()) +
                                ".");
  }
}

std::vector<double> evaluate(const Model& model, const LaneSet* set, const Objective& objective,
                             const Examples& examples, int64_t batch, bool half, const Task& task) {
  at::NoGradGuard no_grad;
  objective.check(model);
  std::vector<int32_t> numbers(examples.sequences.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  longest_first(numbers, examples);
  const int64_t lanes = set ? set->lanes() : 1;
  auto sums = at::zeros({lanes}, at::kDouble), counts = at::zeros({lanes}, at::kDouble);
  for (size_t at = 0; at < numbers.size(); at += static_cast<size_t>(batch)) {
    const auto end = std::min(numbers.size(), at + static_cast<size_t>(batch));
    const auto part = assemble(examples, {numbers.begin() + at, numbers.begin() + end});
    const auto pass = model.pass(part.sequences, set, half, part.images);
    const auto scored = objective.select(model, pass, part.labels);
    if (scored.counts.min().item<double>() == 0) continue;
    const auto losses = objective.loss(model, pass, run_blocks(model, pass, false, task), scored);
    sums += losses.to(at::kDouble) * scored.counts;
    counts += scored.counts;
  }
  if (counts.min().item<double>() == 0)
    fail(Code::kData, "Expected a text of at least two tokens, got none.");
  const auto means = (sums / counts).contiguous();
  return {means.data_ptr<double>(), means.data_ptr<double>() + lanes};
}

Judgements judge(const Model& model, const LaneSet* set, const Objective& objective, const Examples& examples,
                 int64_t tokens, bool half, const Task& task) {
  at::NoGradGuard no_grad;
  objective.check(model);
  check_examples(objective, examples);
  const size_t count = examples.sequences.size();
  std::vector<int32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  longest_first(numbers, examples);
  const int64_t lanes = set ? set->lanes() : 1;
  const bool of_tokens = objective.of_tokens();
  const std::vector<double> zeros(lanes * count, 0.0);
  Judgements all{zeros, zeros, zeros,
                 std::vector<double>(lanes * count, std::numeric_limits<double>::quiet_NaN())};
  for (size_t at = 0; at < count;) {
    task.progress(static_cast<int64_t>(at), static_cast<int64_t>(count), "evaluating");
    const auto longest = static_cast<int64_t>(examples.sequences[numbers[at]].size());
    const auto end = std::min(count, at + static_cast<size_t>(std::max<int64_t>(1, tokens / longest)));
    const auto part = assemble(examples, {numbers.begin() + at, numbers.begin() + end});
    const auto pass = model.pass(part.sequences, set, half, part.images);
    const auto scored = objective.select(model, pass, part.labels);
    if (scored.words > 0) {
      const auto judged = objective.judge(model, pass, run_blocks(model, pass, false, task), scored);
      const auto targets = scored.targets.narrow(0, 0, scored.words);
      const auto correct = judged.said.eq(targets).to(at::kDouble).contiguous();
      const auto said = judged.said.to(at::kDouble).contiguous(), losses = judged.losses.contiguous();
      for (int64_t k = 0; k < lanes; ++k)
        for (int64_t row = 0; row < scored.words; ++row) {
          const auto place = k * static_cast<int64_t>(count) + numbers[at + scored.sequences[row]];
          const auto from = k * scored.words + row;
          all.losses[place] += losses.data_ptr<double>()[from];
          all.rows[place] += 1;
          all.correct[place] += correct.data_ptr<double>()[from];
          if (!of_tokens) all.said[place] = said.data_ptr<double>()[from];
        }
    }
    at = end;
  }
  return all;
}

at::Tensor predict(const Model& model, const LaneSet& set, const Objective& objective,
                   const Examples& examples, int64_t batch, bool half, const Task& task) {
  at::NoGradGuard no_grad;
  if (objective.of_tokens())
    fail(Code::kArgument, "Expected an objective of sequences (classification, regression) to predict with.");
  std::vector<int32_t> numbers(examples.sequences.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  longest_first(numbers, examples);
  std::vector<at::Tensor> parts;
  for (size_t at = 0; at < numbers.size(); at += static_cast<size_t>(batch)) {
    task.progress(static_cast<int64_t>(at), static_cast<int64_t>(numbers.size()), "predicting");
    const auto end = std::min(numbers.size(), at + static_cast<size_t>(batch));
    const auto part = assemble(examples, {numbers.begin() + at, numbers.begin() + end});
    const auto pass = model.pass(part.sequences, &set, half, part.images);
    const auto scored = objective.select(model, pass, part.labels);
    const auto finished = run_blocks(model, pass, false, task);
    parts.push_back(objective.outputs(model, pass, finished, scored));
  }
  const auto sorted = at::cat(parts, 1);
  auto outputs = at::empty_like(sorted);
  outputs.index_copy_(1, at::tensor(numbers, at::kInt).to(at::kLong), sorted);
  return outputs;
}

}  // namespace cortune
