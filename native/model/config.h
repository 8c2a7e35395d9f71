// What a model is, whatever file said it: the C++ twin of ModelConfig in lib/native/types.ts.
#pragma once
#include <cstdint>
#include <string>

namespace cortune {

struct ModelConfig {
  std::string family;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t max_positions = 0;
  double norm_eps = 0;
  std::string activation;
  bool tie_embeddings = false;
  bool qkv_bias = false;
  bool out_bias = false;
  bool mlp_bias = false;
  double rope_theta = 0;
  double rope_share = 1;
  std::string rope_scaling;
  double rope_factor = 1;
  double rope_low_factor = 1;
  double rope_high_factor = 1;
  double rope_original_positions = 0;
  bool parallel_residual = false;
  bool pre_norm = true;
  int64_t embed_size = 0;
  bool final_norm = true;
  int64_t sliding_window = 0;
  int64_t type_vocab_size = 0;
  double initializer_range = 0.02;
  // Of image models; 0 for others.
  int64_t image_size = 0;  // pixels a side of the images that the position table was made for
  int64_t patch_size = 0;
  int64_t channels = 0;
  int64_t registers = 0;
  bool gated_mlp = false;
  bool antialias = false;  // where the position table is interpolated
};

}  // namespace cortune
