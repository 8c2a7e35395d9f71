/** Tuning of K lanes of one method together, by causal language modelling on texts. */
import { expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { LaneSpec } from '../native/types.js';
import { drawOrder, type Packing, sequencesOf } from './batches.js';
import { type LaneMethod, Lanes } from './lanes.js';
import { type Method, methodOf, resolveTargets } from './methods.js';
import { type Schedule, scheduleFactors } from './schedule.js';

export interface TuneOptions extends JobOptions {
  /** Default 'lora'. */
  method?: string;
  /** One lane for each rate. Default: the method's. */
  lr?: readonly number[];
  /** One seed for all lanes, or one each: draws fresh adapters. Default 0. */
  seeds?: number | readonly number[];
  /** LoRA: rank (default 8) and alpha (default 8; the effect is scaled by alpha / rank). */
  rank?: number;
  alpha?: number;
  /** LoRA: modules to adapt. Default: PEFT's for the family. */
  targets?: 'all-linear' | readonly string[];
  /** Updates. Default 50. */
  steps?: number;
  /** Sequences in an update. Default 8. */
  batch?: number;
  /** Default 'texts' (one sequence a text); 'blocks' joins and cuts into `block` tokens (default 128). */
  packing?: Packing;
  block?: number;
  /** Default 'linear' after `warmup` steps (default 0). */
  schedule?: Schedule;
  warmup?: number;
  /** Decoupled decay of the weights. Default 0. */
  weightDecay?: number;
  /** Largest gradient norm of a lane; 0 for no clipping. Default 1. */
  clip?: number;
  beta1?: number;
  beta2?: number;
  eps?: number;
  /** Draws the order of sequences, the same for all lanes. Default 0. */
  dataSeed?: number;
  /** Lanes of one lane to start from instead of fresh ones (an adapter loaded before). */
  from?: Lanes;
}

export interface TuneResult {
  lanes: Lanes;
  /** [K][steps]: mean next-token cross-entropy (nats) of each batch before its update; NaN after a lane diverged. */
  losses: number[][];
  /** Per lane: the step (from 0) at which its loss was not finite, or null. */
  failed: (number | null)[];
  /** Trained parameters of one lane. */
  trainable: number;
  tokens: number;
}

function positive(name: string, value: number, { zero = false, integer = false } = {}): number {
  const fine = typeof value === 'number' && Number.isFinite(value) && (zero ? value >= 0 : value > 0);
  const kind = `${zero ? 'a non-negative' : 'a positive'} ${integer ? 'integer' : 'number'}`;
  if (!fine || (integer && !Number.isInteger(value)))
    throw expected(name, kind, value, typeof value === 'number' ? 'range' : 'type');
  return value;
}

/** A share of the past that a running mean keeps. */
function share(name: string, value: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value < 1))
    throw expected(name, 'a number from 0 to below 1', value, typeof value === 'number' ? 'range' : 'type');
  return value;
}

function seedOf(seeds: number | readonly number[], k: number, count: number): number {
  if (typeof seeds !== 'number' && seeds.length !== count)
    throw expected('seeds', `one seed or ${count}, one a lane`, seeds);
  return positive('seeds', typeof seeds === 'number' ? seeds : seeds[k]!, { zero: true, integer: true });
}

function laneSpecs(method: Method, options: TuneOptions, largestRank: number): LaneSpec[] {
  const { lr = [method.lr], seeds = 0, rank = 8, alpha = 8, weightDecay = 0 } = options;
  if (lr.length === 0) throw expected('lr', 'at least one learning rate', lr);
  if (!method.stackable && lr.length > 1)
    throw expected('lr', `one learning rate: method ${method.name} tunes one lane at a time`, lr);
  if (method.adapter && !(Number.isInteger(rank) && rank >= 1 && rank <= largestRank))
    throw expected('rank', `an integer from 1 to ${largestRank}`, rank);
  return lr.map((rate, k) => ({
    lr: positive('lr', rate),
    seed: seedOf(seeds, k, lr.length),
    weightDecay: positive('weightDecay', weightDecay, { zero: true }),
    ...(method.adapter ? { options: { rank, alpha: positive('alpha', alpha) } } : {}),
  }));
}

/**
 * Tunes one lane for each learning rate, all in lockstep on the same batches; each ends as if it had run alone. AdamW (decoupled decay),
 * gradient norm clipped per lane.
 * @param texts what to learn to predict, token by token.
 * @returns lanes to embed with or to save; dispose them.
 * @throws RangeError for options out of range, ERR_CONFIG for unknown targets, ERR_DATA for empty texts. A lane that diverges does
 * not throw: it is in `failed`, and the others go on.
 */
export async function tune(model: Model, texts: readonly string[], options: TuneOptions = {}): Promise<TuneResult> {
  const { steps = 50, batch = 8, clip = 1, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, dataSeed = 0, warmup = 0 } = options;
  const method = methodOf(options.method ?? options.from?.lane(0).name ?? 'lora');
  positive('steps', steps, { integer: true });
  positive('batch', batch, { integer: true });
  const targets = options.from ? options.from.lane(0).method.targets : resolveTargets(model, method, options.targets);
  const lanes = laneSpecs(method, startingAt(options), model.config.hiddenSize);
  const methods: LaneMethod[] = [{ name: method.name, method: method.native, targets, lanes }];
  const { ids, lengths } = sequencesOf(
    model,
    texts,
    options.packing ?? 'texts',
    options.block ?? Math.min(128, model.config.maxPositions),
  );
  const order = drawOrder(lengths.length, steps, batch, positive('dataSeed', dataSeed, { zero: true, integer: true }));
  const args = {
    model: model.handle,
    methods,
    from: options.from?.handle,
    ids,
    lengths,
    labels: new Uint8Array(ids.length).fill(1),
    order,
    steps,
    batch,
    schedule: scheduleFactors(options.schedule ?? 'linear', steps, warmup),
    clip: positive('clip', clip, { zero: true }),
    beta1: share('beta1', beta1),
    beta2: share('beta2', beta2),
    eps: positive('eps', eps),
  };
  const result = await runJob((progress) => native().tune(args, progress), options);
  return {
    lanes: new Lanes(result.lanes, methods),
    losses: lanes.map((_, k) => Array.from({ length: steps }, (_, step) => result.losses[step * lanes.length + k]!)),
    failed: result.failedAt.map((step) => (step < 0 ? null : step)),
    trainable: countTrainable(model, method, targets, lanes[0]!.options?.rank ?? 0),
    tokens: ids.length,
  };
}

/** Method, targets and rank are those of the lanes started from; whoever names others means something else. */
function startingAt(options: TuneOptions): TuneOptions {
  const { from, method, targets, rank, alpha } = options;
  if (!from) return options;
  const { name, spec } = from.lane(0);
  const start = spec.options ?? {};
  if (method !== undefined && method !== name)
    throw expected('method', `${name}, that of the adapter to go on from`, method);
  if (targets !== undefined)
    throw expected('targets', 'left out: those of the adapter to go on from are tuned', targets);
  if (rank !== undefined && rank !== start.rank)
    throw expected('rank', `${start.rank}, that of the adapter to go on from`, rank);
  const { rank: startRank, alpha: startAlpha } = start;
  return {
    ...options,
    ...(startRank ? { rank: startRank } : {}),
    ...((alpha ?? startAlpha) ? { alpha: alpha ?? startAlpha! } : {}),
  };
}

/** Trained parameters of one lane: r (in + out) for each module LoRA adapts, every value for whole weights. */
export function countTrainable(model: Model, method: Method, targets: readonly string[], rank: number): number {
  const wanted = new Set(method.adapter ? targets.map((name) => `${name}.weight`) : targets);
  return native()
    .modelParameters(model.handle)
    .filter((parameter) => wanted.has(parameter.name))
    .reduce(
      (sum, { shape }) => sum + (method.adapter ? rank * (shape[0]! + shape[1]!) : shape.reduce((a, b) => a * b, 1)),
      0,
    );
}
