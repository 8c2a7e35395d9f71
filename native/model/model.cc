// What all families share: checks, random initialisation, the registry.
#include "model.h"

#include <ATen/CPUGeneratorImpl.h>

#include "../error.h"
#include "families.h"

namespace cortune {

void Model::check(const Layout& layout) const {
  if (layout.rows == 0) fail(Code::kData, "Expected at least one token, got none. Remove empty stimuli.");
  const auto low = layout.ids.min().item<int64_t>(), high = layout.ids.max().item<int64_t>();
  if (low < 0 || high >= config_.vocab_size)
    fail(Code::kData, "Expected token ids from 0 to " + std::to_string(config_.vocab_size - 1) + ", got " +
                          std::to_string(low < 0 ? low : high) + ". The tokenizer belongs to another model.");
  if (learned_positions() && layout.longest > config_.max_positions)
    fail(Code::kData, "Expected sequences of at most " + std::to_string(config_.max_positions) +
                          " tokens, the model's context, got one of " + std::to_string(layout.longest) +
                          ". Shorten it, or embed it in windows.");
}

Pass Model::pass(const Layout& layout, const Delta* delta) const {
  if (delta) delta->check(parameters_);
  Pass pass{config_, parameters_, delta, layout, {}};
  if (config_.rope_theta > 0) pass.rotary = rotary_tables(config_, layout);
  return pass;
}

std::unique_ptr<Model> make_model(const ModelConfig& config) {
  if (config.family == "llama") return std::make_unique<Llama>(config);
  if (config.family == "gpt2") return std::make_unique<Gpt2>(config);
  if (config.family == "neox") return std::make_unique<Neox>(config);
  if (config.family == "opt") return std::make_unique<Opt>(config);
  if (config.family == "bert") return std::make_unique<Bert>(config);
  fail(Code::kConfig,
       "Expected the family to be llama, gpt2, neox, opt or bert, got `" + config.family + "`.");
}

void initialise(Model& model, uint64_t seed) {
  const auto generator = at::detail::createCPUGenerator(seed);
  for (const auto& spec : model.declare())
    model.parameters().add(spec, initial_value(spec, model.config().initializer_range, generator));
}

}  // namespace cortune
