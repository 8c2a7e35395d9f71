/** Runs a study from its file to its results: plan, lane batches, store. */

import { CortuneError, expected } from '../errors.js';
import { isEncoder } from '../model/config.js';
import type { JobOptions } from '../native/jobs.js';
import { native } from '../native/load.js';
import { ioError } from './atomic.js';
import { measureSpeed, type Speed, secondsOf, speedOfRuns } from './calibrate.js';
import { capacity, checkWorkers, type Shares, shares } from './capacity.js';
import { computeJobs } from './compute.js';
import { type Cost, costOf, kNoCost } from './cost.js';
import { type StudyData, studyData } from './data.js';
import { checkFit, checkLabels } from './fit.js';
import { pendingJobs, pendingRuns } from './loop.js';
import { hashFile } from './manifest.js';
import { findModel, type StudyModel } from './models.js';
import { type Batch, filesOf, makePlan, modelsOf, type Plan } from './plan.js';
import { kFormat } from './records.js';
import { type Results, readResults } from './results.js';
import { modelSource, readStudy, type Study, studyPath } from './schema.js';
import { isTuned } from './schema-methods.js';
import { kStimuli } from './schema-tasks.js';
import { saveSpaces } from './spaces.js';
import { Store } from './store.js';
import { readTraining, type Training } from './training.js';

export interface StudyOptions extends JobOptions {
  /** Folder of the data, instead of the one that the study or the data set's description names. */
  dataRoot?: string | undefined;
  /** A line for people: sources, batches as they finish. */
  note?: ((line: string) => void) | undefined;
  /** One of the study's `sizes`. */
  size?: string | undefined;
  /** The study is a copy of this file: its name and the folder of its paths. */
  as?: Pick<Study, 'name' | 'file' | 'folder'> | undefined;
}

export interface RunStudyOptions extends StudyOptions {
  /** Results folder; made when it is not there. What is complete in it is used again. */
  out: string;
  /** Compute everything anew and replace it. Default false. */
  force?: boolean | undefined;
  /** Compute runs anew that failed before. Default false. */
  retryFailed?: boolean | undefined;
  /** Worker processes; `auto`: by cores, GPUs and memory. Default 0: everything is computed in this process. */
  workers?: number | 'auto' | undefined;
}

/** A study with its data and models found, and its plan. */
export interface PreparedStudy {
  study: Study;
  /** Of each of its data sets. */
  data: readonly StudyData[];
  /** What tuned runs learn from, where that is not the stimuli. */
  training: Training;
  /** By the names of `modelsOf`. */
  models: ReadonlyMap<string, StudyModel>;
  plan: Plan;
}

export interface DryRun extends PreparedStudy {
  /** Per batch of the plan: its cost, how many of its runs still have to be computed, and how long these will take here, s (NaN unless it was calibrated). */
  batches: { cost: Cost; pending: number; seconds: number }[];
  /** How fast this machine is; absent unless it was asked for and there is something to do. */
  speed?: Speed | undefined;
  /** How worker processes would share this machine; absent when there is nothing to do. */
  shares?: Shares | undefined;
}

export interface DryRunOptions extends StudyOptions, Partial<RunStudyOptions> {
  /** Estimate times, from runs that are done or by measuring for some seconds. Default false. */
  calibrate?: boolean | undefined;
}

/**
 * Reads a study (a file, or an object of the same form), finds its data and models, and plans its runs. Nothing is computed.
 * Throws ERR_CONFIG for the study, with line and key; ERR_NOT_FOUND, ERR_NETWORK, ERR_DATA for what it names.
 */
export async function prepareStudy(
  source: string | Record<string, unknown>,
  options: StudyOptions = {},
): Promise<PreparedStudy> {
  const study = { ...(await readStudy(source, options.size)), ...options.as };
  const models = new Map<string, StudyModel>();
  for (const name of modelsOf(study)) {
    const model = await findModel(modelSource(study, name), options);
    if (isEncoder(model.config)) refuseEncoder(study, name);
    models.set(name, model);
  }
  const hashes = new Map([...models].map(([name, model]) => [name, model.hash]));
  if (options.dataRoot !== undefined && study.data.length > 1)
    throw expected('data', 'left out, as the study has several data sets: give each its `root`', options.dataRoot);
  const { data, training } = await readMaterial(study, hashes, options.dataRoot);
  for (const each of data) checkFit(study, each, models);
  for (const each of data) checkLabels(study, training.labels, each);
  const plan = makePlan(study, {
    data: data.map(({ hash, stimuli, name }) => ({ hash, kind: stimuli.kind, name })),
    models: hashes,
    files: await hashesOf(study),
  });
  return { study, data, models, training, plan };
}

/** Reads the data sets of a study, and the texts that it tunes on. `models`: hashes by name. */
export async function readMaterial(
  study: Study,
  models: ReadonlyMap<string, string>,
  dataRoot: string | undefined,
): Promise<Pick<PreparedStudy, 'data' | 'training'>> {
  const data: StudyData[] = [];
  for (const entry of study.data) data.push(await studyData(study, entry, models, dataRoot));
  return { data, training: await readTraining(study) };
}

/** SHA-256 of the files that a study names. */
async function hashesOf(study: Study): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const path of filesOf(study)) {
    const { sha256 } = await hashFile(studyPath(study, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw ioError(error, `read ${path}, which the study names`);
      throw new CortuneError('ERR_NOT_FOUND', `Expected a file at ${path}, which the study names, and there is none.`);
    });
    found.set(path, sha256);
  }
  return found;
}

/** An encoder sees what comes after, so neither causal tuning nor cumulative context fit it. */
function refuseEncoder(study: Study, name: string): void {
  const causal = study.tasks.some(
    ({ objective, text, label }) =>
      label === undefined && (objective === 'causal' || (objective === undefined && text === kStimuli)),
  );
  const tuned = causal ? study.methods.find(isTuned) : undefined;
  if (!tuned && study.embed.context === 'none') return;
  const wrong = tuned ? `method \`${tuned.method}\`` : '`embed.context: cumulative`';
  throw new CortuneError(
    'ERR_CONFIG',
    `Expected a causal model for ${wrong}, got ${name}, an encoder. Leave it out, or use context: none.`,
  );
}

/** The plan, its cost, and what of it is done in `out` already. Writes nothing. */
export async function dryRun(source: string | Record<string, unknown>, options: DryRunOptions = {}): Promise<DryRun> {
  checkWorkers(options.workers);
  const prepared = await prepareStudy(source, options);
  const { plan, study, data, models } = prepared;
  const store = options.out === undefined ? undefined : await openIfThere(options.out);
  const pending = store ? await pendingRuns(store, plan, options) : new Set(plan.runs.map((run) => run.id));
  const left = plan.batches.map((batch) => ({ ...batch, runs: batch.runs.filter((run) => pending.has(run.id)) }));
  const todo = left.filter(({ runs }) => runs.length > 0);
  const costs = left.map((batch) =>
    batch.runs.length > 0 ? costOf(batch, study, data[batch.data]!, models) : kNoCost,
  );
  const speed = options.calibrate && todo.length > 0 ? await speedFor(prepared, store, todo, options) : undefined;
  const batches = plan.batches.map((batch, i) => {
    const of = { pending: left[i]!.runs.length, cost: costOf(batch, study, data[batch.data]!, models) };
    return { ...of, seconds: of.pending === 0 ? 0 : speed ? secondsOf(costs[i]!, speed) : Number.NaN };
  });
  const work = { batches: todo.length, largest: Math.max(0, ...costs.map(({ memory }) => memory)) };
  const asked = typeof options.workers === 'number' && options.workers > 0 ? options.workers : undefined;
  const split = todo.length > 0 ? shares(capacity(native().info().cuda), work, asked) : undefined;
  return { ...prepared, batches, speed, shares: split };
}

async function speedFor(prepared: PreparedStudy, store: Store | undefined, todo: readonly Batch[], job: JobOptions) {
  const records = store ? await store.runs(prepared.plan.runs.map((run) => run.id)) : [];
  const known = speedOfRuns(prepared, new Map(records.map((record) => [record.id, record])));
  return known ?? measureSpeed(prepared, todo, { signal: job.signal });
}

async function openIfThere(folder: string): Promise<Store | undefined> {
  return Store.open(folder).catch((error: CortuneError) => {
    if (error.code === 'ERR_NOT_FOUND') return undefined;
    throw error;
  });
}

/**
 * Runs a study and resolves to its results. Runs that are complete in `out` are used again; an interrupted study goes on where it
 * was, and ends with the same numbers. A run that fails is recorded with its error and the others go on.
 * Throws what `prepareStudy` throws; RangeError for `workers`; ERR_CANCELLED; ERR_IO when the disk is full. What was complete is kept.
 */
export async function runStudy(source: string | Record<string, unknown>, options: RunStudyOptions): Promise<Results> {
  checkWorkers(options.workers);
  const prepared = await prepareStudy(source, options);
  const store = await openFor(prepared, options.out);
  await computeJobs(prepared, store, await pendingJobs(store, prepared.plan, options), options);
  return readResults(options.out, { study: prepared.study.name });
}

/** Opens (and makes) the store, and remembers the study in it. */
export async function openFor({ study, plan, data, models }: PreparedStudy, out: string): Promise<Store> {
  const store = await Store.open(out, { create: true });
  const batches = plan.batches.map((batch) => ({
    runs: batch.runs.map((run) => run.id),
    flops: Math.round(costOf(batch, study, data[batch.data]!, models).flops),
  }));
  for (const { hash, measured } of data) await saveSpaces(store.folder, hash, measured?.spaces ?? []);
  const runs = plan.runs.map((run) => run.id);
  await store.saveStudy({ format: kFormat, name: study.name, file: study.file, text: study.text, runs, batches });
  return store;
}
