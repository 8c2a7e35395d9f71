/** Computes the pending batches of a study on this machine, in this process or in workers, and tells the store who is at work. */
import { resolve } from 'node:path';
import { native } from '../native/load.js';
import type { Progress } from '../native/types.js';
import { capacity, shares } from './capacity.js';
import { costOf } from './cost.js';
import { Engine } from './engine.js';
import { Live } from './live.js';
import { runLocal } from './local.js';
import { type Job, type LoopOptions, runJobs } from './loop.js';
import { type Batch, titleOf } from './plan.js';
import type { PreparedStudy, RunStudyOptions } from './run.js';
import type { Store } from './store.js';

/** Throws what the batches throw that is not theirs alone (ERR_IO, ERR_SETUP ...), ERR_CANCELLED also when `cortune cancel` asked for it. */
export async function computeJobs(
  prepared: PreparedStudy,
  store: Store,
  jobs: readonly Job[],
  options: RunStudyOptions & Pick<LoopOptions, 'onBatch'> & { task?: string | undefined },
): Promise<void> {
  if (jobs.length === 0) return;
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const { workers = 0, task } = options;
  const places = new Map(
    prepared.plan.batches.flatMap((batch, i, all) => batch.runs.map((run) => [run.id, `${i + 1}/${all.length}`])),
  );
  const place = (batch: Batch) => places.get(batch.runs[0]!.id) ?? '';
  const common = { ...options, signal, place };
  const [kind, study] = [task === undefined ? ('run' as const) : ('slurm' as const), prepared.study.name];
  if (workers === 0) {
    const live = new Live(store.folder, { kind, study, workers: 0, task }, () => stop.abort());
    await here(prepared, store, jobs, { ...common, live }).finally(() => live.close());
    return;
  }
  const cost = (batch: Batch) => costOf(batch, prepared.study, prepared.data[batch.data]!, prepared.models).memory;
  const machine = capacity(native().info().cuda);
  const work = { batches: jobs.length, largest: Math.max(...jobs.map(({ batch }) => cost(batch))) };
  const split = shares(machine, work, workers === 'auto' ? undefined : workers);
  const live = new Live(store.folder, { kind, study, workers: split.workers, task }, () => stop.abort());
  // Its environment is read only when a run has to be recorded here: by then a worker has died.
  const failed: LoopOptions['failed'] = (...args) => new Engine({ ...prepared }).failed(...args);
  const start = {
    out: resolve(store.folder),
    study: prepared.study,
    models: prepared.models,
    dataRoot: options.dataRoot,
    dataHashes: prepared.data.map(({ hash }) => hash),
    force: options.force ?? false,
    retryFailed: options.retryFailed ?? false,
  };
  await runLocal(store, jobs, {
    ...common,
    shares: split,
    memory: machine.memory,
    cost,
    failed,
    study: start,
  }).finally(() => live.close());
}

/** In this process, one after the other. */
async function here(
  prepared: PreparedStudy,
  store: Store,
  jobs: readonly Job[],
  options: RunStudyOptions & Pick<LoopOptions, 'onBatch'> & { place(batch: Batch): string; live: Live },
): Promise<void> {
  const { live, place } = options;
  const onProgress = (progress: Progress) => {
    live.progress(progress);
    options.onProgress?.(progress);
  };
  using engine = new Engine({ ...prepared, signal: options.signal, onProgress });
  await runJobs(store, jobs, {
    ...options,
    compute: (batch) => {
      live.batch(titleOf(batch, place(batch)), batch.runs);
      return engine.compute(batch, place(batch)).finally(() => live.idle());
    },
    failed: (run, batch, error) => engine.failed(run, batch, error),
  });
}
