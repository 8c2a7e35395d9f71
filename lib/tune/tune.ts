/** Tuning of K lanes together: causal or masked language modelling, or labels of texts. */
import { CortuneError, expected } from '../errors.js';
import type { Images } from '../images/read.js';
import { readsImages } from '../model/config.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { TuneResult as NativeResult, Precision, TuneArgs } from '../native/types.js';
import { precisionOf } from '../precision.js';
import { positive, share } from './checks.js';
import { type Example, type Objective, type Packing, readExampleImages } from './examples.js';
import { type Halving, planRungs } from './halving.js';
import { Lanes } from './lanes.js';
import { lanesTogether, largestPass } from './memory.js';
import { methodOptions } from './methods.js';
import { groupLanes, type PlannedLane, planRun, type RunOptions, runsOf, type SharedRunOptions } from './runs.js';
import { scheduleFactors } from './schedule.js';
import { countHead, headParts, type TrainingData, trainingData } from './training-data.js';

export interface TuneOptions extends JobOptions, SharedRunOptions {
  /** The runs, one lane each; or one for each rate of `lr` with the settings beside it, where one value serves all runs or a list has one each. */
  runs?: readonly RunOptions[];
  /** Default 'lora'. */
  method?: string;
  /** Default: the method's. */
  lr?: readonly number[];
  /** What is learnt. Default: labels that are texts 'classification', labels that are numbers 'regression', else 'causal', for encoders 'masked'. */
  objective?: Objective;
  /** Updates. Default 50. */
  steps?: number;
  /** Sequences in a pass. Default 8. */
  batch?: number;
  /** Passes whose gradients add up to one update (gradient accumulation): an update sees batch * accumulate sequences. Default 1. */
  accumulate?: number;
  /** Default 'texts' (one sequence a text); 'blocks' joins and cuts into `block` tokens (default 128). */
  packing?: Packing;
  block?: number;
  /** Largest gradient norm of a lane; 0 for no clipping. Default 1. */
  clip?: number;
  beta1?: number;
  beta2?: number;
  eps?: number;
  /** Draws the order of sequences (and hidden tokens), the same for all lanes. Default 0. */
  dataSeed?: number;
  /** Held-out examples; their loss is taken every `evaluateEvery` updates and after the last. */
  validation?: readonly Example[];
  /** Default: a tenth of the steps, at least 1. */
  evaluateEvery?: number;
  /** A lane stops after so many evaluations without a better validation loss; each lane ends with its best state. Default: none stops. */
  patience?: number;
  /** Only the best lanes go on after each rung: by validation loss, else by the mean training loss since the rung before. */
  halving?: Halving;
  /** Blocks are computed again in the backward pass: less memory, about a third more time, the same losses. Default false. */
  checkpointing?: boolean;
  /** Lanes of one pass; the others wait for their turn. Fewer take less memory. Default: as many as keep the processor busy; with `halving`, all. */
  together?: number;
  /** Products with the model's weights in float32 (default) or bfloat16: faster where the processor has AMX or AVX512-BF16. */
  precision?: Precision;
  /** Of a model of images, pixels a side in place of its processor's: fewer are faster, positions are interpolated. */
  imageSize?: number | undefined;
  /** The images of the examples and of `validation`, read before (`readExampleImages`); by default they are read from the examples. */
  images?: Images | undefined;
  /** Lanes of one lane to start from instead of fresh ones (an adapter loaded before). */
  from?: Lanes;
}

export interface TuneResult {
  lanes: Lanes;
  objective: Objective;
  /** Classes in the order of the head's outputs; empty for other objectives. */
  classes: string[];
  /** [K][steps]: mean loss (nats; regression: squared error) of each update's sequences before it; NaN once a lane has left. */
  losses: number[][];
  /** `[K]`: mean validation losses, after so many updates. */
  validation: { updates: number; loss: number }[][];
  /** Per lane: the step (from 0) at which its loss or gradient was not finite, or null. */
  failed: (number | null)[];
  /** Per lane: after how many updates it was stopped, and why; or null. */
  stopped: ({ updates: number; by: 'patience' | 'halving' } | null)[];
  /** Per lane: updates behind the state it ends with. */
  best: number[];
  /** Trained parameters of each lane. */
  trainable: number[];
  /** Tokens of all training sequences. */
  tokens: number;
  /** Parts of the model that the objective uses and the checkpoint lacks: drawn at random. */
  fresh: string[];
}

/** Held-out losses: how often, and when a lane stops. */
function evaluation(options: TuneOptions, steps: number): Pick<TuneArgs, 'every' | 'patience'> {
  const { validation, evaluateEvery, patience } = options;
  const count = { integer: true };
  if (validation === undefined) {
    if (patience !== undefined) throw expected('patience', 'left out: there is no `validation` to stop by', patience);
    if (evaluateEvery !== undefined)
      throw expected('evaluateEvery', 'left out: there is no `validation` to evaluate', evaluateEvery);
    return { every: 0, patience: 0 };
  }
  return {
    every: positive('evaluateEvery', evaluateEvery ?? Math.max(1, Math.round(steps / 10)), count),
    patience: patience === undefined ? 0 : positive('patience', patience, count),
  };
}

/** Lanes of one pass; halving compares them all after each rung, so they have to be at the same step. */
function turnsOf({ together, halving }: TuneOptions, tokens: number): number {
  if (halving && together !== undefined)
    throw expected('together', 'left out with `halving`: all runs go on side by side', together);
  return halving ? 0 : positive('together', together ?? lanesTogether(tokens), { integer: true });
}

/** What `tune` will do: checked options, data and lanes. */
export interface Prepared {
  data: TrainingData;
  lanes: PlannedLane[];
  /** Parts of the model that the objective uses and the checkpoint lacks. */
  fresh: string[];
}

/** The runs that options ask for. @throws RangeError when they ask in two ways. */
export function runsIn(options: TuneOptions): readonly RunOptions[] {
  const { runs, from } = options;
  if (runs === undefined) return runsOf(from ? { ...options, method: options.method ?? from.lane(0).name } : options);
  if (runs.length === 0) throw expected('runs', 'at least one run', runs);
  const own = ['method', 'lr', 'seeds', 'schedule', 'warmup', 'weightDecay'] as const;
  const shared = Object.fromEntries(
    own.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  );
  for (const [name, value] of Object.entries({ ...shared, ...methodOptions(options) }))
    throw expected(name, 'left out where `runs` are given: each run has its own', value);
  return runs;
}

/** Everything that can be said before tuning starts. @throws as `tune`. */
export function prepare(model: Model, examples: readonly Example[], options: TuneOptions): Prepared {
  const { steps = 50, batch = 8, accumulate = 1, from } = options;
  for (const [name, value] of Object.entries({ steps, batch, accumulate })) positive(name, value, { integer: true });
  const data = trainingData(model, examples, options, steps, batch * accumulate);
  checkHead(from, data.outputs);
  const { fresh, unused } = headParts(model, data.objective);
  const lanes = runsIn(options).map((run) => planRun(model, run, from, unused));
  checkRoom(model, data, lanes);
  return { data, lanes, fresh };
}

/** Virtual tokens of a method stand before every sequence: together they must fit into the context. */
function checkRoom(model: Model, { train, held }: TrainingData, lanes: readonly PlannedLane[]): void {
  if (readsImages(model.config)) return; // their positions are interpolated, and prompts have none
  const context = model.config.maxPositions;
  for (const { method, plan } of lanes) {
    const virtual = Number(plan.options.tokens ?? 0);
    for (const [noun, lengths] of [
      ['text', train.lengths],
      ['validation text', held?.lengths ?? []],
    ] as const) {
      const number = lengths.findIndex((length) => length + virtual > context);
      if (number >= 0)
        throw new CortuneError(
          'ERR_DATA',
          `Expected sequences of at most ${context - virtual} tokens beside the ${virtual} virtual tokens of ${method.name}, the model's context being ${context}, got ${lengths[number]} in ${noun} ${number + 1}. Use shorter blocks, or fewer virtual tokens.`,
        );
    }
  }
}

/** The factors of all runs' rates. [steps, K] */
function schedules(runs: readonly RunOptions[], steps: number): Float64Array {
  const factors = new Float64Array(steps * runs.length);
  for (const [k, { schedule = 'linear', warmup = 0 }] of runs.entries())
    for (const [step, factor] of scheduleFactors(schedule, steps, warmup).entries())
      factors[step * runs.length + k] = factor;
  return factors;
}

/**
 * Tunes all runs on the same batches, as many at a time as the processor takes well; each ends as if it had run alone. AdamW (decoupled decay), gradient norm clipped per lane.
 * @param examples what to learn: texts, prompts with completions, texts with labels; for models of images, pictures with labels.
 * @returns lanes to embed with or to save, in the order of the runs; dispose them.
 * @throws RangeError for options out of range, ERR_CONFIG for unknown targets, ERR_DATA for empty texts. A lane that diverges does
 * not throw: it is in `failed`, and the others go on.
 */
export async function tune(model: Model, examples: readonly Example[], options: TuneOptions = {}): Promise<TuneResult> {
  const { steps = 50, batch = 8, accumulate = 1, clip = 1, beta1 = 0.9, beta2 = 0.999, eps = 1e-8 } = options;
  if (readsImages(model.config) && !options.images) {
    using images = await readExampleImages(model, examples, options.validation, options);
    return await tune(model, examples, { ...options, images });
  }
  const runs = runsIn(options);
  const { data, lanes, fresh } = prepare(model, examples, options);
  const methods = groupLanes(lanes);
  const args: TuneArgs = {
    model: model.handle,
    objective: data.objective,
    outputs: data.outputs,
    methods,
    from: options.from?.handle,
    ...data.train,
    order: data.order,
    steps,
    passes: accumulate,
    batch,
    together: turnsOf(options, largestPass(data, batch).tokens),
    checkpointing: options.checkpointing ?? false,
    precision: precisionOf(options.precision),
    validation: data.held,
    ...evaluation(options, steps),
    ...planRungs(options.halving, steps, lanes.length),
    schedule: schedules(runs, steps),
    clip: positive('clip', clip, { zero: true }),
    beta1: share('beta1', beta1),
    beta2: share('beta2', beta2),
    eps: positive('eps', eps),
  };
  const result = await runJob((progress) => native().tune(args, progress), options);
  return {
    lanes: new Lanes(result.lanes, methods, data.outputs),
    objective: data.objective,
    classes: data.classes,
    ...histories(result, lanes.length, steps),
    trainable: lanes.map(({ trainable }) => trainable + countHead(model, data.outputs)),
    tokens: data.tokens,
    fresh,
  };
}

/** What happened to each lane, from the native tables. */
function histories(result: NativeResult, count: number, steps: number) {
  const column = (values: Float64Array, k: number, rows: number) =>
    Array.from({ length: rows }, (_, row) => values[row * count + k]!);
  const each = Array.from({ length: count }, (_, k) => k);
  const when = result.validatedAt;
  return {
    losses: each.map((k) => column(result.losses, k, steps)),
    validation: each.map((k) =>
      column(result.validation, k, when.length)
        .map((loss, i) => ({ updates: when[i]!, loss }))
        .filter(({ loss }) => Number.isFinite(loss)),
    ),
    failed: result.failedAt.map((step) => (step < 0 ? null : step)),
    stopped: result.stoppedAt.map((updates, k) =>
      updates < 0 ? null : { updates, by: result.stoppedBy[k] as 'patience' | 'halving' },
    ),
    best: result.bestAt,
  };
}

/** A head that was trained before goes on; its outputs must be those of the labels. */
function checkHead(from: Lanes | undefined, outputs: number): void {
  if (from && from.outputs > 0 && from.outputs !== outputs)
    throw expected(
      'from',
      `an adapter with a head of ${outputs} outputs, one a class of the labels`,
      `${from.outputs} outputs`,
    );
}
