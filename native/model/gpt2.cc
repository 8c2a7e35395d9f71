// GPT-2 (Radford et al. 2019): learned positions, layer norm before each sublayer, q, k and v in one
// projection.
#include <cmath>

#include "families.h"

namespace cortune {

std::vector<ParameterSpec> Gpt2::declare() const {
  const auto& c = config_;
  // Projections into the residual stream start smaller, by the number of residual additions.
  const double residual = 1 / std::sqrt(2.0 * static_cast<double>(c.layers));
  Declare declare;
  declare.table("transformer.wte", c.vocab_size, c.hidden_size);
  declare.table("transformer.wpe", c.max_positions, c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto name = indexed("transformer.h", i);
    declare.layer_norm(name + ".ln_1", c.hidden_size);
    declare.linear(name + ".attn.c_attn", c.hidden_size, 3 * c.hidden_size, true);
    declare.linear(name + ".attn.c_proj", c.hidden_size, c.hidden_size, true, residual);
    declare.layer_norm(name + ".ln_2", c.hidden_size);
    declare.linear(name + ".mlp.c_fc", c.hidden_size, c.intermediate_size, true);
    declare.linear(name + ".mlp.c_proj", c.intermediate_size, c.hidden_size, true, residual);
  }
  declare.layer_norm("transformer.ln_f", c.hidden_size);
  if (!c.tie_embeddings) declare.head("lm_head", c.hidden_size, c.vocab_size);
  return std::move(declare).list();
}

at::Tensor Gpt2::embed(const Pass& pass) const {
  return pass.words("transformer.wte") + pass.embedding("transformer.wpe", pass.layout.positions);
}

at::Tensor Gpt2::block(const Pass& pass, int64_t layer, const at::Tensor& h) const {
  const auto name = indexed("transformer.h", layer);
  const auto qkv = pass.linear(name + ".attn.c_attn", pass.layer_norm(name + ".ln_1", h)).chunk(3, -1);
  const auto mixed = pass.attention(layer, qkv[0].unflatten(-1, {config_.heads, -1}),
                                    qkv[1].unflatten(-1, {config_.heads, -1}),
                                    qkv[2].unflatten(-1, {config_.heads, -1}), true);
  const auto after = pass.sublayer(Point::kAttention, layer, name + ".attn.c_proj", mixed, h);
  const auto inner = pass.activate(pass.linear(name + ".mlp.c_fc", pass.layer_norm(name + ".ln_2", after)));
  return pass.sublayer(Point::kMlp, layer, name + ".mlp.c_proj", inner, after);
}

at::Tensor Gpt2::finish(const Pass& pass, const at::Tensor& h) const {
  return pass.layer_norm("transformer.ln_f", h);
}

std::string Gpt2::head_weight() const {
  return config_.tie_embeddings ? "transformer.wte.weight" : "lm_head.weight";
}

std::string Gpt2::word_table() const { return "transformer.wte.weight"; }

}  // namespace cortune
