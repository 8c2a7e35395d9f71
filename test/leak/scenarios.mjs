// What a process does in one teardown scenario: `node scenarios.mjs NAME JOB`. Prints what the test looks for; a crash is a signal.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { jobs, makeModel } from './work.mjs';

const self = fileURLToPath(import.meta.url);

/** Starts a job and returns it once it has truly begun. */
async function begin(kind) {
  const model = await makeModel();
  let begun;
  const started = new Promise((resolve) => {
    begun = resolve;
  });
  const job = jobs[kind](model, () => begun());
  const ended = job.promise.then(() => {
    throw new Error('the job ended before the scenario began');
  });
  ended.catch(() => {});
  await Promise.race([started, ended]);
  return { job, model };
}

async function startWorker(kind) {
  const worker = new Worker(self, { workerData: { kind } });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return worker;
}

const scenarios = {
  /** The exit code is kept. */
  async exit(kind) {
    await begin(kind);
    process.exit(7);
  },
  /** An error nobody catches ends the process as ever. */
  async throw(kind) {
    await begin(kind);
    setImmediate(() => {
      throw new Error('thrown in mid-job');
    });
    await sleep(60_000);
  },
  /** Two workers at once, ended in mid-job, again and again; then the main thread works. */
  async terminate(kind) {
    for (let round = 0; round < 3; round++) {
      const workers = await Promise.all([startWorker(kind), startWorker(kind)]);
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    const model = await makeModel();
    model.dispose();
    console.log('worked after');
  },
  /** The job stops soon, says so, and the next one works. */
  async cancel(kind) {
    const { job, model } = await begin(kind);
    const start = Date.now();
    job.cancel();
    const code = await job.promise.then(
      () => 'done',
      (error) => error.code,
    );
    model.dispose();
    const next = await makeModel();
    next.dispose();
    console.log(JSON.stringify({ code, ms: Date.now() - start }));
  },
  /** A model disposed while a job uses it: the job ends well or says so; nothing crashes. */
  async dispose(kind) {
    const { job, model } = await begin(kind);
    model.dispose();
    await sleep(300);
    job.cancel();
    await job.promise.catch(() => {});
    console.log('worked after');
  },
  /** Resident memory after many models made and disposed, against after a few. */
  async disposed() {
    const grow = async (count) => {
      for (let i = 0; i < count; i++) (await makeModel()).dispose();
      return process.memoryUsage().rss;
    };
    const before = await grow(5);
    const after = await grow(30);
    console.log(JSON.stringify({ grown: after - before }));
  },
  /** The same where nobody disposes: the garbage collector knows what the handles weigh. */
  async forgotten() {
    const grow = async (count) => {
      for (let i = 0; i < count; i++) {
        await makeModel();
        await sleep(1);
      }
      return process.memoryUsage().rss;
    };
    const before = await grow(5);
    const after = await grow(60);
    console.log(JSON.stringify({ grown: after - before }));
  },
};

if (isMainThread) {
  const [name, kind] = process.argv.slice(2);
  await scenarios[name](kind);
} else {
  await begin(workerData.kind);
  parentPort.postMessage('begun');
  await sleep(60_000);
}
