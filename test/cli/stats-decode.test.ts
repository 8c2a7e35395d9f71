/** `cortune stats` and `cortune decode` as a user meets them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cortune-stats-'));
const at = (name: string) => join(folder, name);
const golden = JSON.parse(readFileSync(new URL('../fixtures/encode/tall.json', import.meta.url), 'utf8'));

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const rowsOf = (values: number[], columns: number) =>
  Array.from({ length: values.length / columns }, (_, i) => values.slice(i * columns, (i + 1) * columns));
const csv = (rows: (string | number)[][]) => `${rows.map((row) => row.join(',')).join('\n')}\n`;
const base = ['--folds', 'contiguous:4', '--inner-folds', '3', '--alphas', 'logspace:-1:5:7'];

beforeAll(() => {
  const responses = rowsOf(golden.responses.values, 3);
  const middle = responses.map((row) => row[0]!).sort((a, b) => a - b)[30]!;
  const labels = responses.map((row) => (row[0]! > middle ? 'high' : 'low'));
  writeFileSync(
    at('y.csv'),
    csv([['IFG', 'STG', 'AG', 'kind'], ...responses.map((row, i) => [...row, i % 2 ? labels[i]! : 'other'])]),
  );
  writeFileSync(at('f.csv'), csv(rowsOf(golden.features.values, golden.features.shape[2])));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('cortune stats', () => {
  const files = ['--features', at('f.csv'), '--responses', at('y.csv'), '--columns', 'IFG,STG,AG'];

  it('prints the r of scikit-learn, p-values, corrections and intervals', () => {
    const args = ['stats', ...files, ...base, '--permutations', '199', '--resamples', '100', '--json', '--quiet'];
    const { status, stdout, stderr } = cortune(...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { layers } = JSON.parse(stdout);
    for (const [t, target] of layers[0].targets.entries()) {
      const r = [0, 1, 2, 3].reduce((sum, f) => sum + golden.r[f * 3 + t] / 4, 0);
      expect(target.r).toBeCloseTo(r, 6); // predictions are kept in float32
      expect(target.p).toBeGreaterThanOrEqual(1 / 200);
      expect(target.fdr).toBeGreaterThanOrEqual(target.p);
      expect(target.pMax).toBeGreaterThanOrEqual(target.p);
      expect(target.lower).toBeLessThan(target.r);
      expect(target.upper).toBeGreaterThan(target.r);
    }
    expect(cortune(...args).stdout).toBe(stdout);
  });

  it('fits permutations anew when asked', () => {
    const args = ['stats', ...files, ...base, '--permutations', '19', '--resamples', '0', '--json', '--quiet'];
    const phases = ['--refit', 'reselect', '--exchange', 'phase', '--alpha-per', 'shared'];
    const [plain, ...refitted] = [[], ['--refit', 'fixed'], ['--refit', 'reselect'], phases]
      .map((more) => cortune(...args, ...more))
      .map(({ stdout }) => JSON.parse(stdout).layers[0].targets as { r: number; p: number; lower: number | null }[]);
    for (const targets of refitted)
      for (const [t, { r, p, lower }] of targets.entries()) {
        // One alpha for all targets may be another than each target's own.
        expect(r).toBeCloseTo(plain![t]!.r, targets === refitted[2] ? 1 : 6);
        expect(p).toBe(0.05);
        expect(lower).toBeNull();
      }
    expect(cortune(...args, '--refit', 'fixed', '--exchange', 'phases').stdout).toMatch(/ERR_ARGUMENT/);
  });

  it('says what the features explain beside controls', () => {
    const args = ['stats', ...files, ...base, '--controls', at('f.csv'), '--permutations', '19', '--resamples', '0'];
    const { variance } = JSON.parse(cortune(...args, '--json', '--quiet').stdout);
    for (const { model, controls, joint, unique } of variance[0].targets) {
      expect(controls).toBe(model);
      expect(unique).toBe(joint - controls);
      expect(Math.abs(unique)).toBeLessThan(0.1); // the same columns twice add nothing
    }
    expect(cortune(...args).stdout).toMatch(/layer +model +controls +joint +unique +shared\n/);
  });

  it('prints a table, and a note where rows are exchanged', () => {
    const { stdout, stderr } = cortune('stats', ...files, ...base, '--exchange', 'rows', '--permutations', '99');
    expect(stdout).toMatch(/layer +target +r +interval +p +p FDR +p max\n[- ]+\n0 +IFG +-?0\.\d{3} +-?0\.\d{3} to /);
    expect(stderr).toMatch(/exchanging single rows is right for trials/);
  });

  it('says in one sentence what is wrong', () => {
    const { status, stdout, stderr } = cortune('stats', ...files, '--exchange', 'blocks');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(
      /^cortune: Expected `exchange` to be `block:ROWS`, `circular`, `phase` or `rows`, got .*\n$/,
    );
    expect(cortune('stats', ...files, '--permutations', '-5').stderr).toMatch(
      /whole number from 1 to 1,000,000, got `-5`/,
    );
    expect(cortune('stats', ...files, '--exchange', 'block:400').stderr).toMatch(/blocks shorter than the \d+ rows/);
  });
});

describe('cortune decode', () => {
  const files = ['--features', at('f.csv'), '--responses', at('y.csv')];

  it('decodes embeddings region by region', () => {
    const rois = 'front=IFG;all=IFG,STG,AG';
    const args = ['decode', ...files, '--columns', 'IFG,STG,AG', '--rois', rois, ...base, '--json', '--quiet'];
    const { status, stdout, stderr } = cortune(...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { regions } = JSON.parse(stdout);
    expect(regions.map(({ region }: { region: string }) => region)).toEqual(['front', 'all']);
    const [front, all] = regions.map(({ layers }: { layers: { twoVsTwo: number }[] }) => layers[0]!.twoVsTwo);
    expect(all).toBeGreaterThan(front);
    expect(all).toBeGreaterThan(0.7);
  });

  it('shuffles the rows and decodes again, or says why not', () => {
    const args = ['decode', ...files, '--columns', 'IFG,STG,AG', ...base, '--permutations', '39', '--json', '--quiet'];
    const shuffled = (...more: string[]) => {
      const { stdout } = cortune(...args, ...more);
      return JSON.parse(stdout).regions[0].layers[0] as { twoVsTwo: number; chance: number; p: number };
    };
    const [fixed, none] = [shuffled(), shuffled('--refit', 'none')];
    for (const { twoVsTwo, chance, p } of [fixed, none]) {
      expect(twoVsTwo).toBe(fixed.twoVsTwo);
      expect(Math.abs(chance - 0.5)).toBeLessThan(0.05);
      expect(p).toBe(0.025);
    }
    expect(fixed.chance).not.toBe(none.chance);
    expect(cortune(...args, '--refit', 'none', '--exchange', 'phase').stdout).toMatch(/an exchange of rows/);
    const labels = ['decode', '--responses', at('y.csv'), '--labels', 'kind', '--refit', 'none'];
    expect(cortune(...labels).stderr).toMatch(/`refit` to be left out with --labels/);
  });

  it('decodes labels, whose column is no response', () => {
    const args = ['decode', '--responses', at('y.csv'), '--labels', 'kind', '--folds', 'shuffled:4'];
    const { status, stdout } = cortune(...args, '--permutations', '20', '--json', '--quiet');
    expect(status).toBe(0);
    const { regions } = JSON.parse(stdout);
    expect(regions[0].classes.sort()).toEqual(['high', 'low', 'other']);
    expect(regions[0].predicted).toHaveLength(60);
    expect(cortune(...args, '--permutations', '5').stdout).toMatch(
      /region +classes +accuracy +balanced +shuffled +p\n/,
    );
  });

  it('says in one sentence what is wrong', () => {
    const { status, stderr } = cortune('decode', '--responses', at('y.csv'));
    expect(status).toBe(2);
    expect(stderr).toMatch(/Expected `features` to be given, or else --labels/);
    expect(cortune('decode', ...files, '--columns', 'IFG', '--rois', 'front').stderr).toMatch(/NAME=COLUMN/);
    expect(cortune('decode', ...files, '--columns', 'IFG', '--rois', 'a=STG').stderr).toMatch(/`STG`/);
  });
});
