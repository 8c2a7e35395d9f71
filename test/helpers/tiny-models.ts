/** The tiny random models of test/fixtures/models and their goldens. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PlainTensors, readPlain } from './safetensors.js';

export const kModelsDir = fileURLToPath(new URL('../fixtures/models', import.meta.url));

export const kCausalModels = [
  'llama',
  'llama-rope-llama3',
  'llama-rope-linear',
  'mistral',
  'qwen2',
  'gpt2',
  'neox-parallel',
  'neox-sequential',
  'opt',
  'opt-post-norm',
];
export const kTunedModels = kCausalModels.filter((name) => name !== 'llama-rope-linear');

export function tinyModel(name: string): string {
  return join(kModelsDir, name);
}

function json<T>(...path: string[]): T {
  return JSON.parse(readFileSync(join(kModelsDir, ...path), 'utf8')) as T;
}

export interface Golden {
  ids: number[][];
  loss: number | null;
  tokens: { text: string; ids: number[]; offsets: [number, number][]; decoded: string }[];
  tensors: PlainTensors;
}

/** What transformers computes for the model; see the README of the fixtures. */
export function goldenOf(name: string): Golden {
  return { ...json<Golden>(name, 'golden.json'), tensors: readPlain(join(kModelsDir, name, 'golden.safetensors')) };
}

export interface GoldenLane {
  lr: number;
  weightDecay: number;
  losses: number[];
}
export interface TuneGolden {
  sequences: number[][];
  labels: number[][];
  order: number[][];
  schedule: 'cosine' | 'linear' | 'constant';
  warmup: number;
  multipliers: number[];
  clip: number;
  beta1: number;
  beta2: number;
  eps: number;
  lora: { rank: number; alpha: number; modules: string[]; lanes: GoldenLane[] };
  full: { lanes: GoldenLane[] };
  tensors: PlainTensors;
}

/** Ten steps of peft and transformers on the model. */
export function tuneGoldenOf(name: string): TuneGolden {
  return {
    ...json<TuneGolden>(name, 'tune', 'tune.json'),
    tensors: readPlain(join(kModelsDir, name, 'tune', 'golden.safetensors')),
  };
}
