// Hand-written backward passes as nodes of libtorch's graph.
#include "record.h"

#include <torch/csrc/autograd/functions/utils.h>

namespace cortune {
namespace {

using torch::autograd::Node;

struct Recorded : Node {
  explicit Recorded(Backward run) : backward(std::move(run)) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    Wanted wanted;
    for (size_t i = 0; i < num_outputs(); ++i) wanted.push_back(task_should_compute_output(i));
    return backward(gradients, wanted);
  }
  void release_variables() override { backward = nullptr; }

  Backward backward;
};

}  // namespace

bool needs_gradient(const Tensors& inputs) {
  if (!at::GradMode::is_enabled()) return false;
  for (const auto& input : inputs)
    if (input.defined() && input.requires_grad()) return true;
  return false;
}

Tensors record(const Tensors& inputs, Tensors outputs, Backward backward) {
  if (!needs_gradient(inputs)) return outputs;
  const auto node = c10::make_intrusive<Recorded>(std::move(backward));
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  for (auto& output : outputs) torch::autograd::set_history(output, node);
  return outputs;
}

at::Tensor record(const Tensors& inputs, at::Tensor output, Backward backward) {
  return record(inputs, Tensors{std::move(output)}, std::move(backward))[0];
}

}  // namespace cortune
