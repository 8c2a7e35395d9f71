// The model families. One class and one file each; module names are transformers'.
#pragma once
#include "model.h"

namespace cortune {

// Llama and what is built like it: SmolLM2, TinyLlama, Llama 3, Mistral, Qwen2 (with its q, k, v biases).
class Llama : public Model {
 public:
  using Model::Model;
  std::vector<ParameterSpec> declare() const override;
  at::Tensor embed(const Pass& pass) const override;
  at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const override;
  at::Tensor finish(const Pass& pass, const at::Tensor& h) const override;
  std::string word_table() const override;
  std::string head_weight() const override;
};

class Gpt2 : public Model {
 public:
  using Model::Model;
  std::vector<ParameterSpec> declare() const override;
  at::Tensor embed(const Pass& pass) const override;
  at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const override;
  at::Tensor finish(const Pass& pass, const at::Tensor& h) const override;
  std::string word_table() const override;
  std::string head_weight() const override;
  bool learned_positions() const override { return true; }
};

// GPT-NeoX and Pythia.
class Neox : public Model {
 public:
  using Model::Model;
  std::vector<ParameterSpec> declare() const override;
  at::Tensor embed(const Pass& pass) const override;
  at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const override;
  at::Tensor finish(const Pass& pass, const at::Tensor& h) const override;
  std::string word_table() const override;
  std::string head_weight() const override;
};

// OPT, with layer norms before (most sizes) or after (350M) the sublayers, and its word embedding projected
// where narrower.
class Opt : public Model {
 public:
  using Model::Model;
  std::vector<ParameterSpec> declare() const override;
  at::Tensor embed(const Pass& pass) const override;
  at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const override;
  at::Tensor finish(const Pass& pass, const at::Tensor& h) const override;
  at::Tensor head_input(const Pass& pass, const at::Tensor& h) const override;
  std::string word_table() const override;
  std::string head_weight() const override;
  bool learned_positions() const override { return true; }

 private:
  bool projected() const { return config_.embed_size != config_.hidden_size; }
};

// BERT and MiniLM encoders: every token sees all of its sequence; no vocabulary projection but that of the
// masked-token head.
class Bert : public Model {
 public:
  using Model::Model;
  std::vector<ParameterSpec> declare() const override;
  at::Tensor embed(const Pass& pass) const override;
  at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const override;
  at::Tensor finish(const Pass& pass, const at::Tensor& h) const override;
  std::string word_table() const override;
  std::string head_weight() const override { return ""; }
  std::vector<ParameterSpec> declare_heads() const override;
  at::Tensor masked_input(const Pass& pass, const at::Tensor& h) const override;
  std::string masked_weight() const override;
  std::string masked_bias() const override { return "cls.predictions.bias"; }
  at::Tensor pooled(const Pass& pass, const at::Tensor& finished, const at::Tensor& rows) const override;
  bool causal() const override { return false; }
  bool learned_positions() const override { return true; }
};

// What models of images have in common: an image is a sequence of class token (DeiT: and distillation token),
// registers and patches, each of which sees all others.
class ImageModel : public Model {
 public:
  using Model::Model;
  void check(const Pass& pass) const override;
  at::Tensor embed(const Pass& pass) const override;
  // transformers' last entry of hidden_states comes before the final norm.
  at::Tensor finish(const Pass& pass, const at::Tensor& h) const override;
  at::Tensor pooled(const Pass& pass, const at::Tensor& finished, const at::Tensor& rows) const override;
  std::string word_table() const override { return ""; }
  std::string head_weight() const override { return ""; }
  bool causal() const override { return false; }
  int64_t shortest() const override { return lead() + config_.registers + 1; }
  std::shared_ptr<const Images> blank_image(int64_t tokens) const override;

 protected:
  // Tokens before registers and patches that have positions.
  int64_t lead() const { return config_.family == "deit" ? 2 : 1; }
  // Patches of an image [.., H, W] along both sides.
  std::pair<int64_t, int64_t> grid(const at::Tensor& pixels) const;
  at::Tensor attend(const Pass& pass, int64_t layer, const std::string& attention, const at::Tensor& x,
                    const at::Tensor& residual) const;

  void declare_ends(class Declare& declare) const;

 private:
  at::Tensor patches(const Pass& pass, const at::Tensor& pixels) const;
  at::Tensor positions(const Pass& pass, int64_t height, int64_t width) const;
};

// ViT and DeiT.
class Vit : public ImageModel {
 public:
  using ImageModel::ImageModel;
  std::vector<ParameterSpec> declare() const override;
  at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const override;
};

// DINOv2, with or without registers.
class Dinov2 : public ImageModel {
 public:
  using ImageModel::ImageModel;
  std::vector<ParameterSpec> declare() const override;
  at::Tensor block(const Pass& pass, int64_t layer, const at::Tensor& h) const override;
  // The class token beside the mean of the patches.
  at::Tensor pooled(const Pass& pass, const at::Tensor& finished, const at::Tensor& rows) const override;
  int64_t pooled_width() const override { return 2 * config_.hidden_size; }
};

// Declares the parts of a module in a family's list.
class Declare {
 public:
  void linear(const std::string& name, int64_t in, int64_t out, bool bias, double std_factor = 1) {
    list_.push_back({name + ".weight", {out, in}, Init::kNormal, std_factor, true});
    if (bias) list_.push_back({name + ".bias", {out}, Init::kZeros, 1, false});
  }
  void table(const std::string& name, int64_t rows, int64_t width) {
    list_.push_back({name + ".weight", {rows, width}, Init::kNormal, 1, false});
  }
  void layer_norm(const std::string& name, int64_t width) {
    rms_norm(name, width);
    list_.push_back({name + ".bias", {width}, Init::kZeros, 1, false});
  }
  void rms_norm(const std::string& name, int64_t width) {
    list_.push_back({name + ".weight", {width}, Init::kOnes, 1, false});
  }
  void bias(const std::string& name, int64_t width) {
    list_.push_back({name + ".bias", {width}, Init::kZeros, 1, false});
  }
  // A parameter that is no part of a module of the kinds above.
  void other(const std::string& name, std::vector<int64_t> shape, Init init = Init::kNormal) {
    list_.push_back({name, std::move(shape), init, 1, false});
  }
  // The vocabulary projection of a causal model. It is part of the chunked loss, not a module that a method
  // can attach to.
  void head(const std::string& name, int64_t width, int64_t vocabulary) {
    list_.push_back({name + ".weight", {vocabulary, width}, Init::kNormal, 1, false});
  }
  // What was declared, as parts of head `name`; none is a module that a method can attach to.
  std::vector<ParameterSpec> heads(const std::string& name) && {
    for (auto& spec : list_) {
      spec.head = name;
      spec.linear = false;
    }
    return std::move(list_);
  }
  std::vector<ParameterSpec> list() && { return std::move(list_); }

 private:
  std::vector<ParameterSpec> list_;
};

}  // namespace cortune
