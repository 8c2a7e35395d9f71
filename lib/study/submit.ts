/** Studies as Slurm job arrays: DIR/jobs/NAME holds the study as it was submitted, which task computes which runs, the script and the logs. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { CortuneError } from '../errors.js';
import { kPackageDir } from '../native/load.js';
import { ioError, replaceFile } from './atomic.js';
import { costOf } from './cost.js';
import { pendingJobs } from './loop.js';
import { openFor, type PreparedStudy, prepareStudy, type RunStudyOptions } from './run.js';
import { checkResources, type QueuedTask, queuedTasks, type Resources, scriptText, submitArray } from './slurm.js';

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

export interface SubmitOptions extends Omit<RunStudyOptions, 'workers'>, Partial<Omit<Resources, 'more'>> {
  /** Other options of sbatch: `account=lab`. */
  more?: readonly string[] | undefined;
  /** Only make the script. */
  dryRun?: boolean | undefined;
}

export interface Submitted {
  script: string;
  /** Slurm's ids; empty when there was nothing to do, and with `dryRun`. */
  jobs: string[];
  tasks: number;
  /** Runs that are in the queue already, by an earlier submission. */
  queued: number;
}

const kName = /^[\w.-]+-[0-9a-f]{8}$/;
/** Memory that a task asks for, beside what its batch is estimated to take. */
const kSpare = 1.5;
const kProcess = 1e9;

/** Submits what of a study is still to be done, one lane batch a task. Throws what `prepareStudy` throws; ERR_SETUP, ERR_IO of Slurm; RangeError. */
export async function submitStudy(source: string, options: SubmitOptions): Promise<Submitted> {
  checkResources({ mem: '1G', cpus: 1, ...defined(options), more: options.more ?? [] });
  const prepared = await prepareStudy(source, options);
  const { study, plan } = prepared;
  const store = options.dryRun ? undefined : await openFor(prepared, options.out);
  const inQueue = new Set(store ? (await queuedRuns(store.folder)).keys() : []);
  const jobs = store ? await pendingJobs(store, plan, options) : plan.batches.map(whole);
  const wanted = jobs.map(({ ids }) => ids.filter((id) => !inQueue.has(id))).filter((ids) => ids.length > 0);
  const name = `${study.name.replace(/[^\w.-]/g, '_').slice(0, 60)}-${randomBytes(4).toString('hex')}`;
  const out = resolve(options.out);
  const folder = join(out, 'jobs', name);
  const resources = { mem: memoryFor(prepared), cpus: 4, ...defined(options), more: options.more ?? [] };
  const places = { node: process.execPath, program: join(kPackageDir, 'bin', 'cortune.mjs'), out, folder, job: name };
  const script = scriptText(`cortune-${study.name}`, resources, places);
  const queued = jobs.reduce((sum, { ids }) => sum + ids.filter((id) => inQueue.has(id)).length, 0);
  if (options.dryRun || wanted.length === 0) return { script, jobs: [], tasks: wanted.length, queued };
  const submission: Submission = {
    name: study.name,
    file: study.file,
    folder: study.folder,
    dataRoot: options.dataRoot === undefined ? undefined : resolve(options.dataRoot),
    force: options.force ?? false,
    retryFailed: options.retryFailed ?? false,
    time: options.time,
    tasks: wanted,
    jobs: [],
  };
  await mkdir(folder, { recursive: true }).catch((error) => {
    throw ioError(error, `make the folder ${folder}`);
  });
  await replaceFile(join(folder, studyCopy(study.file)), study.text);
  await replaceFile(join(folder, 'script.sh'), script);
  await replaceFile(join(folder, 'submission.json'), `${JSON.stringify(submission, null, 1)}\n`);
  const submitted = await submitArray(join(folder, 'script.sh'), wanted.length, options.atOnce);
  const done = { ...submission, jobs: submitted };
  await replaceFile(join(folder, 'submission.json'), `${JSON.stringify(done, null, 1)}\n`);
  return { script, jobs: submitted.map(({ id }) => id), tasks: wanted.length, queued };
}

function whole(batch: PreparedStudy['plan']['batches'][number]) {
  return { batch, ids: batch.runs.map((run) => run.id) };
}

/** What was given of a task's resources. */
function defined({ partition, time, mem, cpus, atOnce }: SubmitOptions): Partial<Resources> {
  return Object.fromEntries(
    Object.entries({ partition, time, mem, cpus, atOnce }).filter(([, value]) => value !== undefined),
  );
}

/** Memory of the largest batch, rounded up to whole gigabytes. */
function memoryFor({ plan, study, data, models }: PreparedStudy): string {
  const largest = Math.max(...plan.batches.map((batch) => costOf(batch, study, data[batch.data]!, models).memory));
  return `${Math.ceil((largest * kSpare + kProcess) / 2 ** 30)}G`;
}

/** The study's copy keeps the name of its file: that is the study's name, where it says none itself. */
export function studyCopy(file: string): string {
  return file === '' ? 'study.json' : basename(file);
}

/** One submission of a store. Throws ERR_NOT_FOUND, ERR_FORMAT. */
export async function readSubmission(store: string, name: string): Promise<Submission> {
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

async function queuedRuns(store: string): Promise<Map<string, StoreTask>> {
  return new Map((await storeTasks(store)).flatMap((task) => task.runs.map((run) => [run, task])));
}
