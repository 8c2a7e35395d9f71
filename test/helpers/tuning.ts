/** Native tuning runs on the goldens' data. */
import { join } from 'node:path';
import type { Model } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import type { LaneSpec, LanesHandle, MethodSpec, TuneArgs, TuneResult } from '../../lib/native/types.js';
import { pack } from './run-model.js';
import { readPlain } from './safetensors.js';
import { type TuneGolden, tinyModel } from './tiny-models.js';

/** A LoRA lane in the flat spelling of tests. */
export type LoraLane = Partial<LaneSpec> & { rank?: number; alpha?: number };
export type Adapter = 'adapter-initial' | 'adapter-after';

/** One LoRA lane holding an adapter that peft saved. */
export async function peftLane(model: Model, name: string, golden: TuneGolden, adapter: Adapter): Promise<LanesHandle> {
  const saved = readPlain(join(tinyModel(name), 'tune', adapter, 'adapter_model.safetensors'));
  const tensors = [...saved.values()].map(({ data, shape }) => native().tensorFrom(data, shape));
  const { rank, alpha, modules } = golden.lora;
  try {
    return await runJob(() =>
      native().lanesFromTensors({
        model: model.handle,
        method: {
          method: 'lora',
          targets: modules,
          lanes: [{ lr: 0, weightDecay: 0, seed: 0, options: { rank, alpha } }],
        },
        outputs: 0,
        names: [...saved.keys()],
        tensors,
      }),
    );
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** One pass an update, all lanes together, nothing in between; AdamW as torch has it. */
export const kPlainTraining = {
  passes: 1,
  together: 0,
  checkpointing: false,
  precision: 'fp32',
  every: 0,
  patience: 0,
  rungs: new Int32Array(0),
  keep: new Int32Array(0),
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
} satisfies Partial<TuneArgs>;

/** The arguments of a tuning run over the golden's ten batches. */
export function tuneArgs(
  model: Model,
  golden: TuneGolden,
  { method, targets, lanes, ...part }: MethodSpec & Partial<TuneArgs>,
): TuneArgs {
  return {
    model: model.handle,
    ...pack(golden.sequences),
    objective: 'causal',
    outputs: 0,
    labels: Float32Array.from(
      golden.sequences.flatMap((ids, s) => ids.map((id, t) => (golden.labels[s]![t] ? id : -1))),
    ),
    order: Int32Array.from(golden.order.flat()),
    steps: golden.order.length,
    ...kPlainTraining,
    batch: golden.order[0]!.length,
    beta1: golden.beta1,
    beta2: golden.beta2,
    eps: golden.eps,
    clip: golden.clip,
    schedule: forLanes(golden.multipliers, lanes.length),
    methods: [{ method, targets, lanes }],
    ...part,
  };
}

/** One schedule for all lanes. [steps, lanes] */
export function forLanes(multipliers: readonly number[], lanes: number): Float64Array {
  return Float64Array.from(multipliers.flatMap((factor) => new Array<number>(lanes).fill(factor)));
}

export async function runTune(args: TuneArgs): Promise<TuneResult> {
  return runJob((progress) => native().tune(args, progress));
}

/** Losses of lane `k`, one a step. */
export function lossesOf(result: TuneResult, k = 0): number[] {
  const lanes = result.lanes.lanes;
  return Array.from(result.losses).filter((_, i) => i % lanes === k);
}

/** LoRA lanes of the golden's rank and alpha. */
export function loraLanes(golden: TuneGolden, lanes: readonly LoraLane[]): LaneSpec[] {
  const { rank, alpha } = golden.lora;
  return lanes.map(({ rank: r = rank, alpha: a = alpha, ...lane }) => ({
    lr: 1e-2,
    weightDecay: 0,
    seed: 0,
    options: { rank: r, alpha: a },
    ...lane,
  }));
}

/** Names of all parameters: what full fine-tuning trains. */
export function allParameters(model: Model): string[] {
  return native()
    .modelParameters(model.handle)
    .map(({ name }) => name);
}
