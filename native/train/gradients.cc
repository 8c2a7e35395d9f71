// One forward and backward pass, and the gradients under the names of what they belong to.
#include "gradients.h"

#include <numeric>

#include "forward.h"

namespace cortune {

NamedTensors gradients(const Model& model, LaneSet& set, int64_t lane, const Objective& objective,
                       const Examples& examples, const Task& task) {
  objective.check(model);
  check_examples(objective, examples);
  std::vector<int32_t> numbers(examples.sequences.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  const auto batch = assemble(examples, numbers);
  set.set_training(true);
  {
    at::AutoGradMode with_grad(true);
    const auto pass = model.pass(batch.sequences, &set, false, batch.images);
    const auto scored = objective.select(model, pass, batch.labels);
    auto total = objective.loss(model, pass, run_blocks(model, pass, false, task), scored).sum();
    if (const auto penalty = set.penalty(); penalty.defined()) total = total + penalty.sum();
    total.backward();
  }
  set.set_training(false);
  // The gradients take the values' places for a moment, so that `state` names them.
  std::vector<std::pair<at::Tensor, at::Tensor>> values;
  for (auto& trained : set.trainable()) {
    auto& value = trained.value;
    values.emplace_back(value, value.detach().clone());
    at::NoGradGuard no_grad;
    value.grad().defined() ? value.copy_(value.grad()) : value.zero_();
    value.mutable_grad() = at::Tensor();
  }
  auto state = set.state(lane);
  for (auto& [name, tensor] : state) tensor = tensor.clone(at::MemoryFormat::Contiguous);
  at::NoGradGuard no_grad;
  for (auto& [value, before] : values) value.copy_(before);
  return state;
}

}  // namespace cortune
