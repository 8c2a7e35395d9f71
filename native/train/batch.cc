// Batches of examples and their evaluation.
#include "batch.h"

#include <algorithm>
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
    const auto pass = model.pass(part.sequences, set, half);
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

}  // namespace cortune
