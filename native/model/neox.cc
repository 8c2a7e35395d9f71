// GPT-NeoX (Black et al. 2022) and Pythia: rotary positions on a share of each head, attention and MLP side
// by side.
#include "families.h"

namespace cortune {

std::vector<ParameterSpec> Neox::declare() const {
  const auto& c = config_;
  Declare declare;
  declare.table("gpt_neox.embed_in", c.vocab_size, c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto name = indexed("gpt_neox.layers", i);
    declare.layer_norm(name + ".input_layernorm", c.hidden_size);
    declare.layer_norm(name + ".post_attention_layernorm", c.hidden_size);
    declare.linear(name + ".attention.query_key_value", c.hidden_size, 3 * c.hidden_size, c.qkv_bias);
    declare.linear(name + ".attention.dense", c.hidden_size, c.hidden_size, c.out_bias);
    declare.linear(name + ".mlp.dense_h_to_4h", c.hidden_size, c.intermediate_size, true);
    declare.linear(name + ".mlp.dense_4h_to_h", c.intermediate_size, c.hidden_size, true);
  }
  declare.layer_norm("gpt_neox.final_layer_norm", c.hidden_size);
  if (!c.tie_embeddings) declare.head("embed_out", c.hidden_size, c.vocab_size);
  return std::move(declare).list();
}

at::Tensor Neox::embed(const Pass& pass) const { return pass.words("gpt_neox.embed_in"); }

at::Tensor Neox::block(const Pass& pass, int64_t layer, const at::Tensor& h) const {
  const auto name = indexed("gpt_neox.layers", layer);
  const auto projected =
      pass.linear(name + ".attention.query_key_value", pass.layer_norm(name + ".input_layernorm", h));
  const auto qkv =
      heads_of(projected, config_.heads).chunk(3, -1);  // each head holds its q, k and v side by side
  const auto mixed = pass.attention(layer, pass.rotate(qkv[0]), pass.rotate(qkv[1]), qkv[2], true);
  const auto after = pass.sublayer(Point::kAttention, layer, name + ".attention.dense", mixed, h);
  const auto x = pass.layer_norm(name + ".post_attention_layernorm", config_.parallel_residual ? h : after);
  const auto inner = pass.activate(pass.linear(name + ".mlp.dense_h_to_4h", x));
  return pass.sublayer(Point::kMlp, layer, name + ".mlp.dense_4h_to_h", inner, after);
}

at::Tensor Neox::finish(const Pass& pass, const at::Tensor& h) const {
  return pass.layer_norm("gpt_neox.final_layer_norm", h);
}

std::string Neox::head_weight() const {
  return config_.tie_embeddings ? "gpt_neox.embed_in.weight" : "embed_out.weight";
}

std::string Neox::word_table() const { return "gpt_neox.embed_in.weight"; }

}  // namespace cortune
