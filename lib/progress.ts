/** Progress of a long call as an async iterator, for those who would rather loop than pass a callback. */
import type { JobOptions } from './native/jobs.js';
import type { Progress } from './native/types.js';

/** A call under way: iterate it for its progress, await `result` for what it comes to. */
export interface Followed<T> extends AsyncIterable<Progress> {
  result: Promise<T>;
}

/**
 * Starts a long call and gives its progress step by step:
 *
 *     const tuning = follow((options) => tune(model, texts, { ...options, steps: 100 }));
 *     for await (const { done, total } of tuning) console.log(done, total);
 *     const { lanes } = await tuning.result;
 *
 * The loop ends when the call ends, and throws what it throws. Reports that come while the loop's body runs become one, the latest: the call
 * never waits for the loop. Leaving the loop early (`break`) cancels the call, and `result` rejects with ERR_CANCELLED.
 * @param options `signal` cancels from outside, too.
 */
export function follow<T>(
  start: (options: Required<JobOptions>) => Promise<T>,
  { signal }: Pick<JobOptions, 'signal'> = {},
): Followed<T> {
  const stop = new AbortController();
  let latest: Progress | undefined;
  let ended = false;
  let wake: () => void = () => {};
  const result = start({
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
    onProgress: (progress) => {
      latest = progress;
      wake();
    },
  });
  const end = result.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  void end.then(() => {
    ended = true;
    wake();
  });

  async function* reports(): AsyncGenerator<Progress, void, undefined> {
    try {
      for (;;) {
        while (latest === undefined && !ended)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        if (latest === undefined) break;
        const progress = latest;
        latest = undefined;
        yield progress;
      }
    } finally {
      if (!ended) stop.abort();
    }
    const failure = await end;
    if (failure) throw failure.error;
  }
  return { result, [Symbol.asyncIterator]: reports };
}
