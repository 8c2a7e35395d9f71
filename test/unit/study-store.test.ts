/** The store: whole at every instant, shared by processes, the same table however often it was killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { self } from '../../lib/study/atomic.js';
import { Claims } from '../../lib/study/claims.js';
import { toCsv, toJson } from '../../lib/study/export.js';
import { contentId } from '../../lib/study/hash.js';
import { readResults, summarize } from '../../lib/study/results.js';
import { Store } from '../../lib/study/store.js';
import { fakePlan, fakeRecord, fakeRun, kStudy, runFake } from '../helpers/fake-study.js';

const root = mkdtempSync(join(tmpdir(), 'cortune-store-'));
const script = join(root, 'fake-study.mjs');
let count = 0;
const fresh = () => join(root, `store-${++count}`);

beforeAll(() => {
  const entry = new URL('../helpers/fake-study.ts', import.meta.url).pathname;
  buildSync({
    entryPoints: [entry],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: "import { createRequire as from } from 'node:module'; const require = from(import.meta.url);" },
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const hidden = (folder: string) =>
  ['', 'runs', 'claims', 'studies'].flatMap((part) =>
    readdirSync(join(folder, part)).filter((name) => name.startsWith('.')),
  );

function worker(
  folder: string,
  pace: number,
): { child: ChildProcess; ended: Promise<{ code: number | null; out: string }> } {
  const child = spawn(process.execPath, [script, '--run', folder, String(pace)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout!.on('data', (part) => {
    out += part;
  });
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, out }))) };
}

describe('the plan', () => {
  it('names runs by what decides their results, in any order of keys', async () => {
    expect(contentId({ a: 1, b: [2, { c: 3, d: undefined }] })).toBe(contentId({ b: [2, { c: 3 }], a: 1 }));
    expect(contentId({ a: 1 })).not.toBe(contentId({ a: '1' }));
    expect(() => contentId({ a: Number.NaN })).toThrow(TypeError);
    const [one, two] = [await fakePlan(), await fakePlan({ ...kStudy, name: 'other', description: 'words' })];
    expect(two.runs.map((run) => run.id)).toEqual(one.runs.map((run) => run.id));
  });

  it('changes the id with each thing that decides, and only the ids it touches', async () => {
    const ids = async (study: object) => (await fakePlan({ ...kStudy, ...study })).runs.map((run) => run.id);
    const base = await ids({});
    expect(new Set(base).size).toBe(base.length);
    const shared = async (study: object) => (await ids(study)).filter((id) => base.includes(id)).length;
    expect(await shared({ encode: { inner_folds: 4 } })).toBe(0);
    expect(await shared({ align: { delays: [1] } })).toBe(0);
    // Embedding leaves the control, tuning the untuned runs too.
    expect(await shared({ embed: { layers: [1] } })).toBe(1);
    expect(await shared({ tune: { steps: 3 } })).toBe(1 + 2 + 1);
    expect(await shared({ seeds: [0] })).toBe((await ids({ seeds: [0] })).length);
  });

  it('keeps lanes together and full runs alone', async () => {
    const { batches } = await fakePlan();
    const sizes = batches.map((batch) => `${batch.method} ${batch.runs.length}`);
    expect(sizes).toEqual([
      'word_rate 1',
      'untrained 1',
      'untrained 1',
      'untuned 1',
      'lora 3',
      'full 1',
      'full 1',
      'lora 3',
      'full 1',
      'full 1',
    ]);
  });
});

describe('the store', () => {
  it('keeps studies of any name apart, inside of itself', async () => {
    const store = await Store.open(fresh(), { create: true });
    const names = ['a/b', 'a_b', '../../../escape', '..', '<script>alert(1)</script>', 'CON', 'x'.repeat(80), '名'];
    for (const name of names) await store.saveStudy({ format: 1, name, file: '', text: name, runs: [] });
    expect((await store.studies()).map(({ name }) => name).sort()).toEqual([...names].sort());
    for (const file of readdirSync(join(store.folder, 'studies'))) expect(file).toMatch(/^[\w-][\w.-]*\.json$/);
  });

  it('gives back what was put in, exactly', async () => {
    const folder = fresh();
    await runFake(folder);
    const plan = await fakePlan();
    const store = await Store.open(folder);
    const run = plan.runs.find((each) => each.labels.method === 'lora')!;
    const made = fakeRun(run);
    expect(await store.scores(run.id)).toEqual(made.scores);
    expect(await store.losses(run.id)).toEqual(made.losses);
    expect((await store.run(run.id))?.key).toEqual(run.key);
    expect(readFileSync(store.path(run.id, 'adapter', 'adapter_config.json'), 'utf8')).toContain(run.id);
    expect(hidden(folder)).toEqual([]);
    expect(readdirSync(join(folder, 'claims'))).toEqual([]);
  });

  it('records failures and goes on; a second run reuses all, --retry-failed computes the failed ones', async () => {
    const folder = fresh();
    await runFake(folder);
    const { rows } = summarize(await readResults(folder));
    expect(rows.filter((row) => row.status === 'failed').map((row) => [row.method, row.error])).toEqual([
      ['full lr 1e-4', 'Expected a finite loss, got NaN at step 3.'],
      ['full lr 1e-4', 'Expected a finite loss, got NaN at step 3.'],
    ]);
    const again: string[] = [];
    await runFake(folder, { onBatch: (batch) => again.push(batch.method) });
    expect(again).toEqual([]);
    await runFake(folder, { retryFailed: true, onBatch: (batch) => again.push(batch.method) });
    expect(again).toEqual(['full', 'full']);
  });

  it('overwrites nothing without force', async () => {
    const folder = fresh();
    await runFake(folder);
    const store = await Store.open(folder);
    const run = (await fakePlan()).runs[0]!;
    const before = readFileSync(store.path(run.id, 'run.json'), 'utf8');
    const other = { ...fakeRun(run), record: { ...fakeRecord(run), created: 'later' } };
    await store.commit([other]);
    expect(readFileSync(store.path(run.id, 'run.json'), 'utf8')).toBe(before);
    await store.commit([other], { replace: true });
    expect((await store.run(run.id))?.created).toBe('later');
    expect(hidden(folder)).toEqual([]);
  });

  it('writes all of a batch or nothing of it', async () => {
    const folder = fresh();
    const store = await Store.open(folder, { create: true });
    const [a, b] = (await fakePlan()).runs;
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const broken = { ...fakeRun(b!), saveAdapter: () => Promise.reject(full) };
    await expect(store.commit([fakeRun(a!), broken])).rejects.toThrow(
      /the disk is full\. Free some space and run again/,
    );
    expect(await store.runs()).toEqual([]);
    expect(hidden(folder)).toEqual([]);
  });

  it('finishes what a dead process committed and removes what it was still writing', async () => {
    const folder = fresh();
    await runFake(folder);
    const store = await Store.open(folder);
    const expected = toCsv(await readResults(folder));
    const dead = `${self.host}-999999999-1`;
    const [id] = (await store.runs()).filter((run) => run.status === 'done').map((run) => run.id);
    mkdirSync(join(folder, `.ready-${dead}-00000000`));
    renameSync(store.path(id!), join(folder, `.ready-${dead}-00000000`, id!));
    mkdirSync(join(folder, `.writing-${dead}-00000001`, 'x'), { recursive: true });
    writeFileSync(join(folder, 'studies', `.tmp-${dead}-00000002`), 'half');
    expect(toCsv(await readResults(folder))).toBe(expected);
    expect(hidden(folder)).toEqual([]);
  });

  it('refuses a folder with other things, and an empty one without create', async () => {
    const folder = fresh();
    mkdirSync(folder);
    await expect(Store.open(folder)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    writeFileSync(join(folder, 'thesis.tex'), '');
    await expect(Store.open(folder, { create: true })).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  });

  it('says which file is damaged', async () => {
    const folder = fresh();
    await runFake(folder);
    const store = await Store.open(folder);
    const [run] = (await store.runs()).filter((each) => each.status === 'done');
    writeFileSync(store.path(run!.id, 'scores.json'), '{"layers": [0');
    await expect(readResults(folder)).rejects.toThrow(/Expected .*scores\.json to be whole/);
  });

  it('keeps the names of studies inside', async () => {
    const folder = fresh();
    const store = await Store.open(folder, { create: true });
    await store.saveStudy({ format: 1, name: '../../evil', file: '', text: '', runs: [] });
    expect(readdirSync(join(folder, 'studies'))).toEqual(['__.._evil-fb5ac065.json']);
    expect((await store.studies())[0]?.name).toBe('../../evil');
  });
});

describe('claims', () => {
  it('are held by one, and given back', async () => {
    const folder = fresh();
    const [one, two] = [await Claims.open(folder), await Claims.open(folder)];
    expect(await one.takeAll(['a', 'b'])).toBe(true);
    expect(await two.takeAll(['c', 'b'])).toBe(false);
    expect(await one.takeAll(['c'])).toBe(true);
    await one.release(['a', 'b', 'c']);
    expect(await two.takeAll(['a', 'b', 'c'])).toBe(true);
    await two.release(['a', 'b', 'c']);
  });

  it('of dead processes and silent hosts expire', async () => {
    const folder = fresh();
    const claims = await Claims.open(folder);
    const path = (id: string) => join(folder, 'claims', id);
    writeFileSync(path('dead'), JSON.stringify({ host: self.host, pid: 999999999, start: '1' }));
    writeFileSync(path('away'), JSON.stringify({ host: 'elsewhere', pid: 1, start: '1' }));
    writeFileSync(path('torn'), '{"ho');
    expect(await claims.takeAll(['dead'])).toBe(true);
    expect(await claims.takeAll(['away'])).toBe(false);
    expect(await claims.takeAll(['torn'])).toBe(false);
    const past = new Date(Date.now() - 120_000);
    for (const id of ['away', 'torn']) utimesSync(path(id), past, past);
    expect(await claims.takeAll(['away', 'torn'])).toBe(true);
    await claims.release(['dead', 'away', 'torn']);
  });
});

describe('many at once', () => {
  it('take a dead claim once', async () => {
    const folder = fresh();
    const ids = Array.from({ length: 40 }, (_, i) => `run${i}`);
    const all = await Promise.all(Array.from({ length: 8 }, () => Claims.open(folder)));
    for (const id of ids) {
      const dead = { host: self.host, pid: 999999999, start: '1' };
      writeFileSync(join(folder, 'claims', id), JSON.stringify(dead));
    }
    const winners = await Promise.all(
      ids.map(async (id) => (await Promise.all(all.map((each) => each.takeAll([id])))).filter(Boolean).length),
    );
    // Now and then nobody: those that came second gave way, and look again later. Never two.
    expect(Math.max(...winners)).toBe(1);
    for (const each of all) await each.release(ids);
    expect(readdirSync(join(folder, 'claims'))).toEqual([]);
  });

  it('look past a lock that a killed process left', async () => {
    const folder = fresh();
    const claims = await Claims.open(folder);
    const dead = JSON.stringify({ host: self.host, pid: 999999999, start: '1' });
    for (const name of ['run', '.taking-run']) writeFileSync(join(folder, 'claims', name), dead);
    expect(await claims.takeAll(['run'])).toBe(false); // ends the lock
    expect(await claims.takeAll(['run'])).toBe(true);
    await claims.release(['run']);
    writeFileSync(join(folder, 'claims', '.taking-run'), dead);
    await Claims.open(folder);
    expect(readdirSync(join(folder, 'claims'))).toEqual([]);
  });

  it('do not trust the clock of the machine for claims of others', async () => {
    const folder = fresh();
    const claims = await Claims.open(folder);
    const path = join(folder, 'claims', 'away');
    writeFileSync(path, JSON.stringify({ host: 'elsewhere', pid: 1, start: '1' }));
    const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000);
    expect(await claims.takeAll(['away'])).toBe(false);
    now.mockRestore();
  });
});

describe('killed at any moment', () => {
  // Fifty where there is time for them.
  const kKills = process.env.CI ? 50 : 10;
  it(`ends with the same table after ${kKills} kills`, async () => {
    const quiet = fresh();
    await runFake(quiet);
    const expected = toCsv(await readResults(quiet));
    const folder = fresh();
    let kills = 0;
    for (let round = 0; kills < kKills && round < 6 * kKills; round++) {
      const { child, ended } = worker(folder, 8);
      const timer = setTimeout(() => child.kill('SIGKILL'), 60 + Math.random() * 160);
      const { code } = await ended;
      clearTimeout(timer);
      if (code === null) kills++;
      else rmSync(join(folder, 'runs'), { recursive: true });
    }
    expect(kills).toBe(kKills);
    const { code } = await worker(folder, 0).ended;
    expect(code).toBe(0);
    expect(toCsv(await readResults(folder))).toBe(expected);
    expect(hidden(folder)).toEqual([]);
  }, 300_000);

  it('two processes on one store never compute a run twice, and a killed one is replaced', async () => {
    const folder = fresh();
    const workers = [worker(folder, 40), worker(folder, 40), worker(folder, 40)];
    setTimeout(() => workers[2]!.child.kill('SIGKILL'), 250);
    const done = await Promise.all(workers.map((each) => each.ended));
    expect(done.slice(0, 2).map(({ code }) => code)).toEqual([0, 0]);
    const lines = done.flatMap(({ out }) => out.split('\n')).filter((line) => / (done|failed) /.test(line));
    const computed = lines.flatMap((line) => line.split(' ').slice(2));
    expect(new Set(computed).size).toBe(computed.length);
    const quiet = fresh();
    await runFake(quiet);
    expect(toCsv(await readResults(folder))).toBe(toCsv(await readResults(quiet)));
  }, 60_000);

  it('Ctrl-C keeps what is complete', async () => {
    const folder = fresh();
    const controller = new AbortController();
    const run = runFake(folder, { pace: 20, signal: controller.signal, onBatch: () => controller.abort() });
    await expect(run).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    const store = await Store.open(folder);
    expect(await store.runs()).toHaveLength(1);
    expect(readdirSync(join(folder, 'claims'))).toEqual([]);
  });
});

describe('export', () => {
  it('is the same text whatever the order of writing and the times', async () => {
    const [one, two] = [fresh(), fresh()];
    await runFake(one);
    await runFake(two, { pace: 1 });
    await runFake(two, { force: true });
    expect(toCsv(await readResults(one))).toBe(toCsv(await readResults(two)));
    expect(toJson(await readResults(one))).toBe(toJson(await readResults(two)));
    const rows = JSON.parse(toJson(await readResults(one))) as { r: number; layer: number }[];
    const lines = toCsv(await readResults(one))
      .trimEnd()
      .split('\n');
    expect(lines).toHaveLength(rows.length + 1);
    expect(lines[0]).toBe(
      'run,model,method,lr,rank,seed,layer,target,subject,roi,r,r2,alpha,ceiling,r_over_ceiling,r_fold_1,r_fold_2,r_fold_3,r_fold_4,r_fold_5',
    );
    expect(lines[1]).toMatch(/^[0-9a-f]{20},,word_rate,,,,0,mean:LATL,mean,LATL,-?0\.\d{6},/);
  });
});
