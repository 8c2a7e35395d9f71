// The layers that families are built from. Each asks the tuning method (Delta) for its effect, so a family
// never knows it. Hidden states are [K, N, C]: K lanes (1 as long as no lane differs from another: the lanes
// share what they have in common), N packed rows, C channels.
#pragma once
#include <string>

#include "../pch.h"
#include "config.h"
#include "delta.h"
#include "layout.h"
#include "parameters.h"

namespace cortune {

// Rotary position embedding (Su et al. 2021): cos and sin of each row's position, [N, 1, D_rot].
struct Rotary {
  at::Tensor cos;
  at::Tensor sin;
};

// One forward pass over packed sequences.
struct Pass {
  const ModelConfig& config;
  const Parameters& parameters;
  const Delta* delta;  // null for the base model
  const Layout& layout;
  Rotary rotary;  // empty for families without

  at::Tensor parameter(const std::string& name) const;
  // x W^T + b (b when the model has `name`.bias), then the method's effect. [K, N, in] -> [K, N, out]
  at::Tensor linear(const std::string& name, const at::Tensor& x) const;
  // Rows of the table `name`.weight. [N] -> [1, N, C]
  at::Tensor embedding(const std::string& name, const at::Tensor& ids) const;
  at::Tensor layer_norm(const std::string& name, const at::Tensor& x) const;
  // x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019)
  at::Tensor rms_norm(const std::string& name, const at::Tensor& x) const;
  at::Tensor activate(const at::Tensor& x) const;
  // Scaled dot-product attention within each sequence. q [K, N, H, D]; k, v [K, N, H_kv, D] -> [K, N, H * D]
  at::Tensor attention(at::Tensor q, at::Tensor k, at::Tensor v, bool causal) const;
  // Rotates the first D_rot channels of each head. [K, N, H, D]
  at::Tensor rotate(const at::Tensor& x) const;
};

// Splits the last axis into heads. [K, N, H * D] -> [K, N, H, D]
at::Tensor heads_of(const at::Tensor& x, int64_t heads);

// The rotary tables of the positions of `layout`, with the config's scaling (none, linear, llama3).
Rotary rotary_tables(const ModelConfig& config, const Layout& layout);

}  // namespace cortune
