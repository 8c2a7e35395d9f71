/** The runs of a batch: each its method with options, rate, schedule and seed; and the lanes they come to. */
import { expected } from '../errors.js';
import type { Model } from '../model/load.js';
import type { LaneSpec } from '../native/types.js';
import { ofLane, positive } from './checks.js';
import type { LaneMethod, Lanes } from './lanes.js';
import {
  type Base,
  baseOf,
  type Method,
  type MethodOptions,
  methodOf,
  methodOptions,
  type Plan,
  planOf,
} from './methods.js';
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
  /** The method's own, LoRA's `rank`, `alpha`, `targets` and so on: `cortune methods NAME` lists them. */
  options?: MethodOptions;
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
  plan: Plan;
  /** The method's options with their defaults. */
  settings: Record<string, unknown>;
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
  const options = methodOptions(shared);
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

/** Options that a run may change when it goes on from lanes; the others are theirs. */
const kChangeable = new Set(
  'alpha dropout rateRatio layerDecay orthogonality tinit tfinal deltaT sensitivity uncertainty share every'.split(' '),
);

/**
 * The lane of a run on a model.
 * @param from lanes of one lane that it starts from: their method with its options.
 * @param unused parameters that the objective does not use and whole-weight methods leave alone.
 * @throws RangeError for an option, rate, seed or decay out of range, ERR_CONFIG for unknown targets.
 */
export function planRun(
  model: Model,
  run: RunOptions,
  from?: Lanes,
  unused: ReadonlySet<string> = new Set(),
): PlannedLane {
  const { lr, seed = 0, weightDecay = 0, options = {} } = run;
  const method = methodOf(run.method ?? from?.lane(0).name ?? 'lora');
  positive('seeds', seed, { zero: true, integer: true });
  const whole = baseOf(model);
  const base = { ...whole, parameters: whole.parameters.filter(({ name }) => !unused.has(name)) };
  const { plan, settings } = from ? goingOn(base, method, from, run) : planOf(base, method, { ...options }, [seed]);
  return {
    method,
    plan,
    settings,
    spec: {
      lr: positive('lr', lr ?? method.lr),
      seed,
      weightDecay: positive('weightDecay', weightDecay, { zero: true }),
      options: plan.lane,
    },
    trainable: plan.trainable,
  };
}

/** Method and options are those of the lanes started from; whoever names others means something else. */
function goingOn(base: Base, of: Method, from: Lanes, run: RunOptions): Pick<PlannedLane, 'plan' | 'settings'> {
  const { name, method, spec } = from.lane(0);
  if (run.method !== undefined && run.method !== name)
    throw expected('method', `${name}, that of the adapter to go on from`, run.method);
  const start: Record<string, unknown> = { ...method.settings, ...spec.options };
  const options = given({ ...run.options }) as Record<string, unknown>;
  for (const [key, value] of Object.entries(options)) {
    if (kChangeable.has(key) || value === start[key]) continue;
    if (key === 'targets') throw expected('targets', 'left out: those of the adapter to go on from are tuned', value);
    throw expected(key, `${String(start[key])}, that of the adapter to go on from`, value);
  }
  const settings = { ...start, ...options };
  const plan = of.plan(base, settings, [run.seed ?? 0]);
  // What is trained is what is there, whatever parts of the model this objective uses.
  const { targets, options: { biases } = {} } = method;
  return { plan: { ...plan, targets, options: { ...plan.options, ...(biases ? { biases } : {}) } }, settings };
}

/** Neighbouring lanes of one method with the same targets and options, as native code takes them; the order of lanes stays. */
export function groupLanes(lanes: readonly PlannedLane[]): LaneMethod[] {
  const groups: { lane: PlannedLane; key: string; specs: LaneSpec[] }[] = [];
  for (const lane of lanes) {
    const { targets, options } = lane.plan;
    const plain = Object.entries(options).map(([name, value]) => [
      name,
      value instanceof Float64Array ? [...value] : value,
    ]);
    const key = JSON.stringify([lane.method.name, targets, plain]);
    if (groups.at(-1)?.key === key) groups.at(-1)!.specs.push(lane.spec);
    else groups.push({ lane, key, specs: [lane.spec] });
  }
  return groups.map(({ lane: { method, plan, settings }, specs }) => ({
    name: method.name,
    method: method.native,
    targets: plan.targets,
    options: plan.options,
    settings,
    lanes: specs,
  }));
}
