/** Manifests, `cortune verify` and `cortune gc`: every kind of damage is named, and freeing leaves a store that is whole. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toCsv } from '../../lib/study/export.js';
import { collectGarbage } from '../../lib/study/gc.js';
import { readManifest } from '../../lib/study/manifest.js';
import { openStore } from '../../lib/study/open.js';
import { readResults, summarize } from '../../lib/study/results.js';
import { Store } from '../../lib/study/store.js';
import { verifyStore } from '../../lib/study/verify.js';
import { runFake } from '../helpers/fake-study.js';
import { temporaryFolder } from '../helpers/temporary.js';

const root = temporaryFolder();
let count = 0;

async function fakeStore(): Promise<{ folder: string; ids: string[] }> {
  const folder = join(root, `store-${++count}`);
  await runFake(folder);
  return { folder, ids: readdirSync(join(folder, 'runs')).sort() };
}

describe('verify', () => {
  it('finds a store whole as it was written, and counts what it read', async () => {
    const { folder, ids } = await fakeStore();
    const found = await verifyStore(folder);
    expect(found).toMatchObject({ ok: true, runs: ids.length, problems: [], missing: 0 });
    const manifest = await readManifest(join(folder, 'runs', ids[0]!));
    expect(manifest.files.map(({ path }) => path)).toContain('run.json');
    expect(found.files).toBeGreaterThan(2 * ids.length);
  });

  it.each<[string, RegExp, (run: string) => void]>([
    ['a flipped bit', /scores\.json: .*checksum differs/, (run) => flip(join(run, 'scores.json'))],
    ['a line more', /run\.json: it has \d+ bytes instead of \d+/, (run) => appendFileSync(join(run, 'run.json'), '\n')],
    ['a lost file', /run\.json: it is not there/, (run) => rmSync(join(run, 'run.json'))],
    ['a stranger', /adapter\/x: the manifest does not know/, (run) => stranger(run)],
    [
      'a flipped bit in the manifest',
      /manifest\.json: .*not as it was written/,
      (run) => flip(join(run, 'manifest.json')),
    ],
    ['a lost manifest', /manifest\.json: there is no manifest/, (run) => rmSync(join(run, 'manifest.json'))],
    ['a link', /scores\.json: a link or device/, (run) => link(run)],
  ])('names %s', async (_, says, damage) => {
    const { folder, ids } = await fakeStore();
    const done = ids.find((id) => existsSync(join(folder, 'runs', id, 'scores.json')))!;
    damage(join(folder, 'runs', done));
    const { ok, problems } = await verifyStore(folder);
    expect(ok).toBe(false);
    expect(problems).toHaveLength(1);
    expect(problems[0]!.run).toBe(done);
    expect(`${problems[0]!.path}: ${problems[0]!.what}`).toMatch(says);
  });

  it('says what can be said of runs of an older cortune, without manifests', async () => {
    const { folder, ids } = await fakeStore();
    for (const id of ids) rmSync(join(folder, 'runs', id, 'manifest.json'));
    const done = ids.find((id) => existsSync(join(folder, 'runs', id, 'scores.json')))!;
    writeFileSync(join(folder, 'runs', done, 'scores.json'), '{');
    const { ok, problems } = await verifyStore(folder);
    expect(ok).toBe(false);
    expect(problems).toHaveLength(ids.length + 1);
    expect(problems.filter(({ what }) => what.startsWith('there is no manifest.json'))).toHaveLength(ids.length);
    expect(problems.find(({ path }) => path.endsWith('scores.json'))).toMatchObject({ run: done });
  });

  it('sees a run under the name of another, a folder that is no run, and a torn study', async () => {
    const { folder, ids } = await fakeStore();
    renameSync(join(folder, 'runs', ids[0]!), join(folder, 'runs', '0'.repeat(20)));
    mkdirSync(join(folder, 'runs', 'notes'));
    writeFileSync(join(folder, 'studies', 'fake.json'), '{"runs": [');
    const { problems } = await verifyStore(folder);
    expect(problems.map(({ what }) => what)).toEqual([
      expect.stringMatching(/something else than its name says/),
      expect.stringMatching(/no run/),
      expect.stringMatching(/not whole JSON/),
    ]);
  });
});

it('verify, gc and queries stop when they are told to', async () => {
  const { folder } = await fakeStore();
  const signal = AbortSignal.abort();
  const store = await openStore(folder);
  await expect(store.verify({ signal })).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  await expect(store.gc({ keep: 'none', signal })).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  await expect(store.query('from runs', { signal })).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  expect(adapters(folder)).toHaveLength(6);
});

describe('gc', () => {
  it('keeps the adapters of the best runs, scores stay, and the store is whole', async () => {
    const { folder } = await fakeStore();
    const before = toCsv(await readResults(folder));
    const lora = summarize(await readResults(folder)).rows.filter(({ method }) => method.startsWith('lora'));
    const best = lora.reduce((a, b) => (b.bestR > a.bestR ? b : a)).run;
    const would = await collectGarbage(folder, { keep: 'best', dryRun: true });
    expect(would).toHaveLength(5);
    expect(adapters(folder)).toHaveLength(6);
    expect(await collectGarbage(folder, { keep: 'best' })).toEqual(would);
    expect(adapters(folder)).toEqual([best]);
    expect(await verifyStore(folder)).toMatchObject({ ok: true });
    expect(toCsv(await readResults(folder))).toBe(before);
    const { freed } = await readManifest(join(folder, 'runs', would[0]!.run));
    expect(freed.map(({ path }) => path)).toEqual(would[0]!.files);
    expect(await collectGarbage(folder, { keep: 'best' })).toEqual([]);
  });

  it('goes by age, and asks for a rule', async () => {
    const { folder } = await fakeStore();
    expect(await collectGarbage(folder, { olderThan: 3_600_000 })).toEqual([]);
    expect(await collectGarbage(folder, { olderThan: 0, what: ['embeddings'] })).toEqual([]);
    await expect(collectGarbage(folder, {})).rejects.toThrow(/Expected `keep` to be `best` or `none`/);
    expect(await collectGarbage(folder, { olderThan: 0 })).toHaveLength(6);
    expect(adapters(folder)).toEqual([]);
  });

  it('killed between the manifest and the removal, is finished by the next one; verify passes meanwhile', async () => {
    const { folder } = await fakeStore();
    const [id] = adapters(folder);
    const run = join(folder, 'runs', id!);
    const config = join(run, 'adapter', 'adapter_config.json');
    const text = readFileSync(config, 'utf8');
    await collectGarbage(folder, { keep: 'none' });
    mkdirSync(join(run, 'adapter'));
    writeFileSync(config, text);
    expect(await verifyStore(folder)).toMatchObject({ ok: true });
    await collectGarbage(folder, { keep: 'none' });
    expect(adapters(folder)).toEqual([]);
    expect((await (await Store.open(folder)).run(id!))?.status).toBe('done');
  });
});

function adapters(folder: string): string[] {
  return readdirSync(join(folder, 'runs'))
    .filter((id) => existsSync(join(folder, 'runs', id, 'adapter')))
    .sort();
}

function flip(path: string): void {
  const content = readFileSync(path);
  content[content.length >> 1]! ^= 1;
  writeFileSync(path, content);
}

function stranger(run: string): void {
  mkdirSync(join(run, 'adapter'), { recursive: true });
  writeFileSync(join(run, 'adapter', 'x'), '');
}

function link(run: string): void {
  const path = join(run, 'scores.json');
  renameSync(path, `${run}.elsewhere`);
  symlinkSync(`${run}.elsewhere`, path);
  // What the link points to lies outside of `runs/`.
  renameSync(`${run}.elsewhere`, join(run, '..', '..', 'elsewhere.json'));
}
