// Llama (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, SwiGLU.
#include "families.h"

namespace cortune {

std::vector<ParameterSpec> Llama::declare() const {
  const auto& c = config_;
  Declare declare;
  declare.table("model.embed_tokens", c.vocab_size, c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto name = indexed("model.layers", i);
    declare.linear(name + ".self_attn.q_proj", c.hidden_size, c.heads * c.head_dim, c.qkv_bias);
    declare.linear(name + ".self_attn.k_proj", c.hidden_size, c.kv_heads * c.head_dim, c.qkv_bias);
    declare.linear(name + ".self_attn.v_proj", c.hidden_size, c.kv_heads * c.head_dim, c.qkv_bias);
    declare.linear(name + ".self_attn.o_proj", c.heads * c.head_dim, c.hidden_size, c.out_bias);
    declare.linear(name + ".mlp.gate_proj", c.hidden_size, c.intermediate_size, c.mlp_bias);
    declare.linear(name + ".mlp.up_proj", c.hidden_size, c.intermediate_size, c.mlp_bias);
    declare.linear(name + ".mlp.down_proj", c.intermediate_size, c.hidden_size, c.mlp_bias);
    declare.rms_norm(name + ".input_layernorm", c.hidden_size);
    declare.rms_norm(name + ".post_attention_layernorm", c.hidden_size);
  }
  declare.rms_norm("model.norm", c.hidden_size);
  if (!c.tie_embeddings) declare.head("lm_head", c.hidden_size, c.vocab_size);
  return std::move(declare).list();
}

at::Tensor Llama::embed(const Pass& pass) const { return pass.words("model.embed_tokens"); }

at::Tensor Llama::block(const Pass& pass, int64_t layer, const at::Tensor& h) const {
  const auto name = indexed("model.layers", layer), attn = name + ".self_attn", mlp = name + ".mlp";
  auto x = pass.rms_norm(name + ".input_layernorm", h);
  const auto q = pass.rotate(heads_of(pass.linear(attn + ".q_proj", x), config_.heads));
  const auto k = pass.rotate(heads_of(pass.linear(attn + ".k_proj", x), config_.kv_heads));
  const auto v = heads_of(pass.linear(attn + ".v_proj", x), config_.kv_heads);
  const auto after =
      pass.sublayer(Point::kAttention, layer, attn + ".o_proj", pass.attention(layer, q, k, v, true), h);

  x = pass.rms_norm(name + ".post_attention_layernorm", after);
  const auto gated = pass.activate(pass.linear(mlp + ".gate_proj", x), pass.linear(mlp + ".up_proj", x));
  return pass.sublayer(Point::kMlp, layer, mlp + ".down_proj", gated, after);
}

at::Tensor Llama::finish(const Pass& pass, const at::Tensor& h) const {
  return pass.rms_norm("model.norm", h);
}

std::string Llama::head_weight() const {
  return config_.tie_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
}

std::string Llama::word_table() const { return "model.embed_tokens.weight"; }

}  // namespace cortune
