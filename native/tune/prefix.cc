// Prefix tuning: its ways to begin.
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
  std::vector<at::Generator> draws;
  for (int64_t k = 0; k < lanes(); ++k) draws.push_back(generator(k));
  const int64_t size = 2 * layers_ * heads_ * width_;
  const auto init = spec_.options.text("init", "random");
  if (const auto hidden = static_cast<int64_t>(spec_.options.number("hidden", 0)); hidden > 0) {
    network_.add_embedding(tokens, heads_ * width_, draws);
    network_.add_linear("transform.0", heads_ * width_, hidden, draws);
    network_.add_linear("transform.2", hidden, size, draws);
    if (init == "zero") network_.zero("transform.2");
    return;
  }
  states_ = at::zeros({lanes(), tokens, size}, at::kFloat);
  if (const auto* ids = spec_.options.list("ids")) start_at(model, *ids);
  if (init == "random")
    for (int64_t k = 0; k < lanes(); ++k) states_[k].normal_(0, 1, draws[k]);
  states_.requires_grad_(true);
}

void PrefixTuning::start_at(const Model& model, const std::vector<double>& ids) {
  if (static_cast<int64_t>(ids.size()) != states_.size(1))
    fail(Code::kArgument, "Expected `ids` to name " + std::to_string(states_.size(1)) + " tokens, got " +
                              std::to_string(ids.size()) + ".");
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> seen;
  auto pass = model.pass({std::vector<int32_t>(ids.begin(), ids.end())}, nullptr);
  pass.seen = &seen;
  auto h = model.embed(pass);
  for (int64_t i = 0; i < layers_; ++i) h = model.block(pass, i, h);
  const auto all = at::stack(seen, 2);  // [1, P, 2 L, H_kv, D]
  states_.copy_(all.reshape({1, states_.size(1), -1}).expand_as(states_));
}

at::Tensor PrefixTuning::flat() const {
  if (states_.defined()) return states_;
  return network_.linear("transform.2", at::tanh(network_.linear("transform.0", network_.embedding())));
}

at::Tensor PrefixTuning::prefix() const {
  const auto states = flat();
  return states.view({lanes(), states.size(1), 2 * layers_, heads_, width_});
}

void PrefixTuning::visit(const Visit& visit) {
  if (states_.defined())
    visit(states_, {});
  else
    network_.visit(visit);
}

NamedTensors PrefixTuning::state(int64_t lane) const {
  if (states_.defined()) return {{"prompt_embeddings", states_.detach()[lane]}};
  NamedTensors list;
  network_.append_state(list, lane);
  return list;
}

NamedTensors PrefixTuning::saved(int64_t lane) const {
  at::NoGradGuard no_grad;
  return {{"prompt_embeddings", flat()[lane]}};
}

}  // namespace cortune
