/** How fast this machine computes the stages of a study: from batches that it has done, else by a short measurement of each stage. */
import { significance } from '../analysis/significance.js';
import { embedLanes } from '../embed/embed.js';
import { encode, foldRows } from '../encode/encode.js';
import { loadModel, type Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import type { Progress } from '../native/types.js';
import { Random } from '../random.js';
import { Tensor } from '../tensor.js';
import { type Cost, costOf, widthOf } from './cost.js';
import { environment } from './environment.js';
import { type Batch, isTested, poolOf } from './plan.js';
import type { RunRecord } from './records.js';
import type { PreparedStudy } from './run.js';
import { modelSource, type Study } from './schema.js';
import { encodeOptions } from './scoring.js';
import { tuneBatch } from './training.js';

/** Floating-point operations a second of each stage; NaN of a stage that is not known. */
export interface Speed {
  tune: number;
  embed: number;
  encode: number;
  /** s to load a model and the data. */
  load: number;
  from: 'runs' | 'measurement';
}

/** Seconds that a batch takes at a speed. A stage whose speed is not known is taken to be as fast as the slowest that is. */
export function secondsOf(cost: Cost, speed: Speed): number {
  const slowest = Math.min(...[speed.tune, speed.embed, speed.encode].filter(Number.isFinite));
  const at = (flops: number, rate: number) => (flops === 0 ? 0 : flops / (Number.isFinite(rate) ? rate : slowest));
  const stages = at(cost.tuning, speed.tune) + at(cost.embedding, speed.embed) + at(cost.scoring, speed.encode);
  return stages + speed.load;
}

/** The speed of batches that are done on a machine like this one; undefined when none is. `records` by run. */
export function speedOfRuns(prepared: PreparedStudy, records: ReadonlyMap<string, RunRecord>): Speed | undefined {
  const here = environment();
  const sum = { tune: [0, 0], embed: [0, 0], encode: [0, 0], load: [0, 0] };
  for (const batch of prepared.plan.batches) {
    const done = batch.runs.map((run) => records.get(run.id));
    const last = done.at(-1);
    const alike = last !== undefined && last.environment.cpu === here.cpu && last.environment.threads === here.threads;
    if (!alike || done.some((record) => record?.status !== 'done')) continue;
    const cost = costOf(batch, prepared.study, prepared.data[batch.data]!, prepared.models);
    // A record's times are those of its batch up to its own end; that of the last run holds all.
    const times = done.map((record) => record!.seconds).reduce((a, b) => (total(b) > total(a) ? b : a));
    add(sum.tune, cost.tuning, times.tune);
    add(sum.embed, cost.embedding, times.embed);
    add(sum.encode, cost.scoring, times.encode);
    add(sum.load, 1, (times.load ?? 0) + (times.data ?? 0));
  }
  if (sum.encode[1] === 0) return undefined;
  const rate = ([flops, seconds]: number[]) => (seconds! > 0 ? flops! / seconds! : Number.NaN);
  const load = sum.load[0] === 0 ? 0 : sum.load[1]! / sum.load[0]!;
  return { tune: rate(sum.tune), embed: rate(sum.embed), encode: rate(sum.encode), load, from: 'runs' };
}

function total(seconds: Record<string, number>): number {
  return Object.values(seconds).reduce((sum, each) => sum + each, 0);
}

function add(sum: number[], flops: number, seconds: number | undefined): void {
  if (flops === 0 || seconds === undefined) return;
  sum[0]! += flops;
  sum[1]! += seconds;
}

/** Words that are embedded, and updates that are made, to see how fast that goes. */
const kWords = 200;
const kPictures = 16;
const kUpdates = 3;
const kLanes = 2;
/** s that updates should take together. */
const kLook = 0.5;

/** Tries each stage of the batches shortly: some words, some updates of two lanes, one layer of random features. Seconds for models of hundreds of millions. */
export async function measureSpeed(
  prepared: PreparedStudy,
  batches: readonly Batch[],
  job: JobOptions,
): Promise<Speed> {
  const costs = new Map(
    batches.map((batch) => [batch, costOf(batch, prepared.study, prepared.data[batch.data]!, prepared.models)]),
  );
  const largest = (some: readonly Batch[]): Batch | undefined =>
    some.reduce<Batch | undefined>((a, b) => (a && costs.get(a)!.flops >= costs.get(b)!.flops ? a : b), undefined);
  const withModel = largest(batches.filter((batch) => batch.model !== null));
  const tuned = largest(batches.filter((batch) => costs.get(batch)!.tuning > 0));
  const speed: Speed = { tune: Number.NaN, embed: Number.NaN, encode: Number.NaN, load: 0, from: 'measurement' };
  const any = withModel ?? batches[0];
  if (any) speed.encode = await encodeSpeed(prepared, any, job);
  if (!withModel) return speed;
  const start = performance.now();
  using model = await loadModel(modelSource(prepared.study, (tuned ?? withModel).model!), { ...job });
  speed.load = (performance.now() - start) / 1000;
  speed.embed = await embedSpeed(prepared, tuned ?? withModel, model, job);
  if (tuned) speed.tune = await tuneSpeed(prepared, tuned, model, job);
  return speed;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function embedSpeed({ study, data, models }: PreparedStudy, batch: Batch, model: Model, job: JobOptions) {
  const of = data[batch.data]!;
  const { stimuli } = of;
  const trials = stimuli.kind === 'words' ? stimuli.words.map((word) => word.text) : stimuli.texts;
  const pictures = stimuli.kind === 'trials' ? stimuli.pictures : undefined;
  const all = pictures ?? trials;
  const some = all.slice(0, pictures ? kPictures : kWords);
  const { layers, context, precision, image_size: imageSize } = study.embed;
  const once = (texts: readonly string[]) =>
    timed(async () => {
      const pool = pictures ? study.embed.pool : poolOf(study, stimuli.kind);
      const how = { ...(pool && { pool }), layers, context, precision, imageSize };
      for (const tensor of await embedLanes(model, texts, { ...job, ...how })) tensor.dispose();
    });
  await once(some.slice(0, 8)); // what is made once for a process is not counted
  const cost = costOf({ ...batch, runs: batch.runs.slice(0, 1) }, study, of, models).embedding;
  return (cost * some.length) / all.length / (await once(some));
}

async function tuneSpeed(
  { study, data, training, models }: PreparedStudy,
  batch: Batch,
  model: Model,
  job: JobOptions,
) {
  const of = data[batch.data]!;
  const few = { ...batch, runs: batch.runs.slice(0, kLanes), together: null };
  const { halving: _, patience: __, evaluate_every: ___, ...tune } = study.tune;
  const plain: Study = { ...study, tune };
  const stop = new AbortController();
  const seen: { done: number; at: number }[] = [];
  // As the study has it, so that schedules fit, and stopped when enough has been seen. The first update makes what is made once.
  const onProgress = ({ done, stage }: Progress) => {
    if (stage !== 'tuning') return;
    seen.push({ done, at: performance.now() });
    const took = (seen.at(-1)!.at - seen[0]!.at) / 1000;
    if (seen.length > kUpdates && took >= kLook) stop.abort();
  };
  const signal = job.signal ? AbortSignal.any([job.signal, stop.signal]) : stop.signal;
  try {
    const parts = tuneBatch(
      model,
      few,
      plain,
      of.stimuli,
      { ...training, tasks: training.tasks.map((task) => ({ ...task, validation: undefined })) },
      { signal, onProgress },
    );
    for await (const { result } of parts) result.lanes.dispose();
  } catch (error) {
    if (!stop.signal.aborted || job.signal?.aborted) throw error;
  }
  const [first, last] = [seen[0], seen.at(-1)];
  if (!first || !last || last.done === first.done) return Number.NaN; // a single update: nothing to go by
  const flops = costOf(few, plain, of, models).tuning * ((last.done - first.done) / study.tune.steps);
  return (flops / Math.max(1, last.at - first.at)) * 1000;
}

/** Random features and responses of the sizes that one layer has. */
async function encodeSpeed({ study, data, models }: PreparedStudy, batch: Batch, job: JobOptions): Promise<number> {
  const of = data[batch.data]!;
  const { cost, width } = { cost: costOf(batch, study, of, models), width: widthOf(batch, study, of, models) };
  const random = new Random(0);
  const normal = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const targets = Math.min(of.targets, kTargets);
  const responses = { data: normal(of.rows * targets), rows: of.rows, columns: targets };
  const options = { ...encodeOptions(study), groups: of.measured?.groups, layers: [0] };
  using features = Tensor.from(normal(of.rows * width.columns), [1, of.rows, width.columns]);
  const once = () =>
    timed(async () => {
      const { predictions, folds } = await encode(features, responses, { ...job, ...options });
      if (!predictions) return;
      using kept = predictions;
      if (isTested(study))
        await significance(kept, responses, foldRows(of.rows, study.stats.refit === 'reselect', options), {
          ...job,
          ...study.stats,
          groups: options.groups,
          fits: { ...options, features, scores: folds },
        });
    });
  await once();
  const share = Math.max(1, of.targets / targets);
  return cost.scoring / batch.runs.length / width.layers / ((await once()) * share);
}

/** Responses that are made up for a measurement, at most. */
const kTargets = 5000;
