/** What peft and transformers made of the tuning methods on the tiny models: test/fixtures/methods. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PlainTensors, readPlain } from './safetensors.js';
import { tinyModel } from './tiny-models.js';

// Models of a few thousand weights: a second thread waits more than it computes.
process.env.OMP_NUM_THREADS ??= '1';

const kDir = fileURLToPath(new URL('../fixtures/methods', import.meta.url));

export const kMethodModels = ['llama', 'gpt2', 'bert'] as const;
export type MethodModel = (typeof kMethodModels)[number];

export interface MethodCase {
  lr: number;
  /** LoRA+: the rate of B over `lr`. */
  ratio?: number;
  layer_decay?: number;
  /** Mean cross-entropy before each step, and what is minimised where it has another term. */
  losses: number[];
  objective?: number[];
  float32_noise: number;
  /** Shapes by peft's (whole weights: transformers') names. */
  trained: Record<string, number[]>;
  saved?: Record<string, number[]>;
  config?: Record<string, unknown>;
  /** Half fine-tuning: what is trained before and from the step `switch` on. */
  selections?: [string[], string[]];
  switch?: number;
}

export interface MethodGoldens {
  steps: number;
  batch: number;
  clip: number;
  weightDecay: number;
  schedule: 'linear';
  beta1: number;
  beta2: number;
  eps: number;
  ids: number[];
  data: { sequences: number[][]; targets: number[][]; order: number[][] };
  cases: Record<string, MethodCase>;
  targetings: { options: Record<string, unknown>; modules: string[] }[];
  tensors: PlainTensors;
}

/** The folder of the base model: BERT has a masked-token head of its own here. */
export function methodModel(name: MethodModel): string {
  return name === 'bert' ? join(kDir, name) : tinyModel(name);
}

export function methodGoldens(name: MethodModel): MethodGoldens {
  const golden = JSON.parse(readFileSync(join(kDir, name, 'golden.json'), 'utf8')) as Omit<MethodGoldens, 'tensors'>;
  return { ...golden, tensors: readPlain(join(kDir, name, 'golden.safetensors')) };
}

/** Tensors of one part (`initial`, `gradient`, `final`, `saved`) of a case. */
export function partOf(golden: MethodGoldens, key: string, part: string): PlainTensors {
  const start = `${key}/${part}/`;
  return new Map([...golden.tensors].filter(([k]) => k.startsWith(start)).map(([k, v]) => [k.slice(start.length), v]));
}

/** What a case is in our table: a method and its options. */
export function optionsOfCase(
  golden: MethodGoldens,
  key: string,
): { method: string; options: Record<string, unknown> } {
  const { config = {}, ratio, layer_decay } = golden.cases[key]!;
  const [family = '', variant = ''] = key.split(/-(.*)/);
  const modules = config.target_modules ? { targets: config.target_modules } : {};
  if (key === 'full-layers') return { method: 'full', options: { freeze: 1 } };
  if (key === 'full-decay') return { method: 'full', options: { layerDecay: layer_decay } };
  if (family === 'bitfit' || family === 'hft' || family === 'layernorm') return { method: family, options: {} };
  if (family === 'lora') {
    const inits = ['gaussian', 'orthogonal', 'pissa', 'olora'];
    const options = {
      ...modules,
      rank: config.r,
      alpha: config.lora_alpha,
      rslora: config.use_rslora,
      dora: config.use_dora,
      rankPattern: config.rank_pattern,
      alphaPattern: config.alpha_pattern,
      bias: config.bias,
      rateRatio: ratio ?? 1,
      ...(inits.includes(variant) ? { init: variant } : {}),
    };
    return { method: 'lora', options };
  }
  if (family === 'adalora') {
    const { init_r, target_r, lora_alpha, tinit, tfinal, deltaT, beta1, beta2, orth_reg_weight } = config;
    const schedule = { tinit, tfinal, deltaT, sensitivity: beta1, uncertainty: beta2, orthogonality: orth_reg_weight };
    return {
      method: 'adalora',
      options: { ...modules, initialRank: init_r, rank: target_r, alpha: lora_alpha, ...schedule },
    };
  }
  if (family === 'ia3') return { method: 'ia3', options: {} };
  if (family === 'vera')
    return { method: 'vera', options: { ...modules, rank: config.r, projectionSeed: config.projection_prng_key } };
  const virtualTokens = config.num_virtual_tokens;
  if (family === 'prompt') {
    const text = variant === 'text' ? { init: 'text', initText: config.prompt_tuning_init_text } : {};
    return { method: 'prompt', options: { virtualTokens, ...text } };
  }
  const hiddenSize = config.encoder_hidden_size;
  if (family === 'prefix')
    return {
      method: 'prefix',
      options: { virtualTokens, ...(variant === 'projection' ? { projection: true, hiddenSize } : {}) },
    };
  const encoder = String(config.encoder_reparameterization_type).toLowerCase();
  return { method: 'p-tuning', options: { virtualTokens, encoder, hiddenSize } };
}

/** The name cortune gives what peft (or transformers) calls `name`. */
export function ourName(key: string, name: string): string {
  if (/^(prompt|prefix)(-text)?$/.test(key)) return 'prompt_embeddings';
  const bare = name.replace(/^(base_model\.model\.)?bert\./, '$1');
  if (key === 'layernorm') return bare.replace(/^base_model\.model\./, '').replace('.ln_tuning_layers.', '.');
  return bare.replace('.base_layer.bias', '.bias').replace('lora_magnitude_vector.weight', 'lora_magnitude_vector');
}
