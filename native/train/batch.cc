// Batches of examples and their evaluation.
#include "batch.h"

#include <algorithm>
#include <functional>
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

// One pass over some examples, longest first.
struct Part {
  std::vector<int32_t> numbers;  // of the examples
  Pass pass;
  ScoredRows scored;
};

// Hands all examples to `see`, in parts of as many as `size_of` says for the longest of them. Without a stage
// no progress is told.
void in_parts(const Model& model, const LaneSet* set, const Objective& objective, const Examples& examples,
              bool half, const Task& task, const char* stage,
              const std::function<int64_t(int64_t longest)>& size_of, const std::function<void(Part&)>& see) {
  std::vector<int32_t> numbers(examples.sequences.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  longest_first(numbers, examples);
  const auto count = static_cast<int64_t>(numbers.size());
  for (int64_t at = 0; at < count;) {
    if (stage) task.progress(at, count, stage);
    const auto longest = static_cast<int64_t>(examples.sequences[numbers[at]].size());
    const auto end = std::min(count, at + size_of(longest));
    std::vector<int32_t> own(numbers.begin() + at, numbers.begin() + end);
    const auto batch = assemble(examples, own);
    auto pass = model.pass(batch.sequences, set, half, batch.images);
    auto scored = objective.select(model, pass, batch.labels);
    Part part{std::move(own), std::move(pass), std::move(scored)};
    see(part);
    at = end;
  }
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
  const int64_t lanes = set ? set->lanes() : 1;
  auto sums = at::zeros({lanes}, at::kDouble), counts = at::zeros({lanes}, at::kDouble);
  const auto size_of = [&](int64_t) { return batch; };
  in_parts(model, set, objective, examples, half, task, nullptr, size_of, [&](Part& part) {
    if (part.scored.counts.min().item<double>() == 0) return;
    const auto losses =
        objective.loss(model, part.pass, run_blocks(model, part.pass, false, task), part.scored);
    sums += losses.to(at::kDouble) * part.scored.counts;
    counts += part.scored.counts;
  });
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
  const int64_t lanes = set ? set->lanes() : 1;
  const bool of_tokens = objective.of_tokens();
  const std::vector<double> zeros(lanes * count, 0.0);
  Judgements all{zeros, zeros, zeros,
                 std::vector<double>(lanes * count, std::numeric_limits<double>::quiet_NaN())};
  const auto size_of = [&](int64_t longest) { return std::max<int64_t>(1, tokens / longest); };
  in_parts(model, set, objective, examples, half, task, "evaluating", size_of, [&](Part& part) {
    const auto& scored = part.scored;
    if (scored.words == 0) return;
    const auto judged = objective.judge(model, part.pass, run_blocks(model, part.pass, false, task), scored);
    const auto targets = scored.targets.narrow(0, 0, scored.words);
    const auto correct = judged.said.eq(targets).to(at::kDouble).contiguous();
    const auto said = judged.said.to(at::kDouble).contiguous(), losses = judged.losses.contiguous();
    for (int64_t k = 0; k < lanes; ++k)
      for (int64_t row = 0; row < scored.words; ++row) {
        const auto place = k * static_cast<int64_t>(count) + part.numbers[scored.sequences[row]];
        const auto from = k * scored.words + row;
        all.losses[place] += losses.data_ptr<double>()[from];
        all.rows[place] += 1;
        all.correct[place] += correct.data_ptr<double>()[from];
        if (!of_tokens) all.said[place] = said.data_ptr<double>()[from];
      }
  });
  return all;
}

at::Tensor predict(const Model& model, const LaneSet& set, const Objective& objective,
                   const Examples& examples, int64_t batch, bool half, const Task& task) {
  at::NoGradGuard no_grad;
  if (objective.of_tokens())
    fail(Code::kArgument, "Expected an objective of sequences (classification, regression) to predict with.");
  std::vector<at::Tensor> parts;
  std::vector<int32_t> numbers;  // of the examples, in the order of the parts
  const auto size_of = [&](int64_t) { return batch; };
  in_parts(model, &set, objective, examples, half, task, "predicting", size_of, [&](Part& part) {
    const auto finished = run_blocks(model, part.pass, false, task);
    parts.push_back(objective.outputs(model, part.pass, finished, part.scored));
    numbers.insert(numbers.end(), part.numbers.begin(), part.numbers.end());
  });
  const auto sorted = at::cat(parts, 1);
  auto outputs = at::empty_like(sorted);
  outputs.index_copy_(1, at::tensor(numbers, at::kInt).to(at::kLong), sorted);
  return outputs;
}

}  // namespace cortune
