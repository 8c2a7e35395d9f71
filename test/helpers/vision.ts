/** The tiny models of images of test/fixtures/vision, their goldens, and native calls on them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Model } from '../../lib/model/load.js';
import { nameInFiles } from '../../lib/model/parameters.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import type {
  ImagesHandle,
  LanesHandle,
  MethodSpec,
  Packed,
  PackedExamples,
  TuneArgs,
} from '../../lib/native/types.js';
import { type PlainTensor, type PlainTensors, readPlain } from './safetensors.js';
import { allParameters, kPlainTraining } from './tuning.js';

export const kVisionModels = ['vit', 'deit', 'dinov2', 'dinov2-registers'] as const;
export type VisionModel = (typeof kVisionModels)[number];
export const kVisionMethods = ['full', 'lora', 'bitfit', 'vpt-shallow', 'vpt-deep'] as const;

const kDir = fileURLToPath(new URL('../fixtures/vision', import.meta.url));
export const visionModel = (name: string) => join(kDir, name);

export interface VisionGolden {
  labels: number[];
  classes: number;
  clip: number;
  weightDecay: number;
  rank: number;
  alpha: number;
  methods: Record<(typeof kVisionMethods)[number], { lr: number; losses: number[]; noise: number }>;
  tensors: PlainTensors;
}

export function visionGolden(name: string): VisionGolden {
  const golden = JSON.parse(readFileSync(join(kDir, name, 'golden.json'), 'utf8')) as VisionGolden;
  return { ...golden, tensors: readPlain(join(kDir, name, 'golden.safetensors')) };
}

/** Images as the goldens have them: what the model reads, not levels of pixels. */
export function imagesOf({ shape, data }: PlainTensor): ImagesHandle {
  const one = (value: number) => new Float32Array(shape[1]!).fill(value);
  return native().imagesFrom({ shape: Int32Array.from(shape), values: data, scale: one(1), shift: one(0) });
}

/** Every image of `images` once, as sequences. */
export function packImages(model: Model, images: ImagesHandle, { shape }: PlainTensor): Packed {
  const { patchSize, registers, family } = model.config;
  const patches = Math.floor(shape[2]! / patchSize) * Math.floor(shape[3]! / patchSize);
  const tokens = (family === 'deit' ? 2 : 1) + registers + patches;
  const count = shape[0]!;
  return {
    ids: Int32Array.from({ length: count * tokens }, (_, i) => Math.floor(i / tokens)),
    lengths: new Int32Array(count).fill(tokens),
    images,
  };
}

/** The golden's labelled images. */
export function visionExamples(model: Model, golden: VisionGolden, images: ImagesHandle): PackedExamples {
  const labels = Float32Array.from(golden.labels);
  return { ...packImages(model, images, golden.tensors.get('pixels')!), labels };
}

/** One lane as the golden's method begins: with its head, and its adapter or prompts. */
export function visionSpec(model: Model, golden: VisionGolden, method: (typeof kVisionMethods)[number]): MethodSpec {
  const { lr } = golden.methods[method];
  const lanes = [{ lr, weightDecay: golden.weightDecay, seed: 0 }];
  if (method.startsWith('vpt'))
    return { method: 'vpt', targets: [], options: { tokens: 3, deep: method === 'vpt-deep' }, lanes };
  const parameters = allParameters(model);
  if (method === 'lora')
    return {
      method: 'lora',
      targets: parameters.filter((name) => /\.[qv]_proj\.weight$/.test(name)).map((name) => name.slice(0, -7)),
      lanes: lanes.map((lane) => ({ ...lane, options: { rank: golden.rank, alpha: golden.alpha } })),
    };
  return { method: 'whole', targets: parameters.filter((name) => method === 'full' || name.endsWith('.bias')), lanes };
}

export async function visionLane(
  model: Model,
  name: string,
  golden: VisionGolden,
  method: (typeof kVisionMethods)[number],
): Promise<LanesHandle> {
  const spec = visionSpec(model, golden, method);
  const state = new Map<string, PlainTensor>();
  if (method === 'full' || method === 'bitfit') {
    const stored = readPlain(join(visionModel(name), 'model.safetensors'));
    const gated = model.config.gatedMlp;
    for (const target of spec.targets) {
      const found = stored.get(nameInFiles(target, model.config.family)) ?? stored.get(target) ?? half(stored, target);
      if (!found) throw new Error(`${target} is not in the file${gated ? ', nor half of a gated projection' : ''}`);
      state.set(target, found);
    }
  }
  for (const [key, tensor] of golden.tensors)
    if (method === 'lora' && key.startsWith('lora/')) state.set(key.slice('lora/'.length), tensor);
  if (method.startsWith('vpt')) state.set('prompt_embeddings', golden.tensors.get('prompts')!);
  if (method === 'vpt-deep') state.set('deep_prompt_embeddings', golden.tensors.get('deep_prompts')!);
  state.set('classifier.weight', golden.tensors.get('head.weight')!);
  state.set('classifier.bias', golden.tensors.get('head.bias')!);
  const tensors = [...state.values()].map(({ data, shape }) => native().tensorFrom(data, shape));
  try {
    const args = { model: model.handle, method: spec, outputs: golden.classes, names: [...state.keys()], tensors };
    return await runJob(() => native().lanesFromTensors(args));
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Gate and up projection as transformers writes them: one after the other in one tensor. */
function half(stored: PlainTensors, target: string): PlainTensor | undefined {
  const [, before, part, kind] = /^(.*\.mlp\.)(gate_proj|up_proj|down_proj)\.(weight|bias)$/.exec(target) ?? [];
  if (part === 'down_proj') return stored.get(`${before}weights_out.${kind}`);
  const both = stored.get(`${before}weights_in.${kind}`);
  if (!both) return undefined;
  const size = both.data.length / 2;
  const start = part === 'gate_proj' ? 0 : size;
  return { shape: [both.shape[0]! / 2, ...both.shape.slice(1)], data: both.data.slice(start, start + size) };
}

/** Ten updates on all images of the golden at once, as the reference made them. */
export function visionTuneArgs(
  model: Model,
  golden: VisionGolden,
  examples: PackedExamples,
  methods: readonly MethodSpec[],
  from?: LanesHandle,
): TuneArgs {
  const steps = 10;
  const batch = golden.labels.length;
  const lanes = methods.reduce((sum, spec) => sum + spec.lanes.length, 0);
  return {
    model: model.handle,
    ...examples,
    objective: 'classification',
    outputs: golden.classes,
    methods,
    from,
    order: Int32Array.from({ length: steps * batch }, (_, i) => i % batch),
    steps,
    ...kPlainTraining,
    batch,
    clip: golden.clip,
    schedule: new Float64Array(steps * lanes).fill(1),
  };
}
