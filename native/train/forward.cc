// Forward passes, and blocks that are computed again in the backward pass.
#include "forward.h"

#include <torch/csrc/autograd/autograd.h>

namespace cortune {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;
using Block = std::function<at::Tensor(const variable_list& inputs)>;

struct HeldBlock : torch::CustomClassHolder {
  explicit HeldBlock(Block block) : block(std::move(block)) {}
  Block block;
};

// A function of `inputs` (the state, and what else is computed outside the block) that keeps nothing but
// them.
struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(AutogradContext* ctx, at::TensorList inputs, Block block) {
    ctx->save_for_backward(inputs.vec());
    ctx->saved_data["block"] = c10::IValue::make_capsule(c10::make_intrusive<HeldBlock>(block));
    at::NoGradGuard no_grad;
    return block(inputs.vec());
  }

  // Gradients of what is trained in the block add up in the leaves, as they do without it.
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto held = c10::static_intrusive_pointer_cast<HeldBlock>(ctx->saved_data["block"].toCapsule());
    variable_list inputs;
    for (const auto& saved : ctx->get_saved_variables())
      inputs.push_back(saved.detach().requires_grad_(saved.requires_grad()));
    at::Tensor out;
    {
      at::AutoGradMode with_grad(true);
      out = held->block(inputs);
    }
    torch::autograd::backward({out}, {grads[0]});
    variable_list given;
    for (const auto& input : inputs) given.push_back(input.requires_grad() ? input.grad() : Variable());
    given.emplace_back();  // of `block`
    return given;
  }
};

at::Tensor checkpointed(const Model& model, const Pass& pass, int64_t layer, const at::Tensor& h) {
  variable_list inputs{h};
  for (const auto& prefix : pass.added.prefixes) inputs.push_back(prefix.states);
  // A TensorList: other containers are not seen as inputs that may want a gradient.
  return Checkpoint::apply(at::TensorList(inputs), Block([&model, &pass, layer](const variable_list& given) {
                             Pass again = pass;
                             for (size_t i = 0; i < again.added.prefixes.size(); ++i)
                               again.added.prefixes[i].states = given[i + 1];
                             return model.block(again, layer, given[0]);
                           }));
}

}  // namespace

at::Tensor run_blocks(const Model& model, const Pass& pass, bool checkpointing, const Task& task) {
  auto h = model.embed(pass);
  for (int64_t i = 0; i < model.config().layers; ++i) {
    task.check();
    // Below the first trained part a block keeps nothing anyway.
    const bool keeps = checkpointing && h.requires_grad() && at::GradMode::is_enabled();
    h = keeps ? checkpointed(model, pass, i, h) : model.block(pass, i, h);
  }
  return model.finish(pass, h);
}

}  // namespace cortune
