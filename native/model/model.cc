// What all families share: checks, random initialisation, the registry.
#include "model.h"

#include <ATen/CPUGeneratorImpl.h>

#include "../error.h"
#include "families.h"

namespace cortune {

void Model::check(const Pass& pass) const {
  const auto& layout = pass.layout;
  if (pass.images)
    fail(Code::kArgument, "Expected texts for a model of family `" + config_.family + "`, got images.");
  if (layout.rows == 0) fail(Code::kData, "Expected at least one token, got none. Remove empty stimuli.");
  const auto low = layout.ids.min().item<int64_t>(), high = layout.ids.max().item<int64_t>();
  if (low < 0 || high >= config_.vocab_size)
    fail(Code::kData, "Expected token ids from 0 to " + std::to_string(config_.vocab_size - 1) + ", got " +
                          std::to_string(low < 0 ? low : high) + ". The tokenizer belongs to another model.");
  if (learned_positions() && layout.longest > config_.max_positions)
    fail(Code::kData,
         "Expected sequences of at most " + std::to_string(config_.max_positions) +
             " tokens (words, and virtual tokens of the method), the model's context, got one of " +
             std::to_string(layout.longest) + ". Shorten it, or embed it in windows.");
}

namespace {

VirtualCounts count(const VirtualTokens& added, int64_t lanes, bool causal) {
  VirtualCounts counts;
  counts.shared = causal;
  const auto note = [&](std::vector<int64_t>& into, const LaneRange& range, int64_t size) {
    into.resize(lanes, 0);
    std::fill_n(into.begin() + range.first, range.count, size);
  };
  for (const auto& prompt : added.prompts) note(counts.prompts, prompt.lanes, prompt.tokens.size(1));
  for (const auto& prefix : added.prefixes) note(counts.prefixes, prefix.lanes, prefix.states.size(1));
  return counts;
}

}  // namespace

Pass Model::pass(const std::vector<std::vector<int32_t>>& sequences, const Delta* delta, bool half,
                 std::shared_ptr<const Images> images) const {
  Pass pass{config_, parameters_, delta, {}, 1, half, {}, {}};
  pass.images = std::move(images);
  if (delta) {
    delta->check(parameters_);
    pass.lanes = delta->lanes();
    pass.added = delta->virtual_tokens();
  }
  pass.layout = Layout::pack(sequences, count(pass.added, pass.lanes, causal()));
  check(pass);
  if (config_.rope_theta > 0) pass.rotary = rotary_tables(config_, pass.layout);
  return pass;
}

std::unique_ptr<Model> make_model(const ModelConfig& config) {
  if (config.family == "llama") return std::make_unique<Llama>(config);
  if (config.family == "gpt2") return std::make_unique<Gpt2>(config);
  if (config.family == "neox") return std::make_unique<Neox>(config);
  if (config.family == "opt") return std::make_unique<Opt>(config);
  if (config.family == "bert") return std::make_unique<Bert>(config);
  if (config.family == "vit" || config.family == "deit") return std::make_unique<Vit>(config);
  if (config.family == "dinov2") return std::make_unique<Dinov2>(config);
  fail(Code::kConfig, "Expected the family to be llama, gpt2, neox, opt, bert, vit, deit or dinov2, got `" +
                          config.family + "`.");
}

void initialise(Model& model, uint64_t seed) {
  const auto generator = at::detail::createCPUGenerator(seed);
  for (const auto& spec : model.declare())
    model.parameters().add(spec, initial_value(spec, model.config().initializer_range, generator));
  add_fresh_heads(model, model.declare_heads(), seed);
}

void add_fresh_heads(Model& model, const std::vector<ParameterSpec>& heads, uint64_t seed) {
  const auto generator = at::detail::createCPUGenerator(seed);
  for (auto spec : heads) {
    spec.fresh = true;
    auto value = initial_value(spec, model.config().initializer_range, generator);
    model.parameters().add(spec, std::move(value));
  }
}

}  // namespace cortune
