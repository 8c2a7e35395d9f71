/** The local engine: workers share the batches by memory, one that dies is replaced, Ctrl-C ends all at once. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkWorkers, shares } from '../../lib/study/capacity.js';
import { toCsv } from '../../lib/study/export.js';
import { liveProcesses } from '../../lib/study/live.js';
import { type LocalOptions, runLocal } from '../../lib/study/local.js';
import { pendingJobs } from '../../lib/study/loop.js';
import { kFormat } from '../../lib/study/records.js';
import { readResults } from '../../lib/study/results.js';
import { Store } from '../../lib/study/store.js';
import { fakePlan, fakeRecord, runFake } from '../helpers/fake-study.js';

const root = mkdtempSync(join(tmpdir(), 'cortune-local-'));
const entry = pathToFileURL(join(root, 'fake-worker.mjs'));
let count = 0;
const fresh = () => join(root, `store-${++count}`);

beforeAll(() => {
  buildSync({
    entryPoints: [new URL('../helpers/fake-worker.ts', import.meta.url).pathname],
    outfile: entry.pathname,
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: "import { createRequire as from } from 'node:module'; const require = from(import.meta.url);" },
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Works through the fake study in workers; `fake` is what the workers read in CORTUNE_FAKE. */
async function run(folder: string, fake: string, options: Partial<LocalOptions> & { workers?: number } = {}) {
  const plan = await fakePlan();
  const store = await Store.open(folder, { create: true });
  const runs = plan.runs.map((each) => each.id);
  await store.saveStudy({ format: kFormat, name: 'fake', file: 'fake.yaml', text: plan.study.text, runs });
  process.env.CORTUNE_FAKE = fake;
  const { workers = 2, ...others } = options;
  await runLocal(store, await pendingJobs(store, plan, {}), {
    shares: { workers, threads: 3, gpus: [] },
    memory: 100,
    cost: (batch) => 10 * batch.runs.length,
    place: () => '',
    study: {
      out: folder,
      study: plan.study,
      models: new Map(),
      dataRoot: undefined,
      dataHashes: [],
      force: false,
      retryFailed: false,
    },
    failed: (each, _, error) => ({ record: { ...fakeRecord(each, 'failed'), error } }),
    entry,
    ...others,
  });
  return store;
}

async function quiet(): Promise<string> {
  const folder = fresh();
  await runFake(folder);
  return toCsv(await readResults(folder));
}

describe('workers', () => {
  it('give the table of a single process, with the threads they were given', async () => {
    const folder = fresh();
    const stages = new Set<string>();
    await run(folder, '5', { onProgress: ({ stage }) => void stages.add(stage) });
    expect(toCsv(await readResults(folder))).toBe(await quiet());
    expect([...stages]).toEqual(['threads 3']);
    expect(readdirSync(join(folder, 'claims'))).toEqual([]);
    expect(readdirSync(join(folder, 'live'))).toEqual([]);
  });

  it('never hold more in flight than there is memory, except for one batch alone', async () => {
    for (const [memory, together] of [
      [25, 2],
      [5, 1],
    ]) {
      const folder = fresh();
      let most = 0;
      const look = setInterval(() => {
        most = Math.max(most, liveProcesses(folder).filter(({ batch }) => batch).length);
      }, 20);
      const sizes: number[] = [];
      await run(folder, '60', { workers: 3, memory: memory!, onBatch: (batch) => void sizes.push(batch.runs.length) });
      clearInterval(look);
      expect(most).toBeLessThanOrEqual(together!);
      // Three lanes take 30: they are divided.
      expect(Math.max(...sizes)).toBe(together);
    }
  });

  it('that die are replaced, and the table is the same', async () => {
    const folder = fresh();
    const deaths = join(root, `deaths-${count}`);
    const notes: string[] = [];
    await run(folder, `1 lora:1:${deaths}`, { note: (line) => void notes.push(line) });
    expect(readFileSync(deaths, 'utf8')).toBe('x');
    expect(notes).toEqual([expect.stringMatching(/^A worker died while it computed tiny-1 lora lr 1e-4 .*SIGKILL\.$/)]);
    expect(toCsv(await readResults(folder))).toBe(await quiet());
    expect(readdirSync(join(folder, 'claims'))).toEqual([]);
  });

  it('that die of the same run every time are recorded as its failure, and the others go on', async () => {
    const folder = fresh();
    const store = await run(folder, `1 untuned:99:${join(root, `deaths-${count}`)}`);
    const failed = (await store.runs()).filter(({ labels }) => labels.method === 'untuned');
    expect(failed.map(({ status, error }) => [status, error?.code])).toEqual([['failed', 'ERR_MEMORY']]);
    expect(failed[0]!.error!.message).toMatch(/2 times it was ended by SIGKILL .*Try again with --retry-failed/);
    expect(await store.runs()).toHaveLength((await fakePlan()).runs.length);
  });

  it('that cannot start end the study with a sentence, and no run is blamed', async () => {
    const folder = fresh();
    const broken = join(root, 'broken.mjs');
    writeFileSync(broken, "throw new Error('no such library');\n");
    await expect(run(folder, '1', { entry: pathToFileURL(broken) })).rejects.toMatchObject({
      code: 'ERR_SETUP',
      message: expect.stringMatching(
        /^Expected a worker process to start, and it ended with exit code 1.*cortune doctor/,
      ),
    });
    expect(await (await Store.open(folder)).runs()).toEqual([]);
  });

  it('stop within two seconds, and what is complete stays', async () => {
    const folder = fresh();
    const controller = new AbortController();
    let stopped = 0;
    const onBatch = () => {
      stopped ||= Date.now();
      controller.abort();
    };
    await expect(run(folder, '300', { signal: controller.signal, onBatch })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
    expect(Date.now() - stopped).toBeLessThan(2000);
    const store = await Store.open(folder);
    expect((await store.runs()).length).toBeGreaterThanOrEqual(1);
    expect(readdirSync(join(folder, 'claims'))).toEqual([]);
  });
});

describe('shares of a machine', () => {
  const one = { batches: 100, largest: 1e9 };
  it.each([
    ['one worker on few cores', { cores: 2, memory: 8e9, gpus: [] }, one, undefined, [1, 2, 0]],
    ['one for every eight cores', { cores: 32, memory: 64e9, gpus: [] }, one, undefined, [4, 8, 0]],
    ['no more than fit into memory', { cores: 32, memory: 2.5e9, gpus: [] }, one, undefined, [2, 16, 0]],
    [
      'no more than there are batches',
      { cores: 32, memory: 64e9, gpus: [] },
      { ...one, batches: 3 },
      undefined,
      [3, 10, 0],
    ],
    ['one for each GPU', { cores: 16, memory: 64e9, gpus: ['0', '1'] }, one, undefined, [2, 8, 2]],
    ['a single GPU is left to one', { cores: 4, memory: 64e9, gpus: ['0'] }, one, undefined, [1, 4, 0]],
    ['what is asked for', { cores: 2, memory: 8e9, gpus: [] }, one, 2, [2, 1, 0]],
  ] as const)('%s', (_, machine, work, asked, [workers, threads, gpus]) => {
    const split = shares({ ...machine, gpus: [...machine.gpus] }, work, asked);
    expect([split.workers, split.threads, split.gpus.length]).toEqual([workers, threads, gpus]);
  });

  it('need a count', () => {
    for (const wrong of [-1, 1.5, Number.NaN, 5000])
      expect(() => checkWorkers(wrong)).toThrow(/`workers` to be an integer from 0 to 1024/);
  });
});
