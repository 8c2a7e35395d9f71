/** Native jobs as promises: cancelled by an AbortSignal, with progress, with errors that point to the caller. */
import { CortuneError, codeOf } from '../errors.js';
import type { Job, OnProgress, Progress } from './types.js';

/** Options of every long call. */
export interface JobOptions {
  /** Stops the work within about 100 ms; the promise rejects with ERR_CANCELLED. */
  signal?: AbortSignal | undefined;
  /** Called now and then on the event loop; never slows the work. What it throws stops the work and rejects the promise. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** A native error as ours: same code and sentence, the stack of the caller; wrong arguments stay TypeErrors. */
function adopt(error: unknown, stack: string | undefined, ours: Set<unknown>): unknown {
  if (ours.has(error) || !(error instanceof Error)) return error;
  const code = codeOf(error);
  const adopted =
    code === 'ERR_ARGUMENT'
      ? Object.assign(new TypeError(error.message), { code })
      : new CortuneError(code, error.message, { cause: error });
  if (stack) adopted.stack = `${adopted.name} [${code}]: ${adopted.message}${stack}`;
  return adopted;
}

function callerStack(): string | undefined {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, runJob);
  const stack = holder.stack ?? '';
  const frames = stack.indexOf('\n');
  return frames < 0 ? undefined : stack.slice(frames);
}

/** Starts a native job and follows it to its end. `start` is given the native progress callback. */
export async function runJob<T>(start: (onProgress: OnProgress) => Job<T>, options: JobOptions = {}): Promise<T> {
  const { signal, onProgress } = options;
  const stack = callerStack();
  if (signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
  // An error thrown by the caller's own callback comes back as it is.
  const ours = new Set<unknown>();
  const report: OnProgress =
    onProgress &&
    ((progress) => {
      try {
        onProgress(progress);
      } catch (error) {
        ours.add(error);
        throw error;
      }
    });
  try {
    const job = start(report);
    const cancel = () => job.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await job.promise;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  } catch (error) {
    throw adopt(error, stack, ours);
  }
}
