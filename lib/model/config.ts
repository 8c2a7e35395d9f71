/** Hugging Face config.json -> ModelConfig, with transformers' own defaults for what it leaves out. */
import { z } from 'zod';
import { CortuneError, show } from '../errors.js';
import type { ModelConfig } from '../native/types.js';

const kCount = z.int().positive();
const kEps = z.number().positive();
const kRope = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: z.number().positive().max(1).optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: z.number().positive().optional(),
});
type Rope = z.infer<typeof kRope>;

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
const kLlama = z.looseObject({
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
const kMistral = kLlama.extend({
  intermediate_size: kCount.default(14336),
  num_key_value_heads: kCount.nullable().default(8),
  max_position_embeddings: kCount.default(131072),
  sliding_window: kCount.nullable().default(4096),
});
const kQwen2 = kLlama.extend({
  vocab_size: kCount.default(151936),
  intermediate_size: kCount.default(22016),
  num_key_value_heads: kCount.nullable().default(32),
  max_position_embeddings: kCount.default(32768),
  use_sliding_window: z.boolean().default(false),
  sliding_window: kCount.nullable().default(4096),
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: z.array(z.string()).nullish(),
});
const kGpt2 = z.looseObject({
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
const kNeox = z.looseObject({
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
const kOpt = z.looseObject({
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
const kBert = z.looseObject({
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

/** What the fields a family lacks hold. */
export const kBlankConfig: ModelConfig = {
  family: 'llama',
  vocabSize: 0,
  hiddenSize: 0,
  layers: 0,
  heads: 0,
  kvHeads: 0,
  headDim: 0,
  intermediateSize: 0,
  maxPositions: 0,
  normEps: 0,
  activation: 'silu',
  tieEmbeddings: false,
  qkvBias: false,
  outBias: false,
  mlpBias: false,
  ropeTheta: 0,
  ropeShare: 1,
  ropeScaling: '',
  ropeFactor: 1,
  ropeLowFactor: 1,
  ropeHighFactor: 1,
  ropeOriginalPositions: 0,
  parallelResidual: false,
  preNorm: true,
  embedSize: 0,
  finalNorm: true,
  slidingWindow: 0,
  typeVocabSize: 0,
  initializerRange: 0.02,
};

type Refuse = (what: string) => CortuneError;

const kActivations: Record<string, ModelConfig['activation']> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_accurate: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_python_tanh: 'gelu_tanh',
  relu: 'relu',
};

function activation(name: string, refuse: Refuse): ModelConfig['activation'] {
  const found = kActivations[name];
  if (!found) throw refuse(`an activation of ${Object.keys(kActivations).join(', ')}, got ${show(name)}`);
  return found;
}

interface RotaryConfig {
  rope_scaling?: Rope | null | undefined;
  rope_parameters?: Rope | null | undefined;
  original_max_position_embeddings?: number | undefined;
  max_position_embeddings: number;
}

/** Both spellings: `rope_scaling` beside `rope_theta`, and `rope_parameters` of transformers 5, which holds everything. */
function rotary(raw: RotaryConfig, theta: number, refuse: Refuse): Partial<ModelConfig> {
  const rope: Rope = raw.rope_scaling ?? raw.rope_parameters ?? {};
  const type = rope.rope_type ?? rope.type ?? 'default';
  const fields: Partial<ModelConfig> = { ropeTheta: rope.rope_theta ?? theta };
  if (type === 'default') return fields;
  if (type !== 'linear' && type !== 'llama3')
    throw refuse(`rotary scaling of type default, linear or llama3, got ${show(type)}`);
  const need = (key: 'factor' | 'low_freq_factor' | 'high_freq_factor'): number => {
    const value = rope[key];
    if (value === undefined) throw refuse(`\`${key}\` for rotary scaling of type ${type}`);
    return value;
  };
  Object.assign(fields, { ropeScaling: type, ropeFactor: need('factor') });
  if (type === 'linear') return fields;
  return {
    ...fields,
    ropeLowFactor: need('low_freq_factor'),
    ropeHighFactor: need('high_freq_factor'),
    ropeOriginalPositions:
      raw.original_max_position_embeddings ?? rope.original_max_position_embeddings ?? raw.max_position_embeddings,
  };
}

function llama(raw: z.infer<typeof kLlama>, refuse: Refuse): ModelConfig {
  const share = raw.partial_rotary_factor ?? (raw.rope_scaling ?? raw.rope_parameters)?.partial_rotary_factor ?? 1;
  if (share !== 1) throw refuse(`rotary positions over whole heads, got a \`partial_rotary_factor\` of ${show(share)}`);
  const heads = raw.num_attention_heads;
  return {
    ...kBlankConfig,
    family: 'llama',
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads,
    kvHeads: raw.num_key_value_heads ?? heads,
    headDim: raw.head_dim ?? Math.floor(raw.hidden_size / heads),
    intermediateSize: raw.intermediate_size,
    maxPositions: raw.max_position_embeddings,
    normEps: raw.rms_norm_eps,
    activation: activation(raw.hidden_act, refuse),
    tieEmbeddings: raw.tie_word_embeddings,
    qkvBias: raw.attention_bias,
    outBias: raw.attention_bias,
    mlpBias: raw.mlp_bias,
    initializerRange: raw.initializer_range,
    ...rotary(raw, raw.rope_theta ?? 10000, refuse),
  };
}

function mistral(raw: z.infer<typeof kMistral>, refuse: Refuse): ModelConfig {
  const base = llama(raw, refuse);
  return { ...base, qkvBias: false, outBias: false, mlpBias: false, slidingWindow: raw.sliding_window ?? 0 };
}

/** The window holds for all layers here, so a model whose first layers see everything is taken only when it never matters. */
function qwenWindow(raw: z.infer<typeof kQwen2>, refuse: Refuse): number {
  if (!raw.use_sliding_window || raw.sliding_window === null) return 0;
  const layers = raw.num_hidden_layers;
  const sliding = raw.layer_types
    ? raw.layer_types.filter((type) => type === 'sliding_attention').length
    : Math.max(0, layers - raw.max_window_layers);
  if (sliding === 0 || raw.sliding_window >= raw.max_position_embeddings) return 0;
  if (sliding === layers) return raw.sliding_window;
  throw refuse(`one attention window for all layers, got one for ${sliding} of ${layers}`);
}

function qwen2(raw: z.infer<typeof kQwen2>, refuse: Refuse): ModelConfig {
  const base = llama(raw, refuse);
  return { ...base, qkvBias: true, outBias: false, mlpBias: false, slidingWindow: qwenWindow(raw, refuse) };
}

function gpt2(raw: z.infer<typeof kGpt2>, refuse: Refuse): ModelConfig {
  return {
    ...kBlankConfig,
    family: 'gpt2',
    vocabSize: raw.vocab_size,
    hiddenSize: raw.n_embd,
    layers: raw.n_layer,
    heads: raw.n_head,
    kvHeads: raw.n_head,
    headDim: Math.floor(raw.n_embd / raw.n_head),
    intermediateSize: raw.n_inner ?? 4 * raw.n_embd,
    maxPositions: raw.n_positions,
    normEps: raw.layer_norm_epsilon,
    activation: activation(raw.activation_function, refuse),
    tieEmbeddings: raw.tie_word_embeddings,
    qkvBias: true,
    outBias: true,
    mlpBias: true,
    initializerRange: raw.initializer_range,
  };
}

function neox(raw: z.infer<typeof kNeox>, refuse: Refuse): ModelConfig {
  return {
    ...kBlankConfig,
    family: 'neox',
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_attention_heads,
    headDim: Math.floor(raw.hidden_size / raw.num_attention_heads),
    intermediateSize: raw.intermediate_size,
    maxPositions: raw.max_position_embeddings,
    normEps: raw.layer_norm_eps,
    activation: activation(raw.hidden_act, refuse),
    tieEmbeddings: raw.tie_word_embeddings,
    qkvBias: raw.attention_bias,
    outBias: raw.attention_bias,
    mlpBias: true,
    ropeShare: (raw.rope_scaling ?? raw.rope_parameters)?.partial_rotary_factor ?? raw.rotary_pct,
    parallelResidual: raw.use_parallel_residual,
    initializerRange: raw.initializer_range,
    ...rotary(raw, raw.rotary_emb_base, refuse),
  };
}

function opt(raw: z.infer<typeof kOpt>, refuse: Refuse): ModelConfig {
  return {
    ...kBlankConfig,
    family: 'opt',
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_attention_heads,
    headDim: Math.floor(raw.hidden_size / raw.num_attention_heads),
    intermediateSize: raw.ffn_dim,
    maxPositions: raw.max_position_embeddings,
    normEps: 1e-5, // torch's default: OPT's config has no key for it
    activation: activation(raw.activation_function, refuse),
    tieEmbeddings: raw.tie_word_embeddings,
    qkvBias: raw.enable_bias,
    outBias: raw.enable_bias,
    mlpBias: raw.enable_bias,
    preNorm: raw.do_layer_norm_before,
    embedSize: raw.word_embed_proj_dim ?? raw.hidden_size,
    finalNorm: raw.do_layer_norm_before && !raw._remove_final_layer_norm,
    initializerRange: raw.init_std,
  };
}

function bert(raw: z.infer<typeof kBert>, refuse: Refuse): ModelConfig {
  return {
    ...kBlankConfig,
    family: 'bert',
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_attention_heads,
    headDim: Math.floor(raw.hidden_size / raw.num_attention_heads),
    intermediateSize: raw.intermediate_size,
    maxPositions: raw.max_position_embeddings,
    normEps: raw.layer_norm_eps,
    activation: activation(raw.hidden_act, refuse),
    tieEmbeddings: raw.tie_word_embeddings,
    qkvBias: true,
    outBias: true,
    mlpBias: true,
    preNorm: false,
    finalNorm: false,
    typeVocabSize: raw.type_vocab_size,
    initializerRange: raw.initializer_range,
  };
}

function reader<T>(schema: z.ZodType<T>, build: (raw: T, refuse: Refuse) => ModelConfig) {
  return (raw: unknown, path: string): ModelConfig => {
    const parsed = schema.safeParse(raw);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)?.[key], raw);
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected \`${issue.path.join('.')}\` in ${path} to be right: ${issue.message}; got ${show(value)}.`,
      );
    }
    const refuse = (what: string) => new CortuneError('ERR_CONFIG', `Expected ${path} to describe ${what}.`);
    const config = build(parsed.data, refuse);
    checkShape(config, path);
    return config;
  };
}

const kReaders: Record<string, (raw: unknown, path: string) => ModelConfig> = {
  llama: reader(kLlama, llama),
  mistral: reader(kMistral, mistral),
  qwen2: reader(kQwen2, qwen2),
  gpt2: reader(kGpt2, gpt2),
  gpt_neox: reader(kNeox, neox),
  opt: reader(kOpt, opt),
  bert: reader(kBert, bert),
};

/** The `model_type`s that `configFromJson` takes. */
export const kModelTypes = Object.keys(kReaders);

/** What holds for every family, whatever file said it. Throws ERR_CONFIG. */
export function checkShape(config: ModelConfig, path: string): void {
  const wrong = (what: string) => new CortuneError('ERR_CONFIG', `Expected ${path} to hold together, but ${what}.`);
  const { hiddenSize, heads, kvHeads, headDim, ropeTheta, ropeShare } = config;
  if (headDim < 1) throw wrong(`${heads} heads are more than its hidden size ${hiddenSize}`);
  if (config.family !== 'llama' && hiddenSize % heads !== 0)
    throw wrong(`its hidden size ${hiddenSize} is not a multiple of its ${heads} heads`);
  if (heads % kvHeads !== 0) throw wrong(`its ${heads} heads are not a multiple of its ${kvHeads} key-value heads`);
  if (ropeTheta > 0 && Math.floor(headDim * ropeShare) % 2 !== 0)
    throw wrong(`rotary positions need an even number of channels, got ${Math.floor(headDim * ropeShare)} a head`);
}

/**
 * What a parsed config.json describes. `path` names the file in messages.
 * Throws ERR_CONFIG for a model type, activation or feature that is not supported, and for values that make no sense.
 */
export function configFromJson(raw: unknown, path: string): ModelConfig {
  const type = (raw as { model_type?: unknown } | null)?.model_type;
  const read = typeof type === 'string' && Object.hasOwn(kReaders, type) ? kReaders[type] : undefined;
  if (!read)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected \`model_type\` in ${path} to be one of ${kModelTypes.join(', ')}, got ${show(type)}.`,
    );
  return read(raw, path);
}
