/** Slurm's commands and the script of a job array. Slurm itself is the user's: `sbatch`, `squeue`, `scancel` and `scontrol` must be on the PATH. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CortuneError, expected } from '../errors.js';

const execute = promisify(execFile);

/** What a task asks of the cluster. */
export interface Resources {
  partition?: string | undefined;
  /** As Slurm writes it: `90`, `1:30:00`, `2-12`. */
  time?: string | undefined;
  /** As Slurm writes it: `16G`. */
  mem: string;
  cpus: number;
  /** Tasks at once. */
  atOnce?: number | undefined;
  /** Other options of sbatch: `account=lab`, `gres=gpu:1`. */
  more: readonly string[];
}

const kTime = /^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$/;

/** Seconds of a time limit in one of Slurm's forms: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]]. @throws RangeError */
export function timeLimit(text: string): number {
  const found = kTime.exec(text);
  const [days, a, b, c] = found ? found.slice(1).map((part) => Number(part ?? Number.NaN)) : [];
  const or = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? 0 : value);
  const seconds = !found
    ? 0
    : found[1] !== undefined
      ? ((days! * 24 + a!) * 60 + or(b)) * 60 + or(c)
      : found[4] !== undefined
        ? (a! * 60 + b!) * 60 + c!
        : a! * 60 + or(b);
  if (seconds < 1) throw expected('time', "a time in Slurm's form, such as `90` (minutes), `1:30:00` or `2-12`", text);
  return seconds;
}

/** How long before its limit a task is told to stop, s: enough to give up a batch and be put back into the queue. */
export function warning(limit: number): number {
  return Math.min(120, Math.max(10, Math.round(limit * 0.1)));
}

/** Throws RangeError for what would not be one value of one option in a script. */
export function checkResources({ partition, time, mem, cpus, atOnce, more }: Resources): void {
  if (partition !== undefined && !/^[\w.,-]+$/.test(partition)) throw expected('partition', 'a name', partition);
  if (time !== undefined) timeLimit(time);
  if (!/^[1-9]\d*[KMGT]?$/i.test(mem)) throw expected('mem', 'a size such as `16G`', mem);
  for (const [name, value] of [
    ['cpus', cpus],
    ['at-once', atOnce ?? 1],
  ] as const)
    if (!Number.isInteger(value) || value < 1) throw expected(name, 'an integer from 1', value);
  for (const option of more)
    if (!/^(--)?[a-z][a-z-]*(=[^\s"'`$\\]+)?$/.test(option))
      throw expected('sbatch', 'an option of sbatch such as `account=lab`', option);
}

/** Where the parts of a script are. */
export interface ScriptPlaces {
  node: string;
  program: string;
  /** Results folder, absolute. */
  out: string;
  /** Folder of the submission, absolute: logs go there. */
  folder: string;
  job: string;
}

/** The script of a job array: one task a lane batch. `$1` is added to a task's number, for arrays larger than the cluster allows. */
export function scriptText(name: string, resources: Resources, places: ScriptPlaces): string {
  checkResources(resources);
  const { partition, time, mem, cpus, more } = resources;
  for (const place of Object.values(places))
    if (/["\n\\]/.test(place))
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected a path without quotes, backslashes and line breaks, got ${JSON.stringify(place)}: it goes into a Slurm script.`,
      );
  const options = [
    `job-name=${name.replace(/[^\w.-]/g, '_')}`,
    ...(partition === undefined ? [] : [`partition=${partition}`]),
    ...(time === undefined ? [] : [`time=${time}`, `signal=B:USR1@${warning(timeLimit(time))}`]),
    `mem=${mem}`,
    `cpus-per-task=${cpus}`,
    'nodes=1',
    'ntasks=1',
    'requeue',
    'open-mode=append',
    `output="${places.folder.replaceAll('%', '%%')}/task-%A_%a.log"`,
    ...more.map((option) => option.replace(/^--/, '')),
  ];
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  return [
    '#!/bin/bash',
    ...options.map((option) => `#SBATCH --${option}`),
    '# Written by `cortune submit`: each task computes one lane batch. USR1 comes before the time limit: the task then gives up what it',
    '# computes and puts itself back into the queue. Killed at any moment, it loses nothing that is complete.',
    `export OMP_NUM_THREADS="\${SLURM_CPUS_PER_TASK:-${cpus}}"`,
    `exec ${quoted(places.node)} ${quoted(places.program)} worker ${quoted(places.out)} --job ${quoted(places.job)} --task "$((SLURM_ARRAY_TASK_ID + \${1:-0}))"`,
    '',
  ].join('\n');
}

/** Runs one of Slurm's commands. Throws ERR_SETUP when it is not there, ERR_IO with what it says when it fails. */
async function slurm(command: string, args: readonly string[]): Promise<string> {
  try {
    return (await execute(command, args, { timeout: 60_000, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT')
      throw new CortuneError(
        'ERR_SETUP',
        `Expected Slurm's \`${command}\` on the PATH, and it is not there. Run this where Slurm is, or use \`cortune run\`.`,
      );
    const said = (stderr ?? '').trim().split('\n').at(-1) || (error as Error).message;
    throw new CortuneError('ERR_IO', `Expected \`${command}\` to do it, got: ${said}`, { cause: error });
  }
}

/** Submits an array of `count` tasks, in as many jobs as the cluster's largest array asks for. Returns their ids, and each one's first task. */
export async function submitArray(
  script: string,
  count: number,
  atOnce?: number | undefined,
): Promise<{ id: string; first: number; count: number }[]> {
  const config = await slurm('scontrol', ['show', 'config']);
  const most = Math.max(1, Number(/^MaxArraySize\s*=\s*(\d+)/m.exec(config)?.[1] ?? 1001));
  const jobs: { id: string; first: number; count: number }[] = [];
  for (let first = 0; first < count; first += most) {
    const some = Math.min(most, count - first);
    const array = `--array=0-${some - 1}${atOnce === undefined ? '' : `%${atOnce}`}`;
    const id = (await slurm('sbatch', ['--parsable', array, script, String(first)])).trim().split(';')[0]!;
    jobs.push({ id, first, count: some });
  }
  return jobs;
}

/** A task that is in Slurm's queue. */
export interface QueuedTask {
  job: string;
  /** Number within its array. */
  index: number;
  /** `RUNNING`, `PENDING`, `COMPLETING` ... */
  state: string;
  /** Running time; why it waits. */
  time: string;
  reason: string;
}

/** What is in the queue of these jobs. Empty where Slurm is not there or knows none of them any more. */
export async function queuedTasks(jobs: readonly string[]): Promise<QueuedTask[]> {
  if (jobs.length === 0) return [];
  const list = await slurm('squeue', ['-h', '-r', '-j', jobs.join(','), '-o', '%F|%K|%T|%M|%R']).catch(() => '');
  return list
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [job, index, state, time, ...reason] = line.split('|');
      return { job: job!, index: Number(index), state: state!, time: time!, reason: reason.join('|') };
    });
}

export async function cancelJobs(jobs: readonly string[]): Promise<void> {
  await slurm('scancel', jobs);
}

/** Puts the task that calls it back into the queue: Slurm then ends it. */
export async function requeue(job: string): Promise<void> {
  await slurm('scontrol', ['requeue', job]);
}
