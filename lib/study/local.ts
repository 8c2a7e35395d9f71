/** The local engine: worker processes that share the batches of a study, by memory. One that dies is replaced and its batch done again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CortuneError } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import type { Shares } from './capacity.js';
import { Claims } from './claims.js';
import { type Job, kPoll, type LoopOptions } from './loop.js';
import { type Batch, runTitle } from './plan.js';
import type { Store } from './store.js';
import type { WorkerStudy } from './worker.js';
import { WorkerDied, WorkerProcess } from './worker-process.js';

const kLook = 50; // ms between looks for a batch that fits
/** Deaths of a worker with one run, after which the run is recorded as failed. */
const kDeaths = 2;

export interface LocalOptions extends JobOptions, Pick<LoopOptions, 'failed' | 'onBatch'> {
  shares: Shares;
  /** Bytes that all batches in flight may take together; one alone is always let through. */
  memory: number;
  /** Bytes that a batch takes. */
  cost(batch: Batch): number;
  /** Where a batch stands in the study: `2/5`. */
  place(batch: Batch): string;
  study: WorkerStudy;
  note?: ((line: string) => void) | undefined;
  /** The program of a worker. */
  entry?: URL | undefined;
}

interface Waiting extends Job {
  memory: number;
  deaths: number;
  /** Not before this time, ms: another process holds a run of it. */
  after: number;
}

/** Computes these batches in worker processes. Resolves when their runs are in the store, whoever computed them. */
export async function runLocal(store: Store, jobs: readonly Job[], options: LocalOptions): Promise<void> {
  await new LocalEngine(store, jobs, options).run();
}

class LocalEngine {
  readonly #store: Store;
  readonly #options: LocalOptions;
  readonly #stop = new AbortController();
  /** What no worker has yet. */
  #left: Waiting[];
  readonly #inFlight = new Map<number, Waiting>();

  constructor(store: Store, jobs: readonly Job[], options: LocalOptions) {
    this.#store = store;
    this.#options = options;
    this.#left = jobs.flatMap((job) => this.#fitting(job));
  }

  async run(): Promise<void> {
    const { shares, signal } = this.#options;
    const cancel = () => this.#stop.abort(new CortuneError('ERR_CANCELLED', 'Interrupted.'));
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      const slots = Array.from({ length: shares.workers }, (_, slot) => this.#work(slot));
      // The first that fails ends the others; all have ended before the error is thrown.
      for (const slot of slots) slot.catch((error) => this.#stop.abort(error));
      await Promise.allSettled(slots);
      if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** One worker after the other, until nothing is left. */
  async #work(slot: number): Promise<void> {
    let worker: WorkerProcess | undefined;
    try {
      for (;;) {
        const job = await this.#next(slot);
        if (!job) return;
        try {
          worker ??= await this.#begin(slot);
          await this.#compute(worker, job);
        } catch (error) {
          if (!(error instanceof WorkerDied)) throw error;
          await worker?.stop();
          worker = undefined;
          await this.#died(job, error);
        } finally {
          this.#inFlight.delete(slot);
        }
      }
    } finally {
      await worker?.stop();
    }
  }

  async #compute(worker: WorkerProcess, job: Waiting): Promise<void> {
    const interrupt = () => worker.interrupt();
    this.#stop.signal.addEventListener('abort', interrupt, { once: true });
    try {
      const outcome = await worker.compute({ batch: job.batch, ids: job.ids }, this.#options.place(job.batch));
      if (outcome === 'held') this.#left.push({ ...job, after: Date.now() + kPoll });
      else this.#options.onBatch?.(job.batch, outcome);
    } finally {
      this.#stop.signal.removeEventListener('abort', interrupt);
    }
  }

  /** The next batch for which there is memory; undefined when all are done. Waits while others may still come back. */
  async #next(slot: number): Promise<Waiting | undefined> {
    for (;;) {
      if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
      const used = [...this.#inFlight.values()].reduce((sum, { memory }) => sum + memory, 0);
      const now = Date.now();
      const at = this.#left.findIndex(
        ({ memory, after }) => after <= now && (used === 0 || used + memory <= this.#options.memory),
      );
      if (at >= 0) {
        const [job] = this.#left.splice(at, 1);
        this.#inFlight.set(slot, job!);
        return job;
      }
      if (this.#left.length === 0 && this.#inFlight.size === 0) return undefined;
      await sleep(kLook);
    }
  }

  /** A worker that does not even start, twice, says nothing of the run that it was for. Throws ERR_SETUP. */
  async #begin(slot: number, again = true): Promise<WorkerProcess> {
    try {
      return await this.#start(slot);
    } catch (error) {
      if (!(error instanceof WorkerDied) || this.#stop.signal.aborted) throw error;
      if (again) return this.#begin(slot, false);
      const said = error.said.trim().split('\n').at(-1);
      throw new CortuneError(
        'ERR_SETUP',
        `Expected a worker process to start, and ${error.message}${said ? `: ${said}` : ''}. \`cortune doctor\` shows what is set up; what is complete is kept.`,
      );
    }
  }

  #start(slot: number): Promise<WorkerProcess> {
    const { shares, study, entry, onProgress } = this.#options;
    const gpu = shares.gpus[slot % Math.max(1, shares.gpus.length)];
    return WorkerProcess.start({
      entry: entry ?? new URL('./worker-main.js', import.meta.url),
      study,
      env: { OMP_NUM_THREADS: String(shares.threads), ...(gpu === undefined ? {} : { CUDA_VISIBLE_DEVICES: gpu }) },
      // One bar for all: that of the first worker at work.
      onProgress: (progress) => {
        if (Math.min(...this.#inFlight.keys()) === slot) onProgress?.(progress);
      },
    });
  }

  /** The batch is done again; when that ends the same way, its lanes in halves; a run that does it alone is recorded as failed. */
  async #died(job: Waiting, died: WorkerDied): Promise<void> {
    const deaths = job.deaths + 1;
    const title = job.batch.runs.map((run) => runTitle(run.labels)).join(', ');
    this.#options.note?.(`A worker died while it computed ${title}: ${died.message}.`);
    if (deaths < kDeaths) this.#left.push({ ...job, deaths });
    else if (divides(job)) this.#left.push(...halves(job).map((half) => ({ ...job, ...half, deaths: 1 })));
    else await this.#record(job, died);
  }

  async #record(job: Waiting, died: WorkerDied): Promise<void> {
    const { failed, onBatch } = this.#options;
    const killed = died.signal === 'SIGKILL';
    const why = killed ? ' (systems do so when memory runs out)' : '';
    const said = died.said.trim().split('\n').at(-1);
    const message = `Expected the worker process to compute the run, and ${kDeaths} times ${died.message}${why}${said ? `: ${said}` : ''}. Try again with --retry-failed${killed ? ' and fewer --workers' : ''}.`;
    const claims = await Claims.open(this.#store.folder);
    if (!(await claims.takeAll(job.ids))) {
      this.#left.push({ ...job, after: Date.now() + kPoll });
      return;
    }
    try {
      const error = { code: killed ? 'ERR_MEMORY' : 'ERR_INTERNAL', message };
      const runs = job.batch.runs.filter((run) => job.ids.includes(run.id));
      await this.#store.commit(runs.map((run) => failed(run, job.batch, error)));
    } finally {
      await claims.release(job.ids);
    }
    onBatch?.(job.batch, 'failed');
  }

  /** A batch whose lanes do not fit into memory together, in parts that do (or single lanes). */
  #fitting(job: Job): Waiting[] {
    const runs = job.batch.runs.filter((run) => job.ids.includes(run.id));
    const memory = this.#options.cost({ ...job.batch, runs });
    if (memory > this.#options.memory && divides(job)) return halves(job).flatMap((half) => this.#fitting(half));
    return [{ ...job, memory, deaths: 0, after: 0 }];
  }
}

/** Whether the runs of a batch can be computed apart: each then ends as if alone. */
export function divides({ batch, ids }: Job): boolean {
  return ids.length > 1 && batch.together === null;
}

/** The runs of a batch in two batches. */
export function halves({ batch, ids }: Job): Job[] {
  const half = Math.ceil(ids.length / 2);
  return [ids.slice(0, half), ids.slice(half)].map((some) => ({
    ids: some,
    batch: { ...batch, runs: batch.runs.filter((run) => some.includes(run.id)) },
  }));
}
