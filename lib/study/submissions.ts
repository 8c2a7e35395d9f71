/** What was submitted to Slurm from a store: DIR/jobs/NAME holds the study as it was submitted, which task computes which runs, script and logs. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CortuneError, expected } from '../errors.js';
import { ioError } from './atomic.js';
import { type QueuedTask, queuedTasks } from './slurm.js';

/** submission.json */
export interface Submission {
  /** Of the study. */
  name: string;
  file: string;
  folder: string;
  dataRoot?: string | undefined;
  force: boolean;
  retryFailed: boolean;
  /** The time limit as it was given; absent when it is the partition's own. */
  time?: string | undefined;
  /** Runs of each task. */
  tasks: string[][];
  /** Slurm's jobs; empty until they are submitted. */
  jobs: { id: string; first: number; count: number }[];
}

const kName = /^[\w.-]+-[0-9a-f]{8}$/;
/** The study's copy keeps the name of its file: that is the study's name, where it says none itself. */
export function studyCopy(file: string): string {
  return file === '' ? 'study.json' : basename(file);
}

/** One submission of a store. Throws ERR_NOT_FOUND, ERR_FORMAT. */
export async function readSubmission(store: string, name: string): Promise<Submission> {
  if (!kName.test(name)) throw expected('job', 'the name of a folder in DIR/jobs, such as `alice-1f0c9a2b`', name);
  const path = join(store, 'jobs', name, 'submission.json');
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw ioError(error, `read ${path}`);
    throw new CortuneError('ERR_NOT_FOUND', `Expected the submission \`${name}\` in ${store}, and there is none.`);
  });
  try {
    return JSON.parse(content) as Submission;
  } catch (cause) {
    throw new CortuneError('ERR_FORMAT', `Expected ${path} to be whole, and it is not. Submit the study again.`, {
      cause,
    });
  }
}

/** Every submission of a store, by name; those that cannot be read are left out. */
export async function submissions(store: string): Promise<Map<string, Submission>> {
  const names = (await readdir(join(store, 'jobs')).catch(() => [])).filter((name) => kName.test(name)).sort();
  const read = names.map(async (name) => [name, await readSubmission(store, name).catch(() => undefined)] as const);
  return new Map((await Promise.all(read)).filter((each): each is [string, Submission] => each[1] !== undefined));
}

/** A task of Slurm's queue, and the runs that it is there for. */
export interface StoreTask extends QueuedTask {
  submission: string;
  runs: string[];
}

/** The tasks of a store that are in Slurm's queue. */
export async function storeTasks(store: string): Promise<StoreTask[]> {
  const all = await submissions(store);
  const jobs = new Map([...all].flatMap(([name, each]) => each.jobs.map((job) => [job.id, { name, job, each }])));
  return (await queuedTasks([...jobs.keys()])).flatMap((task) => {
    const found = jobs.get(task.job);
    return found
      ? [{ ...task, submission: found.name, runs: found.each.tasks[found.job.first + task.index] ?? [] }]
      : [];
  });
}
