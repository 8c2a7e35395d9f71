// The layers that families are built from. Each asks the tuning method (Delta) for its effect, so a family
// never knows it. Hidden states are [K, N, C]: K lanes (1 as long as no lane differs from another: the lanes
// share what they have in common), N packed rows, C channels.
#pragma once
#include <memory>
#include <string>

#include "../pch.h"
#include "config.h"
#include "delta.h"
#include "hooks.h"
#include "layout.h"
#include "parameters.h"

namespace cortune {

class KeyValueCache;

// Rotary position embedding (Su et al. 2021): cos and sin of each row's position.
struct Rotary {
  at::Tensor cos;  // [N, 1, D_rot], or [K, N, 1, D_rot] where lanes number their rows differently
  at::Tensor sin;
};

// The images that sequences stand for: every row of a sequence has the number of its image as id.
struct Images {
  at::Tensor pixels;  // [n, channels, H, W], uint8 or float32
  at::Tensor scale;   // [channels, 1, 1]: the model reads pixel * scale + shift
  at::Tensor shift;
};

// One forward pass over packed sequences.
struct Pass {
  const ModelConfig& config;
  const Parameters& parameters;
  const Delta* delta;  // null for the base model
  Layout layout;
  int64_t lanes;        // K
  bool half;            // products with weights in bfloat16, everything else in float32
  VirtualTokens added;  // as the layout counts them
  Rotary rotary;        // empty for families without
  // Filled with the keys and values that attention meets, layer after layer: [K, N, H_kv, D]. Null for no.
  std::vector<at::Tensor>* seen = nullptr;
  Hooks* hooks = nullptr;  // see hooks.h; with some, `delta` has one lane
  // Where texts are written word by word: keeps the keys and values of what is read, and gives them to what
  // comes next (native/model/cache.h). Null for no.
  KeyValueCache* cache = nullptr;
  std::shared_ptr<const Images> images = nullptr;  // null for texts

  // The parameter as the lanes have it: of the base's shape, or [K, 1, ...] where one of them owns it.
  at::Tensor vector(const std::string& name) const;
  // A matrix of lane `k`.
  at::Tensor matrix(const std::string& name, int64_t k) const;
  // The same for every lane?
  bool is_shared(const std::string& name) const;
  // x W^T + b (b when the model has `name`.bias), with the methods' effects, onto `residual` when given.
  // [K, N, in] -> [K, N, out]
  at::Tensor linear(const std::string& name, const at::Tensor& x, const at::Tensor& residual = {}) const;
  // The same for the last module of a sublayer, whose output hooks may see before it meets the residual.
  at::Tensor sublayer(Point point, int64_t layer, const std::string& name, const at::Tensor& x,
                      const at::Tensor& residual) const;
  // Rows of the table `name`.weight. [N] or [K, N] -> [1 or K, N, C]
  at::Tensor embedding(const std::string& name, const at::Tensor& ids) const;
  // Rows of the word table, and the prompts of the lanes in their rows. [1 or K, N, C]
  at::Tensor words(const std::string& name) const;
  // `rows` with the prompts of the lanes in the rows that are theirs. [1 or K, N, C]
  at::Tensor with_prompts(const at::Tensor& rows) const;
  // The states that block `layer` is given: prompts that are deep come anew. [1 or K, N, C]
  at::Tensor with_deep_prompts(int64_t layer, const at::Tensor& h) const;
  at::Tensor layer_norm(const std::string& name, const at::Tensor& x) const;
  // x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019)
  at::Tensor rms_norm(const std::string& name, const at::Tensor& x) const;
  // The config's activation f(x), or f(x) * up. Takes both over.
  at::Tensor activate(const at::Tensor& x, const at::Tensor& up = {}) const;
  // Scaled dot-product attention of layer `layer` within each sequence. q [K, N, H, D]; k, v [K, N, H_kv, D]
  // -> [K, N, H * D]
  at::Tensor attention(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       bool causal) const;
  // Rotates the first D_rot channels of each head, in place. [K, N, H, D]
  at::Tensor rotate(const at::Tensor& x) const;
};

// Splits the last axis into heads. [K, N, H * D] -> [K, N, H, D]
at::Tensor heads_of(const at::Tensor& x, int64_t heads);

// The rotary tables of the positions of `layout`, with the config's scaling (none, linear, llama3).
Rotary rotary_tables(const ModelConfig& config, const Layout& layout);

}  // namespace cortune
