/** GGUF metadata -> ModelConfig. */
import { CortuneError, show } from '../errors.js';
import type { FileHeader, ModelConfig } from '../native/types.js';
import { checkShape, kBlankConfig } from './config.js';

/** A GGUF file's metadata, read with types checked. `path` names the file in messages. */
class Metadata {
  readonly path: string;
  readonly architecture: string;
  private readonly header: FileHeader;

  constructor(header: FileHeader, path: string) {
    this.header = header;
    this.path = path;
    this.architecture = this.text('general.architecture');
  }

  wrong(what: string): CortuneError {
    return new CortuneError('ERR_FORMAT', `Expected ${this.path} to ${what}.`);
  }
  /** A key of the architecture, as `llama.block_count`. */
  raw(key: string): unknown {
    return this.header.metadata[`${this.architecture}.${key}`];
  }
  text(key: string): string {
    const value = this.header.metadata[key];
    if (typeof value !== 'string') throw this.wrong(`say \`${key}\` as a text, got ${show(value)}`);
    return value;
  }
  number(key: string, otherwise?: number): number {
    let value = this.raw(key);
    if (value === undefined && otherwise !== undefined) return otherwise;
    // Some files list a value for each layer.
    if (Array.isArray(value) && new Set(value).size === 1) value = value[0];
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value))
      throw this.wrong(`say \`${this.architecture}.${key}\` as a positive number, got ${show(value)}`);
    return value;
  }
  count(key: string, otherwise?: number): number {
    const value = this.number(key, otherwise);
    if (!Number.isInteger(value)) throw this.wrong(`say \`${this.architecture}.${key}\` as an integer, got ${value}`);
    return value;
  }
  flag(key: string, otherwise: boolean): boolean {
    const value = this.raw(key) ?? otherwise;
    if (typeof value !== 'boolean') throw this.wrong(`say \`${this.architecture}.${key}\` as true or false`);
    return value;
  }
  hasTensor(name: string): boolean {
    return this.header.tensors.some((tensor) => tensor.name === name);
  }
  rows(name: string): number {
    const tensor = this.header.tensors.find((candidate) => candidate.name === name);
    const rows = tensor?.shape.length === 2 ? tensor.shape[0] : undefined;
    if (!rows) throw this.wrong(`hold a table \`${name}\``);
    return rows;
  }
}

function shared(meta: Metadata): ModelConfig {
  const hiddenSize = meta.count('embedding_length');
  const heads = meta.count('attention.head_count');
  return {
    ...kBlankConfig,
    vocabSize: meta.rows('token_embd.weight'),
    hiddenSize,
    layers: meta.count('block_count'),
    heads,
    kvHeads: meta.count('attention.head_count_kv', heads),
    headDim: Math.floor(hiddenSize / heads),
    intermediateSize: meta.count('feed_forward_length'),
    maxPositions: meta.count('context_length'),
    qkvBias: true,
    outBias: true,
    mlpBias: true,
  };
}

/**
 * Rotary scaling: linear stands in the metadata, llama3 as a tensor of the resulting divisors. llama3's other numbers are the same in
 * all Llama 3 models; the divisors are recomputed from them and must agree.
 */
function rotary(meta: Metadata, headDim: number, ropeFactors?: Float32Array): Partial<ModelConfig> {
  const fields: Partial<ModelConfig> = { ropeTheta: meta.number('rope.freq_base', 10000) };
  const type = meta.raw('rope.scaling.type') ?? 'none';
  if (type !== 'none' && type !== 'linear')
    throw meta.wrong(`scale rotary positions linearly or not, got ${show(type)}`);
  if (type === 'linear' && ropeFactors) throw meta.wrong('scale rotary positions one way, got linear and divisors');
  if (type === 'linear') return { ...fields, ropeScaling: 'linear', ropeFactor: meta.number('rope.scaling.factor') };
  if (!ropeFactors) return fields;
  const llama3 = {
    ropeFactor: Math.max(...ropeFactors),
    ropeLowFactor: 1,
    ropeHighFactor: 4,
    ropeOriginalPositions: 8192,
  };
  const theta = fields.ropeTheta ?? 10000;
  const agree = ropeFactors.every((factor, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    const smooth = (8192 / wavelength - 1) / (4 - 1);
    const share = Math.min(1, Math.max(0, smooth)); // 1 for short waves, kept; 0 for long ones, divided
    const wanted = 1 / ((1 - share) / llama3.ropeFactor + share);
    return Math.abs(factor - wanted) < 1e-3 * wanted;
  });
  if (ropeFactors.length !== headDim / 2 || !agree)
    throw meta.wrong('scale rotary positions as Llama 3 does, but its `rope_freqs.weight` differs');
  return { ...fields, ropeScaling: 'llama3', ...llama3 };
}

function llama(meta: Metadata, ropeFactors?: Float32Array): ModelConfig {
  const base = shared(meta);
  if (Number(meta.raw('expert_count') ?? 0) > 0) throw meta.wrong('be a dense model, got a mixture of experts');
  const headDim = meta.count('attention.key_length', meta.count('rope.dimension_count', base.headDim));
  if (meta.count('rope.dimension_count', headDim) !== headDim)
    throw meta.wrong(`rotate whole heads of ${headDim} channels, got ${show(meta.raw('rope.dimension_count'))}`);
  return {
    ...base,
    family: 'llama',
    headDim,
    normEps: meta.number('attention.layer_norm_rms_epsilon', 1e-6),
    activation: 'silu',
    tieEmbeddings: !meta.hasTensor('output.weight'),
    qkvBias: meta.hasTensor('blk.0.attn_q.bias'),
    outBias: meta.hasTensor('blk.0.attn_output.bias'),
    mlpBias: meta.hasTensor('blk.0.ffn_up.bias'),
    ...rotary(meta, headDim, ropeFactors),
  };
}

function gpt2(meta: Metadata): ModelConfig {
  return {
    ...shared(meta),
    family: 'gpt2',
    maxPositions: meta.rows('position_embd.weight'),
    normEps: meta.number('attention.layer_norm_epsilon', 1e-5),
    activation: 'gelu_tanh',
    tieEmbeddings: true, // GPT-2 always is; some files hold a copy as output.weight
  };
}

function neox(meta: Metadata): ModelConfig {
  const base = shared(meta);
  return {
    ...base,
    family: 'neox',
    normEps: meta.number('attention.layer_norm_epsilon', 1e-5),
    activation: 'gelu',
    tieEmbeddings: !meta.hasTensor('output.weight'),
    ropeShare: meta.count('rope.dimension_count', base.headDim) / base.headDim,
    parallelResidual: meta.flag('use_parallel_residual', true),
    ...rotary(meta, base.headDim),
  };
}

function bert(meta: Metadata): ModelConfig {
  if (meta.flag('attention.causal', false)) throw meta.wrong('attend both ways, got a causal BERT');
  return {
    ...shared(meta),
    family: 'bert',
    maxPositions: meta.rows('position_embd.weight'),
    normEps: meta.number('attention.layer_norm_epsilon', 1e-12),
    activation: 'gelu',
    tieEmbeddings: true,
    preNorm: false,
    finalNorm: false,
    typeVocabSize: meta.rows('token_types.weight'),
  };
}

const kArchitectures: Record<string, (meta: Metadata, ropeFactors?: Float32Array) => ModelConfig> = {
  llama,
  qwen2: llama,
  gpt2,
  gptneox: neox,
  bert,
};

/**
 * What a GGUF file's metadata describes. `ropeFactors` are the values of its `rope_freqs.weight`, when it has that tensor.
 * Throws ERR_FORMAT for another architecture, and for values that are missing or make no sense.
 */
export function configFromGguf(header: FileHeader, path: string, ropeFactors?: Float32Array): ModelConfig {
  const meta = new Metadata(header, path);
  const read = Object.hasOwn(kArchitectures, meta.architecture) ? kArchitectures[meta.architecture] : undefined;
  const known = Object.keys(kArchitectures).join(', ');
  if (!read) throw meta.wrong(`hold a model of architecture ${known}, got ${show(meta.architecture)}`);
  const parts = Number(header.metadata['split.count'] ?? 1);
  if (parts > 1) throw meta.wrong(`be whole, got one of ${parts} parts. Merge them with \`llama-gguf-split --merge\``);
  const config = read(meta, ropeFactors);
  checkShape(config, path);
  return config;
}
