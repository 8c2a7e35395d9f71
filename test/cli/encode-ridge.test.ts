/** `cortune encode` with kernels, other selections, missing values, streamed responses, and what it writes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import { Random } from '../../lib/random.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cortune-encode-'));
const at = (name: string) => join(folder, name);
const [n, p] = [100, 4];

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, 'encode', '--features', at('f.csv'), '--alphas', '1,100', '--quiet', '--json', ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

beforeAll(() => {
  const random = new Random(1);
  const x = Array.from({ length: n }, () => Array.from({ length: p }, () => random.normal().toFixed(3)));
  const y = x.map((row) => [Number(row[0]) + random.normal(), Number(row[1]) ** 2 + 0.3 * random.normal()]);
  writeFileSync(at('f.csv'), `${x.map((row) => row.join()).join('\n')}\n`);
  writeFileSync(at('y.csv'), `a,b\n${y.map((row) => row.join()).join('\n')}\n`);
  writeFileSync(at('nan.csv'), `a,b\n${y.map((row, i) => (i === 7 ? `NaN,${row[1]}` : row.join())).join('\n')}\n`);
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${n}, 2), }`.padEnd(117);
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
  writeFileSync(
    at('y.npy'),
    Buffer.concat([head, Buffer.from(`${text}\n`, 'latin1'), Buffer.from(Float64Array.from(y.flat()).buffer)]),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('cortune encode', () => {
  it('streams responses, and writes scores, weights and predictions', async () => {
    const whole = JSON.parse(cortune('--responses', at('y.csv')).stdout);
    const out = at('scores.safetensors');
    const { status, stdout } = cortune(
      '--responses',
      at('y.npy'),
      '--stream',
      '--out',
      out,
      '--weights',
      '--predictions',
    );
    expect(status).toBe(0);
    for (const [j, target] of JSON.parse(stdout).layers[0].targets.entries()) {
      expect(target.r).toBeCloseTo(whole.layers[0].targets[j].r, 6);
      expect(target.name).toBe(String(j));
    }
    const { tensors, metadata } = await runJob(() => native().inspectFile({ path: out }));
    const shapes = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
    expect(shapes).toEqual({
      r: [1, 5, 2],
      r2: [1, 5, 2],
      alpha: [1, 5, 2],
      weights: [1, 5, p, 2],
      intercepts: [1, 5, 2],
      predictions: [1, n, 2],
    });
    expect(metadata.targets).toBe('["0","1"]');
  });

  it('has kernels that find what linear fits cannot, and more scores', () => {
    const scores = (...args: string[]) =>
      JSON.parse(cortune('--responses', at('y.csv'), ...args).stdout).layers[0].targets[1];
    const kernel = scores('--kernel', 'polynomial:2', '--scores', 'spearman,explained');
    expect(kernel.r).toBeGreaterThan(scores().r + 0.2);
    expect(kernel.spearman).toBeGreaterThan(0.2);
    expect(kernel.explained).toBeGreaterThanOrEqual(kernel.r2);
  });

  it('leaves missing rows out when told, and warns of fixed selection', () => {
    expect(cortune('--responses', at('nan.csv')).stderr).toMatch(/got NaN in row 7 of `a`/);
    expect(
      JSON.parse(cortune('--responses', at('nan.csv'), '--missing', 'drop').stdout).layers[0].targets[0].r,
    ).toBeGreaterThan(0);
    const { warnings } = JSON.parse(cortune('--responses', at('y.csv'), '--selection', 'fixed').stdout);
    expect(warnings.join()).toMatch(/somewhat too good/);
    expect(cortune('--responses', at('y.csv'), '--selection', 'loo').status).toBe(0);
  });

  it.each([
    [['--weights'], /`out` to be a .safetensors file/],
    [['--out', 'scores.csv'], /ends in .safetensors/],
    [['--kernel', 'cubic'], /Expected `kernel` to be/],
    [['--scores', 'tau'], /`spearman` or `explained`/],
    [['--stream', '--columns', 'a'], /without --columns/],
  ])('refuses %j', (args, message) => {
    const { status, stderr } = cortune('--responses', at('y.csv'), ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });

  it('weighs rows by a file, and says what is wrong with it', () => {
    const given = ['--responses', at('y.csv')];
    const weighed = (name: string, rows: string[]) => {
      writeFileSync(at(name), `${rows.join('\n')}\n`);
      return cortune(...given, '--row-weights', at(name));
    };
    const scores = (stdout: string) => JSON.parse(stdout).layers[0].targets.map(({ r }: { r: number }) => r);
    const plain = scores(cortune(...given).stdout);
    const ones = scores(weighed('ones.csv', Array(n).fill('1')).stdout);
    const half = scores(
      weighed(
        'half.csv',
        Array.from({ length: n }, (_, i) => (i % 2 ? '1' : '0.001')),
      ).stdout,
    );
    for (const j of [0, 1]) {
      expect(ones[j]).toBeCloseTo(plain[j], 9);
      expect(Math.abs(half[j] - plain[j])).toBeGreaterThan(1e-4);
    }
    const short = weighed('short.csv', Array(n - 1).fill('1'));
    expect(short.status).not.toBe(0);
    expect(short.stderr).toMatch(/100 rows/);
    const wide = weighed('wide.csv', Array(n).fill('1,2'));
    expect(wide.status).toBe(1);
    expect(wide.stderr).toMatch(/one column/);
  });
});
