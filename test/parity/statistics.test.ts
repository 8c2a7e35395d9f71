/**
 * Tests, adjustments, ceilings and classifiers against scipy and scikit-learn (test/parity/make_statistics_goldens.py made the goldens;
 * versions and seeds are in it).
 *
 * Tolerance: float64 formulas of at most a few hundred terms, 1e-12; p-values of scipy's own approximations of tails, 1e-10 relatively. Fits
 * (curve_fit) end where scipy's do: 1e-6.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { explainableVariance, splitHalf } from '../../lib/analysis/ceilings.js';
import { classify } from '../../lib/analysis/classify.js';
import { fitCurve } from '../../lib/analysis/extrapolate.js';
import { adjustFdr } from '../../lib/analysis/multiple.js';
import { normalTail } from '../../lib/analysis/normal.js';
import { bootstrapMean, effectSizes, signFlipTest, wilcoxon } from '../../lib/analysis/paired.js';
import { ranks, spearman } from '../../lib/analysis/ranks.js';
import { groupCeiling, interSubjectCeilings } from '../../lib/data/ceiling.js';
import { Tensor } from '../../lib/tensor.js';
import { expectClose, expectEachClose } from '../helpers/arrays.js';

const golden = JSON.parse(readFileSync(new URL('../fixtures/analysis/statistics.json', import.meta.url), 'utf8'));

describe('tests of differences', () => {
  it.each<[string, object]>(
    golden.wilcoxon.map((each: object, i: number) => [['exact', 'ties and zeros', 'normal'][i], each]),
  )('Wilcoxon, %s, is that of scipy', (_, each) => {
    const { differences, statistic, ...p } = each as { differences: number[]; statistic: number } & Record<
      string,
      number
    >;
    for (const alternative of ['two-sided', 'greater', 'less'] as const)
      expect(wilcoxon(differences, { alternative }).p, alternative).toBeCloseTo(p[alternative]!, 10);
    expect(wilcoxon(differences).statistic).toBe(statistic);
  });

  it('sign flips count every way, as scipy', () => {
    const { differences, p, t, dz } = golden.signFlip;
    const test = signFlipTest(differences.map((d: number) => [d]));
    expect(test).toMatchObject({ exact: true, flips: 2 ** 9 });
    expect(test.p[0]).toBeCloseTo(p, 12);
    expect(test.pMax[0]).toBeCloseTo(p, 12);
    expect(test.t[0]).toBeCloseTo(t, 10);
    expect(effectSizes(differences).dz).toBeCloseTo(dz, 12);
  });

  it('intervals of a mean are those of scipy, within what draws differ by', () => {
    const { lower, upper, error } = golden.bootstrap;
    const ours = bootstrapMean(golden.signFlip.differences, { resamples: 100_000 });
    // The standard error of a 2.5 % quantile of 100,000 draws is 0.0084 of the deviation: five of the difference of two.
    expect(Math.abs(ours.lower - lower)).toBeLessThan(0.05 * error);
    expect(Math.abs(ours.upper - upper)).toBeLessThan(0.05 * error);
  });

  it('the normal tail is that of scipy, far out too', () => {
    const z: [number, number][] = golden.tail;
    expectEachClose(
      z.map(([at]) => normalTail(at)),
      z.map(([, tail]) => tail),
      1e-12,
    );
  });

  it('the false discovery rate is that of scipy', () =>
    expectClose(adjustFdr(golden.fdr.p), golden.fdr.adjusted, 1e-14));

  it('ranks and Spearman are those of scipy', () => {
    expect([...ranks(golden.ranks.x)]).toEqual(golden.ranks.ranks);
    expect(spearman(golden.ranks.x, golden.ranks.y)).toBeCloseTo(golden.ranks.spearman, 12);
  });
});

describe('ceilings', () => {
  const { courses, ev, splitHalf: r, reliability, interSubject, group, curve } = golden.ceilings;

  it('of one subject and of the mean are those of numpy', () => {
    expectClose(interSubjectCeilings(courses), interSubject, 1e-12);
    expect(groupCeiling(courses)).toBeCloseTo(group, 12);
  });

  it('explainable variance is that of the voxelwise tutorials', () =>
    expect(explainableVariance(courses).ev).toBeCloseTo(ev, 12));

  it('split halves are all halves', () => {
    const found = splitHalf(courses);
    expect(found.splits).toBe(10);
    expect(found.r).toBeCloseTo(r, 12);
    expect(found.reliability).toBeCloseTo(reliability, 12);
  });

  it('the saturating curve is that of curve_fit', () => {
    const { ceiling, shape } = fitCurve(curve.x, curve.y, 'exponential');
    expect(ceiling).toBeCloseTo(curve.v0, 6);
    expect(shape).toBeCloseTo(curve.tau, 5);
  });
});

describe('classifiers', () => {
  it.each<[number, object]>(golden.classifiers.map((each: { classes: number }) => [each.classes, each]))(
    'logistic regression and ridge of %s classes predict what scikit-learn does',
    async (_, each) => {
      const { features, shape, c, labels, predicted, ridge, balanced } = each as {
        features: number[];
        shape: [number, number];
        c: number;
        labels: number[];
        predicted: number[];
        ridge: number[];
        balanced: number;
      };
      using x = Tensor.from(Float32Array.from(features), shape);
      const found = await classify(x, labels.map(String), { c, folds: 'contiguous:4', permutations: 0 });
      expect(found.predicted).toEqual(predicted.map(String));
      expect(found.accuracy).toBe(predicted.filter((label, i) => label === labels[i]).length / labels.length);
      const byRidge = await classify(x, labels.map(String), {
        classifier: 'ridge',
        alphas: [5],
        folds: 'contiguous:4',
        permutations: 0,
      });
      expect(byRidge.predicted).toEqual(ridge.map(String));
      expect(byRidge.balanced).toBeCloseTo(balanced, 12);
    },
  );
});
