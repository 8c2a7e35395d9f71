/**
 * What tests of encoding scores promise, on simulations: with no effect they reject at 5 % within the binomial interval, with one they find it.
 * Beside inference.test.ts (exchanges of held-out responses), refit.test.ts (fits repeated) and null-decoding.test.ts.
 *
 * The interval used is the one that a right test leaves once in a thousand runs; seeds are fixed, so the tests themselves do not.
 */
import { describe, expect, it } from 'vitest';
import { refitTest } from '../../lib/analysis/refit.js';
import { permutationTest } from '../../lib/analysis/resample.js';
import { type SignificanceOptions, significance } from '../../lib/analysis/significance.js';
import { encode } from '../../lib/encode/encode.js';
import { makeFolds } from '../../lib/encode/folds.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';
import { autoregressive, expectNullRate, matrixOf } from '../helpers/series.js';

const series = (n: number, count: number, phi: number, random: Random) =>
  Array.from({ length: count }, () => autoregressive(n, phi, random));

describe('fits repeated for every permutation', () => {
  const options = { folds: 'contiguous:3', innerFolds: 3, alphas: [1, 100, 10_000], permutations: 59 };

  /** p of `studies` times `targets` targets of autocorrelation 0.5 that have nothing to do with the features. */
  async function nullStudies(studies: number, targets: number, how: Parameters<typeof refitTest>[2]) {
    const p: number[] = [];
    const pMax: number[] = [];
    for (let study = 0; study < studies; study++) {
      const random = new Random(500 + study);
      using features = Tensor.from(matrixOf(series(150, 4, 0.5, random)).data, [150, 4]);
      const responses = matrixOf(series(150, targets, 0.5, random));
      const found = await refitTest(features, responses, { ...options, ...how, seed: study });
      p.push(...found.p);
      pMax.push(Math.min(...found.pMax));
    }
    return { p, pMax };
  }

  it.each([
    ['block:25', 'fixed'],
    ['block:25', 'reselect'],
    ['circular', 'reselect'],
    ['phase', 'fixed'],
    ['phase', 'reselect'],
  ] as const)('%s, alphas %s: one in twenty', async (exchange, refit) => {
    const { p } = await nullStudies(40, 20, { exchange, refit });
    expectNullRate(p);
  });

  it.each(['target', 'shared'] as const)(
    'the largest of all targets: one study in twenty; one alpha per %s',
    async (alphaPer) => {
      const { pMax } = await nullStudies(150, 6, { exchange: 'circular', alphaPer, permutations: 39 });
      expectNullRate(pMax);
    },
  );
});

describe('the predictions of encode', () => {
  /** p of targets of autocorrelation 0.5 that have nothing to do with the features, tested on the predictions of `count` folds. */
  async function nullScores(count: number, options: SignificanceOptions) {
    const p: number[] = [];
    for (let study = 0; study < 60; study++) {
      const random = new Random(1500 + study);
      using features = Tensor.from(matrixOf(series(150, 4, 0.5, random)).data, [1, 150, 4]);
      const responses = matrixOf(series(150, 20, 0.5, random));
      const all = makeFolds({ rows: 150, count: 3, inner: 3 });
      const folds = all.slice(0, count);
      const fit = { alphas: [1, 100, 10_000] };
      const scores = await encode(features, responses, { ...fit, folds, predictions: true });
      using predictions = scores.predictions!;
      const fits = { ...fit, features, scores: scores.folds };
      const how = { permutations: 79, resamples: 0, seed: study, fits, ...options };
      p.push(...(await significance(predictions, responses, folds, how)).p);
    }
    return p;
  }

  it.each([
    ['block:15', 'fixed'],
    ['circular', 'fixed'],
    ['phase', 'fixed'],
    ['phase', 'reselect'],
  ] as const)('%s, fitted again with alphas %s: one in twenty', async (exchange, refit) =>
    expectNullRate(await nullScores(3, { exchange, refit })),
  );

  it('would be called too often with held-out rows exchanged alone: folds are predicted from each other', async () => {
    const p = await nullScores(3, { exchange: 'phase', refit: 'none' });
    // Every pair of folds counts twice in the mean of r and once in its null distribution: P(z > 1.645 / sqrt(2)) is 0.12.
    const rate = p.filter((value) => value <= 0.05).length / p.length;
    expect(rate).toBeGreaterThan(0.09);
    expect(rate).toBeLessThan(0.15);
  });

  it('of one held-out fold are tested rightly that way', async () =>
    expectNullRate(await nullScores(1, { exchange: 'phase', refit: 'none' })));
});

describe('tests over all layers of a run', () => {
  it('reject one study in twenty by the largest r of layers that resemble each other, and by the discovery rate', async () => {
    const kStudies = 400;
    const pMax: number[] = [];
    const fdr: number[] = [];
    for (let study = 0; study < kStudies; study++) {
      const random = new Random(3000 + study);
      const [n, t, L] = [120, 4, 3];
      const base = series(n, t, 0.5, random);
      const layers = Array.from({ length: L }, () =>
        base.map((course) => {
          const own = autoregressive(n, 0.5, random);
          return course.map((value, i) => 0.8 * value + 0.6 * own[i]!);
        }),
      );
      using predictions = Tensor.from(Float32Array.from(layers.flatMap((columns) => [...matrixOf(columns).data])), [
        L,
        n,
        t,
      ]);
      const folds = makeFolds({ rows: n, count: 2, inner: 0 });
      const options = { exchange: 'circular', refit: 'none', permutations: 99, resamples: 0, seed: study } as const;
      const found = await significance(predictions, matrixOf(series(n, t, 0.5, random)), folds, options);
      pMax.push(Math.min(...found.pMax));
      fdr.push(Math.min(...found.fdr));
    }
    expectNullRate(pMax);
    // With no effect anywhere every discovery is false: Benjamini and Hochberg promise at most 5 %, and dependent tests give fewer.
    expectNullRate(fdr, { atMost: true });
  });

  it('of independent targets the discovery rate is 5 %, and no less', async () => {
    const smallest: number[] = [];
    for (let study = 0; study < 400; study++) {
      const random = new Random(7000 + study);
      using predictions = Tensor.from(matrixOf(series(80, 8, 0, random)).data, [80, 8]);
      const folds = makeFolds({ rows: 80, count: 2, inner: 0 });
      // p reaches down to 1 / 400, below 0.05 / 8.
      const options = { exchange: 'rows', permutations: 399, seed: study };
      const { fdr } = await permutationTest(predictions, matrixOf(series(80, 8, 0, random)), folds, options);
      smallest.push(Math.min(...fdr));
    }
    expectNullRate(smallest);
  });
});

describe('the simulated subject', () => {
  it('gives its planted layer the best score, and a p-value that no correction takes away', async () => {
    const [L, n, p, t, planted] = [5, 150, 12, 6, 3];
    const random = new Random(17);
    const layers = Array.from({ length: L }, () => series(n, p, 0.5, random));
    using features = Tensor.from(Float32Array.from(layers.flatMap((columns) => [...matrixOf(columns).data])), [
      L,
      n,
      p,
    ]);
    const responses = matrixOf(
      Array.from({ length: t }, () => {
        const weights = layers[planted]!.map(() => random.normal());
        const own = autoregressive(n, 0.5, random);
        return own.map(
          (value, i) =>
            value +
            layers[planted]!.reduce((sum, course, c) => sum + (weights[c]! * course[i]!) / Math.hypot(...weights), 0),
        );
      }),
    );
    const folds = makeFolds({ rows: n, count: 3, inner: 3 });
    const scores = await encode(features, responses, { folds, predictions: true });
    using predictions = scores.predictions!;
    const fits = { features, scores: scores.folds };
    const found = await significance(predictions, responses, folds, { exchange: 'block:10', resamples: 0, fits });
    for (let c = 0; c < t; c++) {
      const r = Array.from({ length: L }, (_, l) => found.r[l * t + c]!);
      expect(r.indexOf(Math.max(...r))).toBe(planted);
      expect(found.pMax[planted * t + c]).toBeLessThan(0.05);
      for (let l = 0; l < L; l++) if (l !== planted) expect(found.pMax[l * t + c]).toBeGreaterThan(0.05);
    }
  });
});
