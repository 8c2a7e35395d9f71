/** config.json of each model type: the keys that are read, and transformers' defaults for those left out. */
import { z } from 'zod';

/** Sizes beyond these are slips or lies, and would only be noticed once memory is gone. */
const kCount = z
  .int()
  .positive()
  .max(2 ** 31 - 1);
const kEps = z.number().positive();
export const kRope = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: z.number().positive().max(1).optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: z.number().positive().optional(),
});
export type Rope = z.infer<typeof kRope>;

const kShared = {
  vocab_size: kCount,
  initializer_range: z.number().nonnegative().default(0.02),
};
const kRotary = {
  rope_theta: z.number().positive().optional(),
  rope_scaling: kRope.nullish(),
  rope_parameters: kRope.nullish(),
  original_max_position_embeddings: z.number().positive().optional(),
};
export const kLlama = z.looseObject({
  ...kShared,
  ...kRotary,
  vocab_size: kCount.default(32000),
  hidden_size: kCount.default(4096),
  intermediate_size: kCount.default(11008),
  num_hidden_layers: kCount.default(32),
  num_attention_heads: kCount.default(32),
  num_key_value_heads: kCount.nullish(),
  head_dim: kCount.nullish(),
  hidden_act: z.string().default('silu'),
  max_position_embeddings: kCount.default(2048),
  rms_norm_eps: kEps.default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});
export const kMistral = kLlama.extend({
  intermediate_size: kCount.default(14336),
  num_key_value_heads: kCount.nullable().default(8),
  max_position_embeddings: kCount.default(131072),
  sliding_window: kCount.nullable().default(4096),
});
export const kQwen2 = kLlama.extend({
  vocab_size: kCount.default(151936),
  intermediate_size: kCount.default(22016),
  num_key_value_heads: kCount.nullable().default(32),
  max_position_embeddings: kCount.default(32768),
  use_sliding_window: z.boolean().default(false),
  sliding_window: kCount.nullable().default(4096),
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: z.array(z.string()).nullish(),
});
export const kGpt2 = z.looseObject({
  ...kShared,
  vocab_size: kCount.default(50257),
  n_positions: kCount.default(1024),
  n_embd: kCount.default(768),
  n_layer: kCount.default(12),
  n_head: kCount.default(12),
  n_inner: kCount.nullish(),
  activation_function: z.string().default('gelu_new'),
  layer_norm_epsilon: kEps.default(1e-5),
  tie_word_embeddings: z.boolean().default(true),
  scale_attn_weights: z.literal(true).default(true),
  scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
  add_cross_attention: z.literal(false).default(false),
});
export const kNeox = z.looseObject({
  ...kShared,
  ...kRotary,
  vocab_size: kCount.default(50432),
  hidden_size: kCount.default(6144),
  num_hidden_layers: kCount.default(44),
  num_attention_heads: kCount.default(64),
  intermediate_size: kCount.default(24576),
  hidden_act: z.string().default('gelu'),
  max_position_embeddings: kCount.default(2048),
  layer_norm_eps: kEps.default(1e-5),
  tie_word_embeddings: z.boolean().default(false),
  use_parallel_residual: z.boolean().default(true),
  rotary_pct: z.number().positive().max(1).default(0.25),
  rotary_emb_base: z.number().positive().default(10000),
  attention_bias: z.boolean().default(true),
});
export const kOpt = z.looseObject({
  vocab_size: kCount.default(50272),
  hidden_size: kCount.default(768),
  num_hidden_layers: kCount.default(12),
  ffn_dim: kCount.default(3072),
  max_position_embeddings: kCount.default(2048),
  do_layer_norm_before: z.boolean().default(true),
  _remove_final_layer_norm: z.boolean().default(false),
  word_embed_proj_dim: kCount.nullish(),
  num_attention_heads: kCount.default(12),
  activation_function: z.string().default('relu'),
  init_std: z.number().nonnegative().default(0.02),
  enable_bias: z.boolean().default(true),
  layer_norm_elementwise_affine: z.literal(true).default(true),
  tie_word_embeddings: z.boolean().default(true),
});
export const kBert = z.looseObject({
  ...kShared,
  vocab_size: kCount.default(30522),
  hidden_size: kCount.default(768),
  num_hidden_layers: kCount.default(12),
  num_attention_heads: kCount.default(12),
  intermediate_size: kCount.default(3072),
  hidden_act: z.string().default('gelu'),
  max_position_embeddings: kCount.default(512),
  type_vocab_size: kCount.default(2),
  layer_norm_eps: kEps.default(1e-12),
  tie_word_embeddings: z.boolean().default(true),
  position_embedding_type: z.literal('absolute').default('absolute'),
  is_decoder: z.literal(false).default(false),
  add_cross_attention: z.literal(false).default(false),
});

const kSide = z.union([kCount, z.array(kCount).length(2)]);
const kImages = {
  model_type: z.string(),
  hidden_size: kCount.default(768),
  num_hidden_layers: kCount.default(12),
  num_attention_heads: kCount.default(12),
  hidden_act: z.string().default('gelu'),
  image_size: kSide.default(224),
  num_channels: kCount.default(3),
  qkv_bias: z.boolean().default(true),
  initializer_range: z.number().nonnegative().default(0.02),
};
export const kVit = z.looseObject({
  ...kImages,
  intermediate_size: kCount.default(3072),
  layer_norm_eps: kEps.default(1e-12),
  patch_size: kSide.default(16),
});
export const kDinov2 = z.looseObject({
  ...kImages,
  layer_norm_eps: kEps.default(1e-6),
  patch_size: kSide.default(14),
  mlp_ratio: z.number().positive().max(1000).default(4),
  use_swiglu_ffn: z.boolean().default(false),
  num_register_tokens: z.int().nonnegative().max(100_000).default(4),
});
