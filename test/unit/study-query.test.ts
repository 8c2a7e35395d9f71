/** The tables of a store and SQL over them: the same numbers as in the runs, up to date, read and never written. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { beforeAll, describe, expect, it } from 'vitest';
import { tableCsv, tableOf } from '../../lib/study/export.js';
import { openStore } from '../../lib/study/open.js';
import { refreshTables, writeTable } from '../../lib/study/parquet.js';
import type { RunRecord } from '../../lib/study/records.js';
import { readResults, type ScoreRow, scoreRows, summarize } from '../../lib/study/results.js';
import { Store } from '../../lib/study/store.js';
import { fakePlan, fakeRecord, fakeRun, runFake } from '../helpers/fake-study.js';
import { temporaryFolder } from '../helpers/temporary.js';

const root = temporaryFolder();
const folder = join(root, 'store');
beforeAll(() => runFake(folder));

async function ask(sql: string, parameters?: (string | number)[]): Promise<unknown[][]> {
  const { columns, rows } = await (await openStore(folder)).query(sql, { parameters });
  return rows.map((row) => columns.map((name) => row[name]));
}

describe('query', () => {
  it('answers with the numbers of the runs', async () => {
    const results = await readResults(folder);
    const summary = summarize(results);
    const runs = await ask('select run, title, status, best_layer, best_r, last_loss from runs order by run');
    const expected = summary.rows.map((row, i) => [
      row.run,
      row.title,
      row.status,
      row.status === 'done' ? row.bestLayer : null,
      row.status === 'done' ? row.bestR : null,
      results.runs[i]!.losses.filter(Number.isFinite).at(-1) ?? null,
    ]);
    expect(runs).toEqual(expected.sort((a, b) => (a[0]! < b[0]! ? -1 : 1)));
    const rows = [...scoreRows(results)];
    const [[count, sum]] = (await ask('select count(*), sum(r) from scores')) as [[number, number]];
    expect(count).toBe(rows.length);
    expect(sum).toBeCloseTo(
      rows.reduce((total, { r }) => total + r, 0),
      9,
    );
    expect(await ask('select count(*) from folds')).toEqual([[rows.length * 5]]);
    expect(await ask('select distinct study from studies')).toEqual([['fake']]);
  });

  it('takes parameters, gives JavaScript values, and numbers columns of one name', async () => {
    const { columns, types, rows } = await (await openStore(folder)).query(
      `select 1::bigint a, 2.5::decimal(4, 1) b, 'x' c, true d, 'nan'::double e, [1, 2] f, {'k': 'v'} g,
       9223372036854775807::bigint h, '12' i, 3 a from runs where method = $method limit 1`,
      { parameters: { method: 'untuned' } },
    );
    expect(columns).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'a:1']);
    expect(types[0]).toBe('BIGINT');
    expect(rows).toEqual([
      { a: 1, b: 2.5, c: 'x', d: true, e: null, f: [1, 2], g: { k: 'v' }, h: '9223372036854775807', i: '12', 'a:1': 3 },
    ]);
    expect(await ask('select count(*) from runs where seed = ?', [1])).toEqual([[6]]);
  });

  it('says in one sentence what is wrong, with the columns there are', async () => {
    await expect(ask('select rr from scores')).rejects.toThrow(
      /^Expected SQL that DuckDB understands: Referenced column "rr" not found in FROM clause \(candidate bindings: .*"r".*\)\. The columns: scores \(run, model, .*\)\. The SQL was: `select rr/,
    );
    await expect(ask('select * from scors')).rejects.toThrow(
      /did you mean "scores".* The tables: runs \(run, .*; studies \(study, run\)/,
    );
    await expect(ask('selec')).rejects.toThrow(/syntax error at or near "selec"\. The tables: /);
    for (const empty of ['', ' ', '-- nothing'])
      await expect(ask(empty)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
    for (const sql of ['selec', 'select 1/', 'select * from scors'])
      await expect(ask(sql)).rejects.toMatchObject({
        code: 'ERR_ARGUMENT',
        message: expect.not.stringContaining('\n'),
      });
  });

  it.each([
    'drop view runs',
    'create table x as select 1',
    "copy runs to 'stolen.csv'",
    "attach 'other.db'",
    "set memory_limit = '1GB'",
    'select 1; drop view runs',
    'install httpfs',
    `select * from read_csv('/etc/passwd')`,
    `select * from read_text('${join(root, 'secret')}')`,
  ])('refuses to do more than read the tables: %s', async (sql) => {
    writeFileSync(join(root, 'secret'), 'x');
    const before = readdirSync(root).sort();
    await expect(ask(sql)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
    if (/read_|copy|attach/.test(sql))
      await expect(ask(sql)).rejects.toThrow(/reads no file and writes none|only read/);
    expect(readdirSync(root).sort()).toEqual(before);
  });

  it('streams rows, stops in between, and is interrupted', async () => {
    const store = await openStore(folder);
    const query = await store.stream('select run, r from scores');
    let seen = 0;
    for await (const row of query) {
      expect(row).toHaveLength(2);
      if (++seen === 3) break;
    }
    await query.close();
    const controller = new AbortController();
    const endless = store.query('select count(*) from range(1000000) a, range(1000000) b', {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 100);
    await expect(endless).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });
});

describe('tables', () => {
  it('follow the runs: what is added, computed again or removed', async () => {
    const own = join(root, 'growing');
    const plan = await fakePlan();
    const store = await Store.open(own, { create: true });
    const titles = async () =>
      (await (await openStore(own)).query('select title, trainable from runs order by title')).rows;
    expect(await titles()).toEqual([]);
    expect((await (await openStore(own)).query('select * from rsa')).columns).toContain('similarity');
    for (const run of plan.runs.slice(0, 12)) {
      await store.commit([fakeRun(run, 2, 1)]);
      await titles();
    }
    expect(await titles()).toHaveLength(12);
    // Small segments were put together on the way.
    expect(JSON.parse(readFileSync(join(own, 'tables', 'index.json'), 'utf8')).segments.length).toBeLessThan(9);
    const [first, second] = plan.runs;
    await store.commit([{ ...fakeRun(first!, 2, 1), record: { ...fakeRecord(first!), trainable: 77 } }], {
      replace: true,
    });
    rmSync(store.path(second!.id), { recursive: true });
    const after = await titles();
    expect(after).toHaveLength(11);
    expect(after.filter(({ trainable }) => trainable === 77)).toHaveLength(1);
    rmSync(join(own, 'tables'), { recursive: true });
    expect(await titles()).toEqual(after);
    writeFileSync(join(own, 'tables', 'index.json'), '{"torn');
    expect(await titles()).toEqual(after);
  });

  it('are asked for by several at once', async () => {
    rmSync(join(folder, 'tables'), { recursive: true, force: true });
    const stores = await Promise.all([1, 2, 3].map(() => openStore(folder)));
    const answers = await Promise.all(stores.map((store) => store.query('select count(*) n, sum(r) r from scores')));
    expect(answers[0]!.rows[0]!.n).toBeGreaterThan(0);
    // Sums of threads differ in the last bits.
    for (const { rows } of answers) expect(rows[0]!.r).toBeCloseTo(answers[0]!.rows[0]!.r as number, 9);
  });

  it('are made elsewhere where the store may not be written to', async () => {
    if (process.getuid?.() === 0) {
      // Root may write anywhere: a file in the way says the same as a refusal does not, so that is all that can be tried.
      const own = join(root, 'blocked');
      await runFake(own);
      writeFileSync(join(own, 'tables'), '');
      await expect(openStore(own).then((store) => store.query('from runs'))).rejects.toMatchObject({ code: 'ERR_IO' });
      return;
    }
    const own = join(root, 'readonly');
    await runFake(own);
    chmodSync(own, 0o500);
    await using tables = await refreshTables(await Store.open(own), ['runs']);
    expect(tables.folder.startsWith(own)).toBe(false);
    expect(existsSync(join(own, 'tables'))).toBe(false);
    chmodSync(own, 0o700);
  });

  it('in Parquet are read by another reader, and a table as CSV has the same rows', async () => {
    const results = await readResults(folder);
    mkdirSync(join(root, 'out'));
    const path = join(root, 'out', 'losses.parquet');
    await writeTable(path, tableOf(results, 'losses'));
    const bytes = readFileSync(path);
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    const rows = await parquetReadObjects({ file });
    const steps = results.runs.reduce((sum, run) => sum + run.losses.length, 0);
    expect(rows).toHaveLength(steps);
    expect(tableCsv(results, 'losses').trimEnd().split('\n')).toHaveLength(steps + 1);
    const tuned = results.runs.find((run) => run.losses.length > 0)!;
    expect(rows.filter(({ run }) => run === tuned.record.id).map(({ loss }) => loss)).toEqual(
      tuned.losses.map((loss) => (Number.isFinite(loss) ? loss : null)),
    );
  });
});

describe('openStore', () => {
  it('gives runs and scores one by one', async () => {
    const store = await openStore(folder);
    const ids: string[] = [];
    for await (const run of store.runs({ study: 'fake', status: 'done' })) ids.push(run.id);
    expect(ids).toHaveLength(12);
    const lora = (run: RunRecord) => run.labels.method === 'lora';
    const rows: ScoreRow[] = [];
    for await (const row of store.scores({ where: lora })) rows.push(row);
    expect(new Set(rows.map(({ run }) => run)).size).toBe(6);
    expect(rows).toHaveLength(6 * 13 * 30);
    expect((await store.losses(rows[0]!.run)).length).toBe(40);
    expect(await store.verify()).toMatchObject({ ok: true });
    await expect(store.runs({ study: 'none' }).next()).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('takes no path for an id, and no folder without results for a store', async () => {
    const store = await openStore(folder);
    for (const id of ['../studies', '..', 'x', '/etc/passwd', ''])
      await expect(store.run(id)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
    await expect(openStore(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});
