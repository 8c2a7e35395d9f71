/** The runs of a batch: each its method with options, rate, schedule and seed; and the lanes they come to. */
import { expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { native } from '../native/load.js';
import type { LaneSpec } from '../native/types.js';
import { ofLane, positive } from './checks.js';
import type { LaneMethod, Lanes } from './lanes.js';
import { type Method, methodOf, resolveTargets } from './methods.js';
import type { PerLane, Schedule } from './schedule.js';

/** One run. */
export interface RunOptions {
  /** Default 'lora'. */
  method?: string;
  /** Default: the method's. */
  lr?: number;
  /** Draws fresh adapters and heads. Default 0. */
  seed?: number;
  /** Decoupled decay of the weights. Default 0. */
  weightDecay?: number;
  /** Default 'linear' after `warmup` steps (default 0). */
  schedule?: Schedule;
  warmup?: number;
  /** The method's own. LoRA: `rank` (default 8), `alpha` (default 8; the effect is scaled by alpha / rank), `targets` (default PEFT's). */
  options?: MethodOptions;
}

export interface MethodOptions {
  rank?: number;
  alpha?: number;
  targets?: 'all-linear' | readonly string[];
}

/** The same settings for several runs, one for each rate: how a few runs are asked for without writing each out. */
export interface SharedRunOptions extends MethodOptions {
  method?: string;
  lr?: readonly number[];
  seeds?: PerLane<number>;
  schedule?: PerLane<Schedule>;
  warmup?: PerLane<number>;
  weightDecay?: PerLane<number>;
}

/** A run, and the lane it comes to. */
export interface PlannedLane {
  method: Method;
  targets: readonly string[];
  spec: LaneSpec;
  /** Trained parameters, without a sequence head. */
  trainable: number;
}

/** One run for each learning rate. */
export function runsOf(shared: SharedRunOptions): RunOptions[] {
  const method = methodOf(shared.method ?? 'lora');
  const { lr = [method.lr], seeds, schedule, warmup, weightDecay } = shared;
  if (!Array.isArray(lr) || lr.length === 0) throw expected('lr', 'a list of at least one learning rate', lr);
  if (!method.stackable && lr.length > 1)
    throw expected('lr', `one learning rate: method ${method.name} tunes one lane at a time`, lr);
  const options = given({ rank: shared.rank, alpha: shared.alpha, targets: shared.targets });
  const own = <T>(name: string, values: PerLane<T> | undefined, k: number) =>
    values === undefined ? undefined : ofLane<T>(name, values, k, lr.length);
  return lr.map((rate: number, k: number) => ({
    method: method.name,
    lr: rate,
    options,
    ...given({
      seed: own('seeds', seeds, k),
      schedule: own('schedule', schedule, k),
      warmup: own('warmup', warmup, k),
      weightDecay: own('weightDecay', weightDecay, k),
    }),
  }));
}

/** Without what is undefined. */
function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

/**
 * The lane of a run on a model.
 * @param from lanes of one lane that it starts from: their method, targets and rank.
 * @param unused parameters that the objective does not use and whole-weight methods leave alone.
 * @throws RangeError for a rate, seed, decay or rank out of range, ERR_CONFIG for unknown targets.
 */
export function planRun(
  model: Model,
  run: RunOptions,
  from?: Lanes,
  unused: ReadonlySet<string> = new Set(),
): PlannedLane {
  const { lr, seed = 0, weightDecay = 0, options = {} } = from ? startingAt(from, run) : run;
  const method = methodOf(run.method ?? from?.lane(0).name ?? 'lora');
  const { rank = 8, alpha = 8 } = options;
  const largest = model.config.hiddenSize;
  if (method.adapter && !(Number.isInteger(rank) && rank >= 1 && rank <= largest))
    throw expected('rank', `an integer from 1 to ${largest}`, rank);
  const targets = from
    ? from.lane(0).method.targets
    : resolveTargets(model, method, options.targets).filter((name) => !unused.has(name));
  return {
    method,
    targets,
    spec: {
      lr: positive('lr', lr ?? method.lr),
      seed: positive('seeds', seed, { zero: true, integer: true }),
      weightDecay: positive('weightDecay', weightDecay, { zero: true }),
      ...(method.adapter ? { options: { rank, alpha: positive('alpha', alpha) } } : {}),
    },
    trainable: countTrainable(model, method, targets, rank),
  };
}

/** Method, targets and rank are those of the lanes started from; whoever names others means something else. */
function startingAt(from: Lanes, run: RunOptions): RunOptions {
  const { name, spec } = from.lane(0);
  const { rank, alpha, targets } = run.options ?? {};
  const start = spec.options ?? {};
  if (run.method !== undefined && run.method !== name)
    throw expected('method', `${name}, that of the adapter to go on from`, run.method);
  if (targets !== undefined)
    throw expected('targets', 'left out: those of the adapter to go on from are tuned', targets);
  if (rank !== undefined && rank !== start.rank)
    throw expected('rank', `${start.rank}, that of the adapter to go on from`, rank);
  return { ...run, options: given({ rank: start.rank, alpha: alpha ?? start.alpha }) };
}

/** Neighbouring lanes of one method with the same targets, as native code takes them; the order of lanes stays. */
export function groupLanes(lanes: readonly PlannedLane[]): LaneMethod[] {
  const groups: { lane: PlannedLane; specs: LaneSpec[] }[] = [];
  for (const lane of lanes) {
    const last = groups.at(-1);
    const same = last && last.lane.method === lane.method && last.lane.targets.join() === lane.targets.join();
    if (same) last.specs.push(lane.spec);
    else groups.push({ lane, specs: [lane.spec] });
  }
  return groups.map(({ lane: { method, targets }, specs }) => ({
    name: method.name,
    method: method.native,
    targets,
    lanes: specs,
  }));
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
