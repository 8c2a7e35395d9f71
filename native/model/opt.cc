// OPT (Zhang et al. 2022): learned positions, numbered from 2; ReLU; layer norms before or after the
// sublayers.
#include "families.h"

namespace cortune {
namespace {

constexpr int64_t kPositionOffset = 2;  // the first two rows of the position table are unused

const char* const kDecoder = "model.decoder";

}  // namespace

std::vector<ParameterSpec> Opt::declare() const {
  const auto& c = config_;
  const std::string decoder = kDecoder;
  Declare declare;
  declare.table(decoder + ".embed_tokens", c.vocab_size, c.embed_size);
  declare.table(decoder + ".embed_positions", c.max_positions + kPositionOffset, c.hidden_size);
  if (projected()) {
    declare.linear(decoder + ".project_out", c.hidden_size, c.embed_size, false);
    declare.linear(decoder + ".project_in", c.embed_size, c.hidden_size, false);
  }
  if (c.final_norm) declare.layer_norm(decoder + ".final_layer_norm", c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto name = indexed(decoder + ".layers", i);
    for (const auto* part : {"k_proj", "v_proj", "q_proj", "out_proj"})
      declare.linear(name + ".self_attn." + part, c.hidden_size, c.hidden_size, c.qkv_bias);
    declare.layer_norm(name + ".self_attn_layer_norm", c.hidden_size);
    declare.linear(name + ".fc1", c.hidden_size, c.intermediate_size, c.mlp_bias);
    declare.linear(name + ".fc2", c.intermediate_size, c.hidden_size, c.mlp_bias);
    declare.layer_norm(name + ".final_layer_norm", c.hidden_size);
  }
  if (!c.tie_embeddings) declare.head("lm_head", c.embed_size, c.vocab_size);
  return std::move(declare).list();
}

at::Tensor Opt::embed(const Pass& pass) const {
  const std::string decoder = kDecoder;
  auto words = pass.words(decoder + ".embed_tokens");
  if (projected()) words = pass.linear(decoder + ".project_in", words);
  return words + pass.embedding(decoder + ".embed_positions", pass.layout.positions + kPositionOffset);
}

at::Tensor Opt::block(const Pass& pass, int64_t layer, const at::Tensor& h) const {
  const auto name = indexed(std::string(kDecoder) + ".layers", layer), attn = name + ".self_attn";
  const auto norm_1 = name + ".self_attn_layer_norm", norm_2 = name + ".final_layer_norm";
  auto x = config_.pre_norm ? pass.layer_norm(norm_1, h) : h;
  const auto q = heads_of(pass.linear(attn + ".q_proj", x), config_.heads);
  const auto k = heads_of(pass.linear(attn + ".k_proj", x), config_.heads);
  const auto v = heads_of(pass.linear(attn + ".v_proj", x), config_.heads);
  auto after =
      pass.sublayer(Point::kAttention, layer, attn + ".out_proj", pass.attention(layer, q, k, v, true), h);
  if (!config_.pre_norm) after = pass.layer_norm(norm_1, after);

  x = config_.pre_norm ? pass.layer_norm(norm_2, after) : after;
  const auto out =
      pass.sublayer(Point::kMlp, layer, name + ".fc2", pass.activate(pass.linear(name + ".fc1", x)), after);
  return config_.pre_norm ? out : pass.layer_norm(norm_2, out);
}

at::Tensor Opt::finish(const Pass& pass, const at::Tensor& h) const {
  return config_.final_norm ? pass.layer_norm(std::string(kDecoder) + ".final_layer_norm", h) : h;
}

at::Tensor Opt::head_input(const Pass& pass, const at::Tensor& h) const {
  return projected() ? pass.linear(std::string(kDecoder) + ".project_out", h) : h;
}

std::string Opt::head_weight() const {
  return config_.tie_embeddings ? std::string(kDecoder) + ".embed_tokens.weight" : "lm_head.weight";
}

std::string Opt::word_table() const { return std::string(kDecoder) + ".embed_tokens.weight"; }

}  // namespace cortune
