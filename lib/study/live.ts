/**
 * What processes are doing in a store right now, for `cortune status`, `watch` and `cancel`: one small file each in DIR/live, replaced about
 * once a second. Nothing depends on it: a file that cannot be written is not written.
 *
 * A process is asked to stop by a file beside its own, so that it can be asked from any host that sees the store.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress } from '../native/types.js';
import { isDead, type Owner, ownedName, ownerOf, self } from './atomic.js';
import { kExpiry } from './claims.js';
import { methodTitle, type Run } from './plan.js';

const kBeat = 1_000; // ms between writes
/** Points of a loss curve that are kept; twice as many are thinned to every other one. */
const kPoints = 120;

/** A lane batch that is being computed. */
export interface LiveBatch {
  /** `2/5 lora x 3` */
  title: string;
  runs: string[];
  /** Each run in words: `lora lr 1e-3 rank 8`. */
  lanes: string[];
  /** ms since 1970 */
  since: number;
  stage: string;
  done: number;
  total: number;
  /** Losses of each lane so far, thinned. */
  losses: number[][];
}

/** A process at work. */
export interface LiveProcess {
  owner: Owner;
  /** `run`: a process of `cortune run` (it may have workers); `worker`: one of those; `slurm`: a task of a Slurm job. */
  kind: 'run' | 'worker' | 'slurm';
  study: string;
  /** ms since 1970 */
  started: number;
  /** Worker processes of a `run`; 0 when it computes itself. */
  workers: number;
  /** Slurm's name of the task: `123_4`. */
  task?: string | undefined;
  batch?: LiveBatch | undefined;
}

export class Live {
  readonly #folder: string;
  readonly #path: string;
  readonly #process: LiveProcess;
  readonly #onStop: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  #every = 1;
  #seen = 0;
  #writing: Promise<void> = Promise.resolve();

  /** Tells that this process is at work in `store`. `onStop` is called when `cortune cancel` asks for its end. */
  constructor(
    store: string,
    what: Pick<LiveProcess, 'kind' | 'study' | 'workers' | 'task'>,
    onStop?: (() => void) | undefined,
  ) {
    this.#folder = join(store, 'live');
    this.#path = join(this.#folder, ownedName('live'));
    this.#process = { owner: self, started: Date.now(), ...what };
    this.#onStop = onStop;
    this.#timer = setInterval(() => this.#beat(), kBeat).unref();
    this.#beat();
  }

  /** A batch begins, or, with undefined, nothing is computed for now. */
  batch(title: string, runs: readonly Run[]): void {
    const since = Date.now();
    this.#process.batch = {
      ...{ title, since, stage: '', done: 0, total: 0 },
      runs: runs.map(({ id }) => id),
      lanes: runs.map(({ labels }) => methodTitle(labels)),
      losses: runs.map(() => []),
    };
    [this.#every, this.#seen] = [1, 0];
    this.#beat();
  }

  idle(): void {
    this.#process.batch = undefined;
  }

  /** Cheap: only remembers. `values` are the losses of the lanes while they are tuned. */
  progress({ stage, done, total, values }: Progress): void {
    const { batch } = this.#process;
    if (!batch) return;
    Object.assign(batch, { stage, done, total });
    if (!values || values.length !== batch.losses.length || this.#seen++ % this.#every !== 0) return;
    for (const [k, value] of values.entries()) batch.losses[k]!.push(Number(value.toPrecision(5)));
    if (batch.losses[0]!.length < 2 * kPoints) return;
    batch.losses = batch.losses.map((lane) => lane.filter((_, i) => i % 2 === 0));
    this.#every *= 2;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    for (const path of [this.#path, `${this.#path}.stop`]) await rm(path, { force: true }).catch(() => {});
  }

  #beat(): void {
    if (existsSync(`${this.#path}.stop`)) this.#onStop?.();
    this.#writing = this.#writing.then(() => this.#write()).catch(() => {});
  }

  async #write(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeFile(`${this.#path}.new`, JSON.stringify(this.#process));
    await rename(`${this.#path}.new`, this.#path);
  }
}

/** The processes at work in a store, oldest first. What dead ones left is removed where that is allowed. */
export function liveProcesses(store: string): LiveProcess[] {
  return liveFiles(store).map(({ process }) => process);
}

/** Asks processes for which `which` is true to stop. Returns those asked. */
export async function askToStop(store: string, which: (process: LiveProcess) => boolean): Promise<LiveProcess[]> {
  const asked = liveFiles(store).filter(({ process }) => which(process));
  for (const { path } of asked) await writeFile(`${path}.stop`, '');
  return asked.map(({ process }) => process);
}

function liveFiles(store: string): { path: string; process: LiveProcess }[] {
  const folder = join(store, 'live');
  const found: { path: string; process: LiveProcess }[] = [];
  for (const name of namesIn(folder)) {
    const owner = ownerOf(name.replace(/\.(new|stop)$/, ''), 'live');
    if (!owner) continue;
    const path = join(folder, name);
    try {
      if (isDead(owner, Date.now() - statSync(path).mtimeMs, kExpiry)) rmSync(path, { force: true });
      else if (!/\.(new|stop)$/.test(name))
        found.push({ path, process: JSON.parse(readFileSync(path, 'utf8')) as LiveProcess });
    } catch {
      // It has just ended, or the store is for reading only.
    }
  }
  return found.sort((a, b) => a.process.started - b.process.started);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
