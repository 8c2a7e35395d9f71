// Visual prompt tuning.
#include "vpt.h"

#include <cmath>

namespace cortune {

VisualPrompts::VisualPrompts(const Model& model, MethodSpec spec) : Method(std::move(spec)) {
  const auto& c = model.config();
  const auto tokens = static_cast<int64_t>(spec_.options.number("tokens", 0));
  if (tokens < 1)
    fail(Code::kArgument, "Expected `tokens` to be at least 1, got " + std::to_string(tokens) + ".");
  if (c.patch_size == 0)
    fail(Code::kArgument,
         "Expected a model of images for visual prompts, got one of family `" + c.family + "`.");
  attach(model, "embeddings.cls_token");
  const double patch = static_cast<double>(c.channels * c.patch_size * c.patch_size);
  const double bound = std::sqrt(6 / (patch + static_cast<double>(c.hidden_size)));
  tokens_ = at::empty({lanes(), tokens, c.hidden_size}, at::kFloat);
  if (spec_.options.flag("deep") && c.layers > 1)
    deep_ = at::empty({lanes(), c.layers - 1, tokens, c.hidden_size}, at::kFloat);
  for (int64_t k = 0; k < lanes(); ++k) {
    const auto draw = generator(k);
    tokens_[k].uniform_(-bound, bound, draw);
    if (deep_.defined()) deep_[k].uniform_(-bound, bound, draw);
  }
  tokens_.requires_grad_(true);
  if (deep_.defined()) deep_.requires_grad_(true);
}

at::Tensor VisualPrompts::prompt() const { return tokens_; }

at::Tensor VisualPrompts::deep_prompt() const { return deep_; }

void VisualPrompts::visit(const Visit& visit) {
  visit(tokens_, {});
  if (deep_.defined()) visit(deep_, {});
}

NamedTensors VisualPrompts::state(int64_t lane) const {
  NamedTensors list{{"prompt_embeddings", tokens_.detach()[lane]}};
  if (deep_.defined()) list.emplace_back("deep_prompt_embeddings", deep_.detach()[lane]);
  return list;
}

}  // namespace cortune
