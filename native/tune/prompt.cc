// Prompt tuning.
#include "prompt.h"

namespace cortune {
namespace {

at::Tensor words_of(const at::Tensor& table, const std::vector<double>& ids, int64_t lanes, int64_t tokens) {
  const auto count = static_cast<int64_t>(ids.size());
  if (count != tokens && count != lanes * tokens)
    fail(Code::kArgument, "Expected `ids` to name " + std::to_string(tokens) +
                              " tokens, or as many for each lane, got " + std::to_string(count) + ".");
  const auto index = at::tensor(ids, at::kDouble).to(at::kLong);
  if (index.min().item<int64_t>() < 0 || index.max().item<int64_t>() >= table.size(0))
    fail(Code::kArgument, "Expected `ids` to name tokens of the model's vocabulary.");
  return table.index_select(0, index).view({-1, tokens, table.size(1)}).expand({lanes, -1, -1}).clone();
}

}  // namespace

PromptTuning::PromptTuning(const Model& model, MethodSpec spec) : Method(std::move(spec)) {
  const auto tokens = static_cast<int64_t>(spec_.options.number("tokens", 0));
  if (tokens < 1)
    fail(Code::kArgument, "Expected `tokens` to be at least 1, got " + std::to_string(tokens) + ".");
  const auto& table = attach(model, model.word_table());
  if (const auto* ids = spec_.options.list("ids")) {
    tokens_ = words_of(table, *ids, lanes(), tokens);
  } else {
    tokens_ = at::empty({lanes(), tokens, table.size(1)}, at::kFloat);
    for (int64_t k = 0; k < lanes(); ++k) tokens_[k].normal_(0, 1, generator(k));
  }
  tokens_.requires_grad_(true);
}

at::Tensor PromptTuning::prompt() const { return tokens_; }

void PromptTuning::visit(const Visit& visit) { visit(tokens_, {}); }

NamedTensors PromptTuning::state(int64_t lane) const {
  return {{"prompt_embeddings", tokens_.detach()[lane]}};
}

}  // namespace cortune
