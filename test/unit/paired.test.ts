/** Paired tests and ceilings on simulations: false positives, power, what is recovered, what is refused. */
import { describe, expect, it } from 'vitest';
import {
  ceilingOverRows,
  explainableVariance,
  groupCeilingOverSubjects,
  kCeilings,
  splitHalf,
} from '../../lib/analysis/ceilings.js';
import { extrapolatedCeiling } from '../../lib/analysis/extrapolate.js';
import { adjustFdr, adjustMaximum } from '../../lib/analysis/multiple.js';
import { bootstrapMean, effectSizes, signFlipTest, wilcoxon } from '../../lib/analysis/paired.js';
import { Random } from '../../lib/random.js';
import { binomialBounds } from '../helpers/series.js';

const normals = (count: number, random: Random) => Float64Array.from({ length: count }, () => random.normal());

describe('paired tests', () => {
  it('reject 5 % of studies without an effect, together and target by target', () => {
    const kStudies = 1000;
    const random = new Random(1);
    let [signed, ranked, largest] = [0, 0, 0];
    for (let study = 0; study < kStudies; study++) {
      const rows = Array.from({ length: 14 }, () => {
        const shared = random.normal(); // regions of a subject resemble each other
        return normals(5, random).map((value) => value + shared);
      });
      const test = signFlipTest(rows, { permutations: 199, seed: study });
      if (test.p[0]! <= 0.05) signed++;
      if (Math.min(...test.pMax) <= 0.05) largest++;
      if (wilcoxon(rows.map((row) => row[0]!)).p <= 0.05) ranked++;
    }
    const { from, to } = binomialBounds(kStudies, 0.05);
    for (const hits of [signed, ranked, largest]) {
      expect(hits / kStudies).toBeGreaterThan(from);
      expect(hits / kStudies).toBeLessThan(to);
    }
  });

  it('find an effect of one standard deviation, and say how large it is', () => {
    const random = new Random(2);
    const d = normals(40, random).map((value) => value + 1);
    const rows = [...d].map((value) => [value]);
    expect(signFlipTest(rows).p[0]).toBeLessThan(0.001);
    expect(signFlipTest(rows, { alternative: 'less' }).p[0]).toBeGreaterThan(0.99);
    expect(wilcoxon(d).p).toBeLessThan(0.001);
    const { dz, hedges, rankBiserial, gains, n } = effectSizes(d);
    expect(Math.abs(dz - 1)).toBeLessThan(0.35); // standard error about sqrt(1/40 + 1/80)
    expect(hedges).toBeLessThan(dz);
    expect(rankBiserial).toBeGreaterThan(0.5);
    expect([n, gains > 0.7]).toEqual([40, true]);
    const { lower, upper } = bootstrapMean(d);
    expect(lower).toBeGreaterThan(0.5);
    expect(upper).toBeLessThan(1.5);
  });

  it('know edges: zeros, one sign, too few pairs, NaN', () => {
    expect(wilcoxon([0, 0])).toEqual({ statistic: Number.NaN, p: Number.NaN, n: 0 });
    expect(wilcoxon([1, 2, 3]).p).toBe(0.25);
    expect(effectSizes([1, Number.NaN, 3]).n).toBe(2);
    expect(signFlipTest([[1], [2], [3]])).toMatchObject({ p: Float64Array.of(0.25), exact: true });
    expect(signFlipTest([[0], [0]]).p[0]).toBeNaN();
    expect(() => signFlipTest([[1]])).toThrow(/at least 2 pairs/);
    expect(() => signFlipTest([[1], [Number.NaN]])).toThrow(/finite numbers/);
    expect(() => wilcoxon([1], { alternative: 'more' as never })).toThrow(/`two-sided`/);
  });
});

describe('adjustments', () => {
  it('pass over tests without a value', () => {
    expect([...adjustFdr([0.01, Number.NaN, 0.5])]).toEqual([0.02, Number.NaN, 0.5]);
    expect([...adjustFdr([])]).toEqual([]);
    expect([...adjustMaximum([3, Number.NaN, 0], [1, 2, 3])]).toEqual([0.5, Number.NaN, 1]);
  });
});

/** Courses of one signal and independent noise; the signal has `share` of the variance. */
function courses(count: number, rows: number, share: number, seed: number): Float64Array[] {
  const random = new Random(seed);
  const signal = normals(rows, random);
  return Array.from({ length: count }, () =>
    signal.map((value) => Math.sqrt(share) * value + Math.sqrt(1 - share) * random.normal()),
  );
}

describe('ceilings', () => {
  // 10,000 rows: standard errors of correlations are below 0.01.
  const many = courses(8, 10_000, 0.3, 4);
  const ofMean = Math.sqrt((8 * 0.3) / (1 + 7 * 0.3));

  it('recover the simulated ones', () => {
    expect(Math.abs(explainableVariance(many).ev - 0.3)).toBeLessThan(0.02);
    expect(Math.abs(explainableVariance(many).ceilingOfMean - ofMean)).toBeLessThan(0.01);
    expect(Math.abs(explainableVariance(many).ceiling - Math.sqrt(0.3))).toBeLessThan(0.02);
    expect(Math.abs(splitHalf(many).ceiling - ofMean)).toBeLessThan(0.01);
    for (const kind of ['group', 'repetitions', 'split-half'] as const)
      expect(Math.abs(kCeilings[kind](many) - ofMean), kind).toBeLessThan(0.01);
    // Agreement with the mean of the 7 others: both are noisy.
    const others = Math.sqrt(0.3) * Math.sqrt((7 * 0.3) / (1 + 6 * 0.3));
    expect(Math.abs(kCeilings['inter-subject'](many) - others)).toBeLessThan(0.01);
  });

  it('extrapolate towards what endlessly many subjects would reach', () => {
    const twelve = courses(12, 4000, 0.3, 5);
    const { ceiling, score, pool } = extrapolatedCeiling(twelve, { draws: 10, curve: 'attenuation' });
    expect(pool).toHaveLength(11);
    expect(Math.abs(score[0]! - 0.3)).toBeLessThan(0.02);
    expect(Math.abs(ceiling - Math.sqrt(0.3))).toBeLessThan(0.03);
    // Brain-Score's exponential bends earlier than this curve and ends lower, as its description says.
    const published = extrapolatedCeiling(twelve, { draws: 10 });
    expect(published.score).toEqual(score);
    expect(published.ceiling).toBeLessThan(ceiling);
    expect(published.ceiling).toBeGreaterThan(score[5]!);
  });

  it('come with intervals that hold them', () => {
    const some = courses(10, 200, 0.3, 6);
    const truth = Math.sqrt((10 * 0.3) / (1 + 9 * 0.3));
    const rows = ceilingOverRows(some, kCeilings.group, { resamples: 300, block: 1 });
    const people = groupCeilingOverSubjects(some, { resamples: 500 });
    for (const { value, lower, upper } of [rows, people]) {
      expect(lower).toBeLessThan(value);
      expect(upper).toBeGreaterThan(value);
      expect(lower - 0.02).toBeLessThan(truth);
      expect(upper + 0.02).toBeGreaterThan(truth);
    }
  });

  it('are refused for constant courses, too few, and odd options', () => {
    const few = courses(3, 20, 0.5, 7);
    expect(() => extrapolatedCeiling(few)).toThrow(/at least 4/);
    expect(() => splitHalf([few[0]!])).toThrow(/at least 2/);
    expect(() => splitHalf([few[0]!, new Float64Array(20)])).toThrow(expect.objectContaining({ code: 'ERR_DATA' }));
    expect(() => ceilingOverRows(few, kCeilings.group, { block: 21 })).toThrow(/rows from 1 to 20/);
    expect(() => explainableVariance([few[0]!, few[1]!.slice(1)])).toThrow(/20 volumes/);
  });
});
