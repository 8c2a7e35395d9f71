/** The parent's side of a worker process: start it, send it a batch, notice its end. */
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CortuneError, type ErrorCode } from '../errors.js';
import type { Progress } from '../native/types.js';
import type { Job, Outcome } from './loop.js';
import type { FromWorker, ToWorker, WorkerStudy } from './worker.js';

const kPatience = 2_000; // ms that a worker is given to stop
const kTail = 2_000; // characters of its stderr that are kept

/** A worker that ended without being asked to. */
export class WorkerDied extends Error {
  constructor(
    readonly signal: string | null,
    /** The last lines that it wrote. */
    readonly said: string,
    code: number | null,
  ) {
    super(signal ? `it was ended by ${signal}` : `it ended with exit code ${code}`);
  }
}

export interface WorkerOptions {
  /** The program; tests have their own. */
  entry: URL;
  study: WorkerStudy;
  env: Record<string, string>;
  onProgress(progress: Progress): void;
}

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<WorkerDied>;
  #answer: { resolve(outcome: Outcome | undefined): void; reject(error: unknown): void } | undefined;

  private constructor({ entry, env, onProgress }: WorkerOptions) {
    this.#child = fork(entry, [], {
      env: { ...process.env, ...env },
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-kTail);
    });
    this.#child.on('message', (message) => this.#hear(message as FromWorker, onProgress));
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(new WorkerDied(null, error.message, null)));
      this.#child.on('exit', (code, signal) => resolve(new WorkerDied(signal, said, code)));
    });
    void this.#ended.then((died) => this.#settle((waiting) => waiting.reject(died)));
  }

  /** Resolves when the worker has read the data. Rejects with what the worker throws, or WorkerDied. */
  static async start(options: WorkerOptions): Promise<WorkerProcess> {
    const worker = new WorkerProcess(options);
    try {
      await worker.#ask({ kind: 'start', study: options.study });
      return worker;
    } catch (error) {
      await worker.stop();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves when the batch is in the store, or another process holds it. Rejects with what ends the study, or WorkerDied. */
  async compute(job: Job, place: string): Promise<Outcome> {
    return (await this.#ask({ kind: 'compute', job, place }))!;
  }

  /** Ends the worker: what it computes is given up. */
  async stop(): Promise<void> {
    this.#tell({ kind: 'stop' });
    const patience = new AbortController();
    const late = sleep(kPatience, 'late', { signal: patience.signal }).catch(() => '');
    if ((await Promise.race([this.#ended, late])) === 'late') this.#child.kill('SIGKILL');
    patience.abort();
    await this.#ended;
  }

  /** Asks the worker to give up what it computes; its answer is then ERR_CANCELLED. */
  interrupt(): void {
    this.#tell({ kind: 'stop' });
  }

  #tell(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => {}); // it may be ending at this moment; 'exit' says so
  }

  #ask(message: ToWorker): Promise<Outcome | undefined> {
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject };
      if (!this.#child.connected) void this.#ended.then((died) => this.#settle((waiting) => waiting.reject(died)));
      this.#tell(message);
    });
  }

  #hear(message: FromWorker, onProgress: (progress: Progress) => void): void {
    if (message.kind === 'progress') onProgress(message.progress);
    else if (message.kind === 'ready') this.#settle((waiting) => waiting.resolve(undefined));
    else if (message.kind === 'outcome') this.#settle((waiting) => waiting.resolve(message.outcome));
    else this.#settle((waiting) => waiting.reject(new CortuneError(message.code as ErrorCode, message.message)));
  }

  #settle(how: (waiting: { resolve(outcome: Outcome | undefined): void; reject(error: unknown): void }) => void): void {
    const waiting = this.#answer;
    this.#answer = undefined;
    if (waiting) how(waiting);
  }
}
