/** A worker process of the local engine: it is sent lane batches one by one, and each ends in the store or in a message why not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import type { Progress } from '../native/types.js';
import { Claims } from './claims.js';
import { Live } from './live.js';
import { type Job, type LoopOptions, type Outcome, runJob } from './loop.js';
import type { StudyModel } from './models.js';
import { type Batch, titleOf } from './plan.js';
import type { Study } from './schema.js';
import { Store } from './store.js';

const kReport = 100; // ms between messages of progress

/** What a worker must know of the study; everything here survives structured cloning. */
export interface WorkerStudy {
  out: string;
  study: Study;
  /** Hashed already. */
  models: ReadonlyMap<string, StudyModel>;
  dataRoot: string | undefined;
  /** What the data sets must be: the plan was made for them. */
  dataHashes: string[];
  force: boolean;
  retryFailed: boolean;
}

export type ToWorker =
  | { kind: 'start'; study: WorkerStudy }
  | { kind: 'compute'; job: Job; place: string }
  | { kind: 'stop' };

export type FromWorker =
  | { kind: 'ready' }
  | { kind: 'progress'; progress: Progress }
  | { kind: 'outcome'; outcome: Outcome }
  | { kind: 'error'; code: string; message: string };

/** What computes batches. */
export interface Computer extends Pick<LoopOptions, 'failed'>, Disposable {
  compute(batch: Batch, place: string): ReturnType<LoopOptions['compute']>;
}

/** Serves the parent process until it says stop or goes away. */
export function serveWorker(open: (start: WorkerStudy, options: JobOptions) => Promise<Computer>): void {
  const stop = new AbortController();
  const send = (message: FromWorker) => process.connected && process.send!(message);
  // Ctrl-C reaches every process of a terminal; the parent decides what it means. Without a parent nobody wants the result.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit(1));
  let sent = 0;
  let live: Live | undefined;
  const onProgress = (progress: Progress) => {
    live?.progress(progress);
    const now = Date.now();
    if (now - sent < kReport && progress.done < progress.total) return;
    sent = now;
    send({ kind: 'progress', progress });
  };
  let opened: Promise<{ computer: Computer; store: Store; claims: Claims; start: WorkerStudy }> | undefined;
  const begin = async (start: WorkerStudy) => {
    const store = await Store.open(start.out);
    live = new Live(start.out, { kind: 'worker', study: start.study.name, workers: 0 });
    return {
      computer: await open(start, { signal: stop.signal, onProgress }),
      store,
      claims: await Claims.open(start.out),
      start,
    };
  };
  let busy: Promise<unknown> = Promise.resolve();
  const compute = async (job: Job, place: string): Promise<Outcome> => {
    const { computer, store, claims, start } = await opened!;
    const { force, retryFailed } = start;
    try {
      return await runJob(store, claims, job, {
        force,
        retryFailed,
        signal: stop.signal,
        compute: (batch) => {
          live?.batch(titleOf(batch, place), batch.runs);
          return computer.compute(batch, place);
        },
        failed: computer.failed.bind(computer),
      });
    } finally {
      live?.idle();
    }
  };
  const answer = async (message: ToWorker): Promise<void> => {
    if (message.kind === 'stop') return stop.abort();
    try {
      if (message.kind === 'start') {
        opened = begin(message.study);
        await opened;
        send({ kind: 'ready' });
      } else {
        const outcome = compute(message.job, message.place);
        busy = outcome.catch(() => {});
        send({ kind: 'outcome', outcome: await outcome });
      }
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      send({ kind: 'error', code: codeOf(error), message: said });
    }
  };
  process.on('message', (message) => void answer(message as ToWorker));
  stop.signal.addEventListener('abort', () => void leave());
  // What is being computed ends with ERR_CANCELLED within about 100 ms, and its claims are given back.
  const leave = async () => {
    await Promise.race([busy, sleep(kLast)]);
    await live?.close();
    process.disconnect?.();
  };
}

/** ms that a worker waits for what it computes to be given up. */
const kLast = 1_500;
