/** A worker process whose engine is arithmetic. CORTUNE_FAKE: pace in ms a run, then `METHOD:TIMES:FILE`, a method that ends the process so many times. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveWorker } from '../../lib/study/worker.js';
import { fakeRecord, fakeRun } from './fake-study.js';

const [pace, deadly] = (process.env.CORTUNE_FAKE ?? '0').split(' ');

function maybeDie(method: string): void {
  const [which, times, file] = deadly?.split(':') ?? [];
  if (method !== which) return;
  if (existsSync(file!) && readFileSync(file!, 'utf8').length >= Number(times)) return;
  appendFileSync(file!, 'x');
  process.kill(process.pid, 'SIGKILL');
}

serveWorker(async (_, { signal, onProgress }) => ({
  compute: async (batch) => {
    maybeDie(batch.method);
    onProgress?.({ stage: `threads ${process.env.OMP_NUM_THREADS}`, done: 1, total: 1 });
    await sleep(Number(pace) * batch.runs.length, undefined, { signal });
    return { runs: batch.runs.map((run) => fakeRun(run)), dispose: () => {} };
  },
  failed: (run, _, error) => ({ record: { ...fakeRecord(run, 'failed'), error } }),
  [Symbol.dispose]: () => {},
}));
