/** One task of a Slurm job array: computes the batch it was submitted for, and stops cleanly when its time ends. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CortuneError, expected } from '../errors.js';
import { replaceFile } from './atomic.js';
import { Claims } from './claims.js';
import { computeJobs } from './compute.js';
import { Engine } from './engine.js';
import { divides, halves } from './local.js';
import { type Job, pendingJobs } from './loop.js';
import { type PreparedStudy, prepareStudy, type StudyOptions } from './run.js';
import { requeue } from './slurm.js';
import { Store } from './store.js';
import { readSubmission, type Submission, studyCopy } from './submissions.js';

export interface TaskOptions extends StudyOptions {
  /** Aborted when the time limit is near. */
  limit: AbortSignal;
  /** Slurm's id of this very task; undefined outside of Slurm. */
  slurmJob?: string | undefined;
  /** Its name for people: `123_4`. */
  label?: string | undefined;
}

/**
 * Computes task `number` of a submission. Resolves to 'done', or to 'requeued' when its time ended first. A batch that fills a whole time
 * limit is divided into halves for the next attempt; a run that does so alone is recorded as failed.
 * Throws what `prepareStudy` throws; ERR_DATA when the study's data or models are not those that were submitted; ERR_CANCELLED; ERR_IO.
 */
export async function runTask(
  out: string,
  job: string,
  number: number,
  options: TaskOptions,
): Promise<'done' | 'requeued'> {
  const submission = await readSubmission(out, job);
  const ids = submission.tasks[number];
  if (!ids) throw expected('task', `an integer from 0 to ${submission.tasks.length - 1}`, number);
  const { name, file, folder, dataRoot } = submission;
  const prepared = await prepareStudy(join(out, 'jobs', job, studyCopy(file)), {
    ...options,
    dataRoot: options.dataRoot ?? dataRoot,
    as: { name, file, folder },
  });
  const store = await Store.open(out);
  const attempts = join(out, 'jobs', job, `task-${number}.json`);
  let divided = await readFile(attempts, 'utf8').then(Number, () => 0);
  let parts = await partsOf(prepared, store, submission, ids);
  for (let i = 0; i < divided; i++) parts = parts.flatMap((part) => (divides(part) ? halves(part) : [part]));
  let completed = 0;
  try {
    await computeJobs(prepared, store, parts, {
      ...options,
      ...submission,
      out,
      dataRoot: submission.dataRoot,
      signal: options.signal ? AbortSignal.any([options.signal, options.limit]) : options.limit,
      task: options.label ?? `${job} ${number}`,
      onBatch: (_, outcome) => {
        if (outcome !== 'elsewhere') completed++;
      },
    });
    return 'done';
  } catch (error) {
    if (!options.limit.aborted || options.signal?.aborted) throw error;
  }
  const [first] = parts;
  if (completed === 0 && divides(first!)) await replaceFile(attempts, String(++divided));
  else if (completed === 0) await recordTooLong(prepared, store, first!, submission);
  await again(options, job, number);
  return 'requeued';
}

/** The task's runs that are still to be done, batch by batch. */
async function partsOf(
  { plan }: PreparedStudy,
  store: Store,
  submission: Submission,
  ids: readonly string[],
): Promise<Job[]> {
  const planned = new Set(plan.runs.map((run) => run.id));
  if (!ids.every((id) => planned.has(id)))
    throw new CortuneError(
      'ERR_DATA',
      'Expected the data and models that were there when the study was submitted, and they have changed since. Submit it again.',
    );
  const jobs = await pendingJobs(store, plan, submission);
  return jobs
    .map(({ batch, ids: all }) => ({ batch, ids: all.filter((id) => ids.includes(id)) }))
    .filter((part) => part.ids.length > 0);
}

async function recordTooLong(
  prepared: PreparedStudy,
  store: Store,
  { batch, ids }: Job,
  { time }: Submission,
): Promise<void> {
  const message = `Expected the run to end within the time limit${time ? ` ${time}` : ''}, and it was stopped at it. Submit it again with a longer --time and --retry-failed.`;
  const claims = await Claims.open(store.folder);
  if (!(await claims.takeAll(ids))) return; // another process computes it: its time may do
  try {
    using engine = new Engine({ ...prepared });
    const runs = batch.runs.filter((run) => ids.includes(run.id));
    await store.commit(runs.map((run) => engine.failed(run, batch, { code: 'ERR_CANCELLED', message })));
  } finally {
    await claims.release(ids);
  }
}

async function again({ slurmJob, note }: TaskOptions, job: string, number: number): Promise<void> {
  if (slurmJob === undefined)
    throw new CortuneError('ERR_CANCELLED', `Stopped at the time limit: task ${number} of ${job} is not done.`);
  note?.(`Stopped at the time limit; task ${number} goes back into the queue.`);
  await requeue(slurmJob);
}
