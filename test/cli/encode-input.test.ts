/** What `cortune encode` makes of odd files and options: the same scores of every way to store numbers, else one sentence, never a crash. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../lib/random.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cortune-input-'));
const at = (name: string) => join(folder, name);
const [n, p, t] = [30, 6, 2];

/** A .npy file [n, columns] of float64. */
function npy(
  name: string,
  values: ArrayLike<number>,
  { big = false, fortran = false, bytes = Number.POSITIVE_INFINITY } = {},
) {
  const columns = values.length / n;
  const order = fortran ? 'True' : 'False';
  const text = `{'descr': '${big ? '>' : '<'}f8', 'fortran_order': ${order}, 'shape': (${n}, ${columns}), }`.padEnd(
    117,
  );
  const body = Buffer.alloc(8 * values.length);
  for (let i = 0; i < values.length; i++) {
    const place = fortran ? (i % columns) * n + Math.floor(i / columns) : i;
    if (big) body.writeDoubleBE(values[i]!, 8 * place);
    else body.writeDoubleLE(values[i]!, 8 * place);
  }
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
  writeFileSync(at(name), Buffer.concat([head, Buffer.from(`${text}\n`, 'latin1'), body.subarray(0, bytes)]));
}

beforeAll(() => {
  const random = new Random(3);
  const x = Float64Array.from({ length: n * p }, () => Math.fround(random.normal()));
  const y = Float64Array.from({ length: n * t }, (_, i) =>
    Math.fround(x[Math.floor(i / t) * p + (i % t)]! + random.normal()),
  );
  npy('x.npy', x);
  npy('y.npy', y);
  npy('big-fortran.npy', y, { big: true, fortran: true });
  npy('short.npy', y, { bytes: 400 });
  npy(
    'infinite.npy',
    y.map((value, i) => (i === 11 ? Number.POSITIVE_INFINITY : value)),
  );
  npy(
    'nan.npy',
    y.map((value, i) => (i === 11 ? Number.NaN : value)),
  );
  npy(
    'flat.npy',
    y.map((value, i) => (i % t === 1 ? 2 : value)),
  );
  // Every column twice, and a constant one: X'X is singular.
  npy(
    'twice.npy',
    Float64Array.from({ length: n * 13 }, (_, i) => (i % 13 === 12 ? 7 : x[Math.floor(i / 13) * p + ((i % 13) % p)]!)),
  );
  npy('zeros.npy', new Float64Array(n * p));
  const rows = Array.from({ length: n }, (_, row) => `${row < n - 2 ? 'one' : 'two'},${y[row * t]}`);
  writeFileSync(at('runs.csv'), `run,a\n${rows.join('\n')}\n`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function cortune(features: string, responses: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, 'encode', '--features', at(features), '--responses', at(responses), '--json', ...args],
    { encoding: 'utf8' },
  );
  return {
    status,
    stderr,
    r: status === 0 ? JSON.parse(stdout).layers[0].targets.map(({ r }: { r: number }) => r) : [],
  };
}

describe('cortune encode', () => {
  it('has the same scores of every byte order and axis order, read whole or piece by piece', () => {
    const { r } = cortune('x.npy', 'y.npy');
    expect(r).toHaveLength(t);
    expect(cortune('x.npy', 'big-fortran.npy').r).toEqual(r);
    for (const [c, value] of cortune('x.npy', 'big-fortran.npy', '--stream').r.entries())
      expect(value).toBeCloseTo(r[c], 9);
  });

  it('has the least squares fit of a singular kernel and a penalty next to none', () => {
    const { r } = cortune('x.npy', 'y.npy', '--alphas', '1e-12');
    for (const precision of ['single', 'double'])
      for (const [c, value] of cortune('twice.npy', 'y.npy', '--alphas', '1e-12', '--precision', precision).r.entries())
        expect(value).toBeCloseTo(r[c], 5);
  });

  it('has no score where nothing varies, and says so', () => {
    const flat = cortune('x.npy', 'flat.npy');
    expect(flat.r[0]).toBeGreaterThan(0);
    expect(flat.r[1]).toBeNull();
    expect(flat.stderr).toMatch(/No score for `1`: constant/);
    const zeros = cortune('zeros.npy', 'y.npy');
    expect(zeros.r).toEqual([null, null]);
    expect(zeros.stderr).toMatch(/No r for `0`, `1`: predictions are the same .* Are the features constant\?/);
  });

  it.each([
    [['x.npy', 'short.npy'], 1, /Expected 480 bytes for shape \(30, 2\) of f8, got 400/],
    [['x.npy', 'short.npy', '--stream'], 1, /truncated/],
    [['x.npy', 'infinite.npy'], 1, /got Infinity in row 5 of `1` .*Remove that row, fill the value, or leave/],
    [['x.npy', 'nan.npy'], 1, /got NaN in row 5 of `1` .*--missing drop/],
    [['infinite.npy', 'y.npy'], 1, /Expected features to be finite numbers, got Infinity at layer 0, row 5, column 1/],
    [['x.npy', 'y.npy', '--folds', 'contiguous:31'], 2, /at most the 30 rows of the data/],
    [['x.npy', 'runs.csv', '--groups', 'run', '--folds', 'grouped:3'], 2, /3 different groups.*got `2`/],
    [
      ['x.npy', 'runs.csv', '--groups', 'run', '--folds', 'grouped'],
      2,
      /at least 2 groups in the training rows of fold 0.*got `1`/,
    ],
    [['x.npy', 'y.npy', '--alphas', '0,1'], 2, /`alphas` to be positive/],
    [['x.npy', 'y.npy', '--alphas', '1e300'], 2, /`alphas` to be at most 1e\+30/],
    [['x.npy', 'y.npy', '--memory', '20KB'], 1, /Expected encoding to fit in `memory`/],
  ] as const)('refuses %j', ([features, responses, ...args], code, sentence) => {
    const { status, stderr } = cortune(features, responses, ...args);
    expect(status).toBe(code);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
