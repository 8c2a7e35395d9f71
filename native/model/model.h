// A transformer: its config, its weights, and the steps of a forward pass that every family provides.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../pch.h"
#include "config.h"
#include "layers.h"
#include "parameters.h"

namespace cortune {

class Model {
 public:
  explicit Model(ModelConfig config) : config_(std::move(config)) {}
  virtual ~Model() = default;

  const ModelConfig& config() const { return config_; }
  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }

  // Checks ids and lengths against the model; throws kArgument or kData with what to do.
  virtual void check(const Pass& pass) const;
  // A pass over sequences, packed in their order, with the virtual tokens that the lanes of `delta` (null:
  // the base model alone) put before them. Checks them.
  // Models of images are given `images` that the sequences name.
  Pass pass(const std::vector<std::vector<int32_t>>& sequences, const Delta* delta, bool half = false,
            std::shared_ptr<const Images> images = nullptr) const;

  // Every parameter of the family at this config.
  virtual std::vector<ParameterSpec> declare() const = 0;
  // The input of the first block: hidden_states[0] of transformers. [1 or K, N, C]
  virtual at::Tensor embed(const Pass& pass) const = 0;
  virtual at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const = 0;
  // The last entry of transformers' hidden_states from the last block's output.
  virtual at::Tensor finish(const Pass& pass, const at::Tensor& h) const = 0;
  // What the vocabulary projection multiplies, from the finished state; the identity for most families.
  virtual at::Tensor head_input(const Pass& pass, const at::Tensor& h) const {
    (void)pass;
    return h;
  }
  // Name of the word embeddings [V, C].
  virtual std::string word_table() const = 0;
  // Name of the vocabulary projection's weight [V, C]; empty for encoders.
  virtual std::string head_weight() const = 0;
  // Parameters of heads that a checkpoint may lack: what it lacks is drawn as transformers draws it.
  virtual std::vector<ParameterSpec> declare_heads() const { return {}; }
  // What the masked-token projection multiplies, from finished states of masked tokens; its weight [V, C] and
  // bias [V]. Names are empty for causal models.
  virtual at::Tensor masked_input(const Pass& pass, const at::Tensor& h) const {
    (void)pass;
    return h;
  }
  virtual std::string masked_weight() const { return ""; }
  virtual std::string masked_bias() const { return ""; }
  // What a sequence head multiplies, from finished states and the rows [M] of the tokens that stand for the
  // sequences. [1 or K, M, pooled_width()]
  virtual at::Tensor pooled(const Pass& pass, const at::Tensor& finished, const at::Tensor& rows) const {
    return head_input(pass, finished.index_select(1, rows));
  }
  // OPT's states leave the model as wide as its word embedding.
  virtual int64_t pooled_width() const {
    return config_.embed_size > 0 ? config_.embed_size : config_.hidden_size;
  }
  // Does every token see only itself and what is before it?
  virtual bool causal() const { return true; }
  // Positions are learned, so there are no more than max_positions.
  virtual bool learned_positions() const { return false; }
  // For trying how much memory a pass takes: tokens of the shortest sequence, and an image (null for models
  // of texts) of so many tokens.
  virtual int64_t shortest() const { return 2; }
  virtual std::shared_ptr<const Images> blank_image(int64_t tokens) const {
    (void)tokens;
    return nullptr;
  }

 protected:
  ModelConfig config_;
  Parameters parameters_;
};

// A model of the config's family, without weights yet. Throws kConfig for an unknown family.
std::unique_ptr<Model> make_model(const ModelConfig& config);

// Fills every parameter as transformers initialises the family, from `seed`.
void initialise(Model& model, uint64_t seed);
// Adds `heads`, which a checkpoint lacks, drawn as transformers initialises them.
void add_fresh_heads(Model& model, const std::vector<ParameterSpec>& heads, uint64_t seed);

// "model.layers.3" for ("model.layers", 3)
inline std::string indexed(const std::string& prefix, int64_t index) {
  return prefix + "." + std::to_string(index);
}

}  // namespace cortune
