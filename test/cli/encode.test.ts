/** `cortune encode` as a user meets it: the golden scores from files of every kind, a table, and one sentence for what is wrong. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import { Tensor } from '../../lib/tensor.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cortune-encode-'));
const at = (name: string) => join(folder, name);
const golden = JSON.parse(readFileSync(new URL('../fixtures/encode/wide.json', import.meta.url), 'utf8'));
const names = ['IFG', 'STG', 'AG'];

function csv(rows: (string | number)[][]): string {
  return `${rows.map((row) => row.join(',')).join('\n')}\n`;
}

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'encode', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** Row-major values as rows. */
function rowsOf(values: number[], columns: number): number[][] {
  return Array.from({ length: values.length / columns }, (_, i) => values.slice(i * columns, (i + 1) * columns));
}

/** Mean over the golden's 4 folds of target t. */
function foldMean(values: number[], t: number): number {
  return [0, 1, 2, 3].reduce((sum, f) => sum + values[f * 3 + t]! / 4, 0);
}

const base = ['--folds', 'contiguous:4', '--inner-folds', '3', '--alphas', 'logspace:-1:5:7'];

beforeAll(async () => {
  using features = Tensor.from(Float32Array.from(golden.features.values), golden.features.shape);
  await runJob(() =>
    native().writeSafetensors({
      path: at('f.safetensors'),
      names: ['hidden_states'],
      tensors: [features.handle],
      metadata: { layers: '7' },
    }),
  );
  const responses = rowsOf(golden.responses.values, 3);
  writeFileSync(at('y.csv'), csv([names, ...responses]));
  writeFileSync(at('f.csv'), csv(rowsOf(golden.features.values, 64)));
  writeFileSync(
    at('runs.csv'),
    csv([[...names, 'run'], ...responses.map((row, i) => [...row, `run-${Math.floor(i / 10)}`])]),
  );
  const broken = responses.map((row) => [...row] as (number | string)[]);
  broken[5]![1] = 'NaN';
  writeFileSync(at('nan.csv'), csv([names, ...broken]));
  writeFileSync(at('short.csv'), csv([names, ...responses.slice(0, 30)]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('cortune encode', () => {
  it('prints the means of scikit-learn as JSON, and nothing else', () => {
    const { status, stdout, stderr } = cortune(
      '--features',
      at('f.safetensors'),
      '--responses',
      at('y.csv'),
      ...base,
      '--json',
      '--quiet',
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { layers } = JSON.parse(stdout);
    expect(layers).toHaveLength(1);
    expect(layers[0].layer).toBe(7);
    for (const [t, target] of layers[0].targets.entries()) {
      expect(target.name).toBe(names[t]);
      expect(target.r).toBeCloseTo(foldMean(golden.r, t), 8);
      expect(target.r2).toBeCloseTo(foldMean(golden.r2, t), 8);
      expect(Math.log(target.alpha)).toBeCloseTo(foldMean(golden.alpha.map(Math.log), t), 8);
    }
  });

  it('takes features [n, columns] from a table, and columns in the order asked for', () => {
    const { stdout } = cortune(
      '--features',
      at('f.csv'),
      '--responses',
      at('y.csv'),
      '--columns',
      'AG,IFG',
      ...base,
      '--json',
    );
    const { layers } = JSON.parse(stdout);
    expect(layers[0].layer).toBe(0);
    expect(layers[0].targets.map(({ name }: { name: string }) => name)).toEqual(['AG', 'IFG']);
    expect(layers[0].targets[0].r).toBeCloseTo(foldMean(golden.r, 2), 8);
  });

  it('holds out a run at a time: ten rows each, so as contiguous folds of the same rows', () => {
    const run = (...args: string[]) => {
      const { stdout } = cortune(
        '--features',
        at('f.safetensors'),
        '--responses',
        at('runs.csv'),
        '--json',
        '--alphas',
        '10',
        ...args,
      );
      return JSON.parse(stdout).layers;
    };
    expect(run('--groups', 'run', '--folds', 'grouped')).toEqual(
      run('--columns', names.join(), '--folds', 'contiguous:4'),
    );
  });

  it('prints a table of layers and targets, and notes on stderr', () => {
    const args = ['--features', at('f.safetensors'), '--responses', at('y.csv'), '--folds', 'shuffled:4:1'];
    const { status, stdout, stderr } = cortune(...args);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /Held-out Pearson r, mean of 4 folds\n\nlayer +IFG +STG +AG\n[- ]+\n +7 +-?0\.\d{3} +-?0\.\d{3} +-?0\.\d{3}\n$/,
    );
    expect(stderr).toMatch(/^Note: Folds are shuffled: .*inflated/);
    expect(cortune(...args, '--quiet').stderr).toBe('');
  });

  it.each([
    ['a value that is not finite', 1, ['--responses', at('nan.csv')], /got NaN in row 5 of `STG`.*\[ERR_DATA\]/],
    [
      'fewer rows than the features',
      1,
      ['--responses', at('short.csv')],
      /as many rows as the features, 40, got 30.*\[ERR_DATA\]/,
    ],
    ['a file that is not there', 1, ['--responses', at('none.csv')], /none\.csv.*\[ERR_NOT_FOUND\]/],
    [
      'a column that is not there',
      1,
      ['--responses', at('y.csv'), '--columns', 'IFJ'],
      /`IFJ` \(did you mean `IFG`\?\)/,
    ],
    [
      'alphas with zero',
      2,
      ['--responses', at('y.csv'), '--alphas', '0,1'],
      /ridge needs a penalty above 0.*\[ERR_ARGUMENT\]/,
    ],
    [
      'more folds than rows',
      2,
      ['--responses', at('y.csv'), '--folds', 'contiguous:50'],
      /at most the 40 rows.*\[ERR_ARGUMENT\]/,
    ],
    [
      'folds of no kind',
      2,
      ['--responses', at('y.csv'), '--folds', 'random:5'],
      /Expected `folds` to be `contiguous:COUNT`/,
    ],
    ['grouped folds without groups', 2, ['--responses', at('y.csv'), '--folds', 'grouped'], /Expected `groups`/],
    ['no responses', 2, [], /responses/],
  ])('says in one sentence what is wrong: %s', (_, code, args, sentence) => {
    const { status, stdout, stderr } = cortune('--features', at('f.safetensors'), ...args);
    expect(stdout).toBe('');
    expect(stderr).toMatch(sentence);
    expect(status).toBe(code);
  });
});
