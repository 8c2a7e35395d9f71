/** Submits a study as a Slurm job array, one lane batch a task. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { kPackageDir } from '../native/load.js';
import { ioError, replaceFile } from './atomic.js';
import { costOf } from './cost.js';
import { pendingJobs } from './loop.js';
import { openFor, type PreparedStudy, prepareStudy, type RunStudyOptions } from './run.js';
import { checkResources, type Resources, scriptText, submitArray } from './slurm.js';
import { type StoreTask, type Submission, storeTasks, studyCopy } from './submissions.js';

export interface SubmitOptions extends Omit<RunStudyOptions, 'workers'>, Omit<Resources, 'more' | 'mem' | 'cpus'> {
  /** Memory of a task: `16G`. Default: by estimate. */
  mem?: string | undefined;
  /** Cores of a task. Default 4. */
  cpus?: number | undefined;
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

/** Runs that wait or are computed in Slurm's queue. */
async function queuedRuns(store: string): Promise<Map<string, StoreTask>> {
  return new Map((await storeTasks(store)).flatMap((task) => task.runs.map((run) => [run, task])));
}
