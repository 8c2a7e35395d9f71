/** Works through a plan's lane batches: what is done is skipped, what another process holds is left to it, failures are recorded. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CortuneError, codeOf, type ErrorCode } from '../errors.js';
import { Claims } from './claims.js';
import type { Batch, Plan, Run } from './plan.js';
import type { NewRun, Store } from './store.js';

export const kPoll = 500; // ms between looks at what other processes are doing

/** Not a property of the run: the same run may succeed elsewhere, or later. Such an error ends the study and records nothing. */
const kOurs: ReadonlySet<ErrorCode> = new Set(['ERR_CANCELLED', 'ERR_IO', 'ERR_SETUP', 'ERR_NETWORK', 'ERR_NOT_FOUND']);

/** Whether an error says something of the run itself, so that it is recorded and the study goes on. */
export function isOfTheRun(error: unknown): boolean {
  return !kOurs.has(codeOf(error)) && (error as Error | null)?.name !== 'AbortError';
}

/** The runs of a batch, and what must live until they are written (tuned weights). */
export interface Computed {
  runs: NewRun[];
  dispose(): void;
}

export interface LoopOptions {
  /** Compute everything again and replace it. */
  force?: boolean | undefined;
  /** Compute failed runs again. */
  retryFailed?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Computes the runs of a batch: one result for each, in order. */
  compute(batch: Batch): Promise<Computed>;
  /** Makes the record of a run that failed. */
  failed(run: Run, batch: Batch, error: { code: string; message: string }): NewRun;
  /** After each batch. */
  onBatch?: ((batch: Batch, outcome: Outcome) => void) | undefined;
}

/** Which runs of a plan still have to be computed. */
export async function pendingRuns(store: Store, plan: Plan, options: Pick<LoopOptions, 'force' | 'retryFailed'> = {}) {
  const pending = new Set<string>();
  for (const run of plan.runs) {
    const status = options.force ? undefined : (await store.run(run.id))?.status;
    if (status === undefined || (status === 'failed' && options.retryFailed)) pending.add(run.id);
  }
  return pending;
}

/** What became of a batch: 'elsewhere' when other processes had done it, 'held' while one holds a run of it. */
export type Outcome = 'done' | 'failed' | 'elsewhere' | 'held';

/** A batch of a plan, and which of its runs are wanted. */
export interface Job {
  batch: Batch;
  ids: string[];
}

/** The batches of a plan that have runs to be computed. */
export async function pendingJobs(store: Store, plan: Plan, options: Pick<LoopOptions, 'force' | 'retryFailed'>) {
  const pending = await pendingRuns(store, plan, options);
  return plan.batches.map((batch): Job => ({ batch, ids: idsOf(batch, pending) })).filter(({ ids }) => ids.length > 0);
}

/** Runs every pending batch in this process. Resolves when all runs of the plan are in the store, whoever computed them. */
export async function runBatches(store: Store, plan: Plan, options: LoopOptions): Promise<void> {
  await runJobs(store, await pendingJobs(store, plan, options), options);
}

/** Runs these batches in this process. Resolves when their runs are in the store, whoever computed them. */
export async function runJobs(store: Store, jobs: readonly Job[], options: LoopOptions): Promise<void> {
  const claims = await Claims.open(store.folder);
  let left = [...jobs];
  while (left.length > 0) {
    const waiting: Job[] = [];
    for (const job of left) {
      if (options.signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Interrupted.');
      const outcome = await runJob(store, claims, job, options);
      if (outcome === 'held') waiting.push(job);
      else options.onBatch?.(job.batch, outcome);
    }
    left = waiting;
    if (left.length > 0) await sleep(kPoll, undefined, { signal: options.signal }).catch(() => {});
  }
}

/** Claims one batch and computes what of it is still to be done. */
export async function runJob(
  store: Store,
  claims: Claims,
  { batch, ids }: Job,
  options: LoopOptions,
): Promise<Outcome> {
  if (!(await claims.takeAll(ids))) return 'held';
  try {
    const todo = await stillPending(store, ids, options);
    if (todo.length === 0) return 'elsewhere';
    return await runBatch(store, { ...batch, runs: batch.runs.filter((run) => todo.includes(run.id)) }, options);
  } finally {
    await claims.release(ids);
  }
}

function idsOf(batch: Batch, pending: ReadonlySet<string>): string[] {
  return batch.runs.map((run) => run.id).filter((id) => pending.has(id));
}

/** Another process may have finished runs between the plan and the claim. With `force`, each process computes them anyway. */
async function stillPending(store: Store, ids: string[], options: LoopOptions): Promise<string[]> {
  if (options.force) return ids;
  const records = await Promise.all(ids.map((id) => store.run(id)));
  return ids.filter((_, i) => records[i] === undefined || (records[i]?.status === 'failed' && options.retryFailed));
}

async function runBatch(store: Store, batch: Batch, options: LoopOptions): Promise<'done' | 'failed'> {
  let computed: Computed;
  try {
    computed = await options.compute(batch);
  } catch (error) {
    const code = codeOf(error);
    if (options.signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Interrupted.', { cause: error });
    if (!isOfTheRun(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    computed = { runs: batch.runs.map((run) => options.failed(run, batch, { code, message })), dispose: () => {} };
  }
  try {
    await store.commit(computed.runs, { replace: options.force ?? false });
  } finally {
    computed.dispose();
  }
  return computed.runs.some((run) => run.record.status === 'failed') ? 'failed' : 'done';
}
