/** `cortune ceiling` and `cortune compare` as a user meets them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chosenScores, compareScores } from '../../lib/analysis/compare.js';
import { Random } from '../../lib/random.js';
import { runFake } from '../helpers/fake-study.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cortune-ceiling-'));
const at = (name: string) => join(folder, name);

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const people = Array.from({ length: 6 }, (_, s) => at(`s${s + 1}.csv`));

beforeAll(async () => {
  const random = new Random(9);
  const n = 1000;
  const signal = Array.from({ length: n }, () => random.normal());
  for (const path of people) {
    // Half of the variance of STG repeats, and none of IFG.
    const rows = signal.map((value) => `${random.normal()},${value + random.normal()}`);
    writeFileSync(path, `IFG,STG\n${rows.join('\n')}\n`);
  }
  writeFileSync(at('short.csv'), 'IFG,STG\n1,2\n2,1\n');
  await runFake(at('store'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('cortune ceiling', () => {
  it('recovers the simulated ceiling by every method', () => {
    const { status, stdout, stderr } = cortune(
      'ceiling',
      '--responses',
      ...people,
      '--columns',
      'STG',
      '--json',
      '--quiet',
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { region, courses, ceilings } = JSON.parse(stdout).regions[0];
    expect([region, courses]).toEqual(['STG', 6]);
    const mean = Math.sqrt((6 * 0.5) / (1 + 5 * 0.5));
    for (const kind of ['group', 'split-half', 'repetitions']) {
      expect(Math.abs(ceilings[kind].value - mean), kind).toBeLessThan(0.02);
      expect(ceilings[kind].lower).toBeLessThan(mean + 0.02);
      expect(ceilings[kind].upper).toBeGreaterThan(mean - 0.02);
    }
    expect(Math.abs(ceilings.extrapolation.value - Math.sqrt(0.5))).toBeLessThan(0.04);
  });

  it('prints a table, with a dash where nothing repeats', () => {
    const { stdout } = cortune('ceiling', '--responses', ...people, '--kind', 'inter-subject', '--resamples', '20');
    expect(stdout).toMatch(/region +ceiling +r +interval +over\n/);
    expect(stdout).toMatch(/STG +inter-subject +0\.6\d\d +0\.\d{3} to +0\.\d{3} +rows/);
  });

  it('says in one sentence what is wrong', () => {
    const wrong = (...args: string[]) => cortune('ceiling', ...args);
    expect(wrong().stderr).toMatch(/Expected `responses` to be given/);
    expect(wrong('--responses', people[0]!).stderr).toMatch(/two files or more/);
    const { status, stderr } = wrong('--responses', people[0]!, at('short.csv'));
    expect([status, stderr.split('\n').length]).toEqual([1, 2]);
    expect(stderr).toMatch(/short\.csv: Expected 1000 rows/);
  });
});

describe('cortune compare', () => {
  it('compares every run with the baseline over subjects', () => {
    const { status, stdout, stderr } = cortune('compare', at('store'), '--json', '--quiet');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { comparisons } = JSON.parse(stdout);
    const of = (method: string) => comparisons.filter(({ title }: { title: string }) => title.includes(method));
    expect(of('lora')).toHaveLength(6);
    for (const each of comparisons) {
      expect(each.over).toBe('subjects');
      expect(each.effect.n).toBe(4);
      expect(each.regions.map(({ roi }: { roi: string }) => roi)).toEqual([
        'LATL',
        'RATL',
        'LPTL',
        'LIPL',
        'LPreM',
        'LIFG',
      ]);
    }
    // The fake untrained model scores half of the untuned one in every region; 4 subjects give p of 2 / 16 at best.
    expect(of('untrained')[0].difference.value).toBeLessThan(-0.03);
    expect(of('untrained')[0].p).toBe(0.125);
  });

  it('has its table in the report', () => {
    expect(cortune('report', at('store'), '--quiet').status).toBe(0);
    const report = readFileSync(join(at('store'), 'report.html'), 'utf8');
    expect(report).toContain('Against the untuned model');
    expect(report).toMatch(/Paired over 4 subjects/);
  });

  it('prints a table, against any run and layer', () => {
    const { stdout } = cortune('compare', at('store'), '--baseline', 'word_rate', '--layer', '7');
    expect(stdout).toMatch(/^Against word rate, 4 subjects; layer 7; interval of 95 %\n\nrun +r +difference/);
    expect(stdout).toMatch(/tiny-1 untuned +0\.\d{3} +0\.\d{3}/);
  });

  it('says in one sentence what is wrong', () => {
    const { status, stderr } = cortune('compare', at('store'), '--baseline', 'dora');
    expect(status).toBe(1);
    expect(stderr).toMatch(/Expected a run `dora` to compare with, and there are: `word rate`/);
    expect(cortune('compare', at('store'), '--layer', '99').stderr).toMatch(
      /Expected layer 99 among those scored: 0, 1/,
    );
    expect(cortune('compare', at('none')).status).toBe(1);
    expect(cortune('compare').status).toBe(2);
  });
});

describe('comparisons', () => {
  const targets = ['a', 'b', 'c'].flatMap((subject) =>
    ['X', 'Y'].map((roi) => ({ name: `${subject}:${roi}`, subject, roi })),
  );

  it('choose the layer of each fold by the other folds', () => {
    // Layer 1 is best in fold 0 only by its own score: chosen by the others it loses.
    const foldR = [
      [0.2, 0.3, 0.3],
      [0.9, 0.1, 0.1],
    ].flatMap((layer) => layer.flatMap((r) => targets.map(() => r)));
    const run = { layers: [0, 1], targets, folds: 3, foldR };
    // Folds 1 and 2 see 0.9 among the others and choose layer 1; fold 0 does not.
    expect(chosenScores(run, 'best')[0]).toBeCloseTo((0.2 + 0.1 + 0.1) / 3, 12);
    expect(chosenScores(run, 0)[5]).toBeCloseTo(0.8 / 3, 12);
  });

  it('over targets when there is one subject', () => {
    const one = targets.filter(({ subject }) => subject === 'a');
    const { over, p, difference } = compareScores(Float64Array.of(0.2, 0.3), Float64Array.of(0.1, 0.2), one);
    expect([over, p, Math.round(difference.value * 1e9) / 1e9]).toEqual(['targets', 0.5, 0.1]);
    const lost = Float64Array.of(0.1, Number.NaN);
    expect(() => compareScores(lost, lost, one)).toThrow(/at least 2 targets with scores/);
  });
});
