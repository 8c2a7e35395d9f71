// Prefix tuning.
#include "prefix.h"

namespace cortune {

PrefixTuning::PrefixTuning(const Model& model, MethodSpec spec)
    : Method(std::move(spec)),
      layers_(model.config().layers),
      heads_(model.config().kv_heads),
      width_(model.config().head_dim) {
  const auto tokens = static_cast<int64_t>(spec_.options.number("tokens", 0));
  if (tokens < 1)
    fail(Code::kArgument, "Expected `tokens` to be at least 1, got " + std::to_string(tokens) + ".");
  attach(model, model.word_table());
  states_ = at::empty({lanes(), tokens, 2 * layers_ * heads_ * width_}, at::kFloat);
  for (int64_t k = 0; k < lanes(); ++k) states_[k].normal_(0, 1, generator(k));
  states_.requires_grad_(true);
}

at::Tensor PrefixTuning::prefix() const {
  return states_.view({lanes(), states_.size(1), 2 * layers_, heads_, width_});
}

void PrefixTuning::visit(const Visit& visit) { visit(states_, {}); }

NamedTensors PrefixTuning::state(int64_t lane) const {
  return {{"prompt_embeddings", states_.detach()[lane]}};
}

}  // namespace cortune
