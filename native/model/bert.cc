// BERT (Devlin et al. 2019) and MiniLM: a bidirectional encoder, layer norm after each sublayer. Token types
// are all 0.
#include "families.h"

namespace cortune {

std::vector<ParameterSpec> Bert::declare() const {
  const auto& c = config_;
  Declare declare;
  declare.table("embeddings.word_embeddings", c.vocab_size, c.hidden_size);
  declare.table("embeddings.position_embeddings", c.max_positions, c.hidden_size);
  declare.table("embeddings.token_type_embeddings", c.type_vocab_size, c.hidden_size);
  declare.layer_norm("embeddings.LayerNorm", c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto name = indexed("encoder.layer", i);
    for (const auto* part : {"query", "key", "value"})
      declare.linear(name + ".attention.self." + part, c.hidden_size, c.hidden_size, true);
    declare.linear(name + ".attention.output.dense", c.hidden_size, c.hidden_size, true);
    declare.layer_norm(name + ".attention.output.LayerNorm", c.hidden_size);
    declare.linear(name + ".intermediate.dense", c.hidden_size, c.intermediate_size, true);
    declare.linear(name + ".output.dense", c.intermediate_size, c.hidden_size, true);
    declare.layer_norm(name + ".output.LayerNorm", c.hidden_size);
  }
  return std::move(declare).list();
}

at::Tensor Bert::embed(const Pass& pass) const {
  const auto types = at::zeros_like(pass.layout.ids);
  const auto sum = pass.words("embeddings.word_embeddings") +
                   pass.embedding("embeddings.token_type_embeddings", types) +
                   pass.embedding("embeddings.position_embeddings", pass.layout.positions);
  return pass.layer_norm("embeddings.LayerNorm", sum);
}

at::Tensor Bert::block(const Pass& pass, int64_t layer, const at::Tensor& h) const {
  const auto name = indexed("encoder.layer", layer), self = name + ".attention.self",
             output = name + ".attention.output";
  const auto q = heads_of(pass.linear(self + ".query", h), config_.heads);
  const auto k = heads_of(pass.linear(self + ".key", h), config_.heads);
  const auto v = heads_of(pass.linear(self + ".value", h), config_.heads);
  const auto attended =
      pass.sublayer(Point::kAttention, layer, output + ".dense", pass.attention(layer, q, k, v, false), h);
  const auto after = pass.layer_norm(output + ".LayerNorm", attended);

  const auto inner = pass.activate(pass.linear(name + ".intermediate.dense", after));
  return pass.layer_norm(name + ".output.LayerNorm",
                         pass.sublayer(Point::kMlp, layer, name + ".output.dense", inner, after));
}

std::vector<ParameterSpec> Bert::declare_heads() const {
  const auto& c = config_;
  Declare pooler, masked;
  pooler.linear("pooler.dense", c.hidden_size, c.hidden_size, true);
  masked.linear("cls.predictions.transform.dense", c.hidden_size, c.hidden_size, true);
  masked.layer_norm("cls.predictions.transform.LayerNorm", c.hidden_size);
  masked.bias("cls.predictions", c.vocab_size);
  if (!c.tie_embeddings) masked.head("cls.predictions.decoder", c.hidden_size, c.vocab_size);
  auto list = std::move(pooler).heads("pooler");
  for (auto& spec : std::move(masked).heads("masked")) list.push_back(std::move(spec));
  return list;
}

at::Tensor Bert::masked_input(const Pass& pass, const at::Tensor& h) const {
  const std::string transform = "cls.predictions.transform";
  return pass.layer_norm(transform + ".LayerNorm", pass.activate(pass.linear(transform + ".dense", h)));
}

std::string Bert::masked_weight() const {
  return config_.tie_embeddings ? "embeddings.word_embeddings.weight" : "cls.predictions.decoder.weight";
}

at::Tensor Bert::pooled(const Pass& pass, const at::Tensor& finished, const at::Tensor& rows) const {
  return at::tanh(pass.linear("pooler.dense", finished.index_select(1, rows)));
}

at::Tensor Bert::finish(const Pass& pass, const at::Tensor& h) const {
  (void)pass;
  return h;
}

std::string Bert::word_table() const { return "embeddings.word_embeddings.weight"; }

}  // namespace cortune
