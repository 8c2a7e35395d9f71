/** Hugging Face config.json -> ModelConfig. */
import type { z } from 'zod';
import { CortuneError, show } from '../errors.js';
import type { ModelConfig } from '../native/types.js';
import { kBert, kDinov2, kGpt2, kLlama, kMistral, kNeox, kOpt, kQwen2, kVit, type Rope } from './config-schema.js';

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
  imageSize: 0,
  patchSize: 0,
  channels: 0,
  registers: 0,
  gatedMlp: false,
  antialias: false,
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

interface Dimensions {
  vocab_size: number;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  max_position_embeddings: number;
  tie_word_embeddings: boolean;
}

/** What NeoX, OPT and BERT call by the same names. */
function shared(raw: Dimensions): ModelConfig {
  return {
    ...kBlankConfig,
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_attention_heads,
    headDim: Math.floor(raw.hidden_size / raw.num_attention_heads),
    maxPositions: raw.max_position_embeddings,
    tieEmbeddings: raw.tie_word_embeddings,
  };
}

function neox(raw: z.infer<typeof kNeox>, refuse: Refuse): ModelConfig {
  return {
    ...shared(raw),
    family: 'neox',
    intermediateSize: raw.intermediate_size,
    normEps: raw.layer_norm_eps,
    activation: activation(raw.hidden_act, refuse),
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
    ...shared(raw),
    family: 'opt',
    intermediateSize: raw.ffn_dim,
    normEps: 1e-5, // torch's default: OPT's config has no key for it
    activation: activation(raw.activation_function, refuse),
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
    ...shared(raw),
    family: 'bert',
    tieEmbeddings: raw.tie_word_embeddings,
    intermediateSize: raw.intermediate_size,
    normEps: raw.layer_norm_eps,
    activation: activation(raw.hidden_act, refuse),
    qkvBias: true,
    outBias: true,
    mlpBias: true,
    preNorm: false,
    finalNorm: false,
    typeVocabSize: raw.type_vocab_size,
    initializerRange: raw.initializer_range,
  };
}

/** One side of square images or patches, which configurations write once or twice. */
function side(key: string, size: number | number[], refuse: Refuse): number {
  const [first, second] = Array.isArray(size) ? size : [size, size];
  if (first === second && first !== undefined) return first;
  throw refuse(`square images and patches, got a \`${key}\` of ${show(size)}`);
}

/** What ViT, DeiT and DINOv2 have in common; `lead` tokens with positions stand before the patches. */
function ofImages(raw: z.infer<typeof kVit> | z.infer<typeof kDinov2>, lead: number, refuse: Refuse) {
  const [imageSize, patchSize] = [
    side('image_size', raw.image_size, refuse),
    side('patch_size', raw.patch_size, refuse),
  ];
  if (imageSize < patchSize)
    throw refuse(`images of at least a patch, got ${imageSize} pixels and patches of ${patchSize}`);
  return {
    ...kBlankConfig,
    hiddenSize: raw.hidden_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_attention_heads,
    headDim: Math.floor(raw.hidden_size / raw.num_attention_heads),
    normEps: raw.layer_norm_eps,
    activation: activation(raw.hidden_act, refuse),
    qkvBias: raw.qkv_bias,
    outBias: true,
    mlpBias: true,
    initializerRange: raw.initializer_range,
    imageSize,
    patchSize,
    channels: raw.num_channels,
    maxPositions: lead + Math.floor(imageSize / patchSize) ** 2,
  };
}

function vit(raw: z.infer<typeof kVit>, refuse: Refuse): ModelConfig {
  const deit = raw.model_type === 'deit';
  const family = deit ? 'deit' : 'vit';
  return { ...ofImages(raw, deit ? 2 : 1, refuse), family, intermediateSize: raw.intermediate_size };
}

function dinov2(raw: z.infer<typeof kDinov2>, refuse: Refuse): ModelConfig {
  const antialias = raw.model_type === 'dinov2_with_registers';
  const registers = antialias ? raw.num_register_tokens : 0;
  const inner = Math.floor(raw.hidden_size * raw.mlp_ratio);
  const gatedMlp = raw.use_swiglu_ffn;
  return {
    ...ofImages(raw, 1 + registers, refuse),
    family: 'dinov2',
    // A gated MLP keeps two thirds, rounded up to a multiple of 8.
    intermediateSize: gatedMlp ? 8 * Math.ceil(Math.floor((inner * 2) / 3) / 8) : inner,
    activation: gatedMlp ? 'silu' : activation(raw.hidden_act, refuse),
    registers,
    gatedMlp,
    antialias,
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
  vit: reader(kVit, vit),
  deit: reader(kVit, vit),
  dinov2: reader(kDinov2, dinov2),
  dinov2_with_registers: reader(kDinov2, dinov2),
};

/** Does every token see all others? */
export function isEncoder({ family }: Pick<ModelConfig, 'family'>): boolean {
  return family === 'bert' || readsImages({ family });
}

/** Does the model read images instead of texts? */
export function readsImages({ family }: Pick<ModelConfig, 'family'>): boolean {
  return family === 'vit' || family === 'deit' || family === 'dinov2';
}

/** What the encoder is called under a head; undefined for causal models. */
export function encoderName(config: ModelConfig): string | undefined {
  if (config.family === 'dinov2' && config.antialias) return 'dinov2_with_registers';
  return isEncoder(config) ? config.family : undefined;
}

/** The `model_type`s that `configFromJson` takes. */
export const kModelTypes = Object.keys(kReaders);

/** Deeper than any model: a lie about the layers is answered before each of them is listed. */
const kMostLayers = 10_000;

/** What holds for every family, whatever file said it. Throws ERR_CONFIG. */
export function checkShape(config: ModelConfig, path: string): void {
  const wrong = (what: string) => new CortuneError('ERR_CONFIG', `Expected ${path} to hold together, but ${what}.`);
  const { hiddenSize, heads, kvHeads, headDim, ropeTheta, ropeShare } = config;
  if (config.layers > kMostLayers)
    throw wrong(`${config.layers} layers are more than any model has (at most ${kMostLayers})`);
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
