/**
 * Fixed and closed-form selection, row weights, kernels, bands, weights of the fits and further scores against himalaya and scikit-learn (test/parity/make_ridge_goldens.py).
 *
 * Tolerances: in double precision as in encode.test.ts, 2e-9; weights and dual coefficients come back as float32, 6e-8 of their size. In single precision
 * products of up to n = 60 terms in float32 have errors of about 6e-8 * sqrt(60) of the responses' size, and the goldens' residuals are about a
 * tenth of it at least: 1e-5.
 */
import { describe, expect, it } from 'vitest';
import { encodeBanded } from '../../lib/encode/banded.js';
import { type EncodeOptions, encode } from '../../lib/encode/encode.js';
import { Tensor } from '../../lib/tensor.js';
import { expectClose, type RidgeGolden, responsesOf, ridgeGoldens } from '../helpers/goldens.js';

async function run(golden: RidgeGolden, options: EncodeOptions) {
  using features = Tensor.from(Float32Array.from(golden.features.values), golden.features.shape);
  return await encode(features, responsesOf(golden), {
    folds: 'contiguous:4',
    alphas: golden.alphas,
    standardize: 'center',
    ...options,
  });
}

const precisions = [
  ['double', 2e-9],
  ['single', 1e-5],
] as const;

describe.each(precisions)('%s precision', (precision, tolerance) => {
  const coarse = Math.max(tolerance, 2e-7);

  it.each(ridgeGoldens('fixed'))('fixed selection as himalaya, $name', async (golden) => {
    const options: EncodeOptions = { selection: 'fixed', precision, scores: ['spearman', 'explained'] };
    const primal = await run(golden, { ...options, weights: 'primal' });
    const { folds } = primal;
    const t = golden.responses.shape[1];
    for (let f = 0; f < 4; f++) expectClose(folds.alpha.subarray(f * t, (f + 1) * t), golden.alpha, 1e-12, 'alpha');
    for (const name of ['r', 'r2', 'explained', 'error'] as const)
      expectClose(folds[name]!, golden[name] as number[], tolerance, name);
    // Ranks are equal but where single precision swaps two predictions.
    expectClose(folds.spearman!, golden.spearman as number[], precision === 'double' ? 1e-12 : 0.02, 'spearman');
    using weights = primal.weights!;
    using intercepts = primal.intercepts!;
    expect(weights.shape).toEqual([1, 1, golden.features.shape[1], t]);
    expectClose(weights.toArray(), golden.primal as number[], coarse, 'weights');
    expectClose(intercepts.toArray(), golden.intercept as number[], coarse, 'intercepts');
    const dual = await run(golden, { ...options, weights: 'dual' });
    using coefficients = dual.weights!;
    expectClose(coefficients.toArray(), golden.dual as number[], coarse, 'dual');
    expect(dual.intercepts).toBeUndefined();
  });

  it.each([...ridgeGoldens('loo'), ...ridgeGoldens('gcv')])(
    '$kind as scikit-learn and by its formula, $name',
    async (golden) => {
      const n = golden.features.shape[0];
      const all = Int32Array.from({ length: n }, (_, row) => row);
      // Something must be held out: the first row once more, which no fit sees.
      const again = <T extends { shape: [number, number]; values: number[] }>({
        shape: [rows, columns],
        values,
      }: T) => ({
        shape: [rows + 1, columns] as [number, number],
        values: [...values, ...values.slice(0, columns)],
      });
      const doubled = { ...golden, features: again(golden.features), responses: again(golden.responses) };
      const sampleWeights = golden.weights ? [...(golden.weights as number[]), 1] : undefined;
      const { folds, weights, intercepts } = await run(doubled, {
        selection: golden.kind as 'loo' | 'gcv',
        folds: [{ train: all, test: Int32Array.of(n), inner: [] }],
        precision,
        sampleWeights,
        weights: 'primal',
      });
      expectClose(folds.alpha, golden.alpha, 1e-12, 'alpha');
      expectClose(weights!.toArray(), golden.primal as number[], coarse, 'weights');
      expectClose(intercepts!.toArray(), golden.intercept as number[], coarse, 'intercepts');
      weights!.dispose();
      intercepts!.dispose();
    },
  );

  it.each(ridgeGoldens('kernel'))('kernels as himalaya, $name', async (golden) => {
    const { gamma, degree, coef0 } = golden.params as { gamma: number; degree?: number; coef0?: number };
    const { folds, weights } = await run(golden, {
      selection: 'fixed',
      precision,
      kernel: { kind: golden.kernel as 'rbf' | 'polynomial', gamma, degree, offset: coef0 },
      weights: 'dual',
    });
    expectClose(folds.alpha.subarray(0, golden.alpha.length), golden.alpha, 1e-12, 'alpha');
    expectClose(folds.error!, golden.error as number[], tolerance, 'error');
    expectClose(weights!.toArray(), golden.dual as number[], coarse, 'dual');
    weights!.dispose();
  });

  it.each(ridgeGoldens('banded'))('banded ridge over given weights as himalaya, $name', async (golden) => {
    const sizes = golden.sizes as number[];
    const [B, t] = [sizes.length, golden.responses.shape[1]];
    const flat = golden.gammas as number[];
    const gammas = Array.from({ length: flat.length / B }, (_, g) => flat.slice(g * B, (g + 1) * B));
    using features = Tensor.from(Float32Array.from(golden.features.values), golden.features.shape);
    const scores = await encodeBanded(features, responsesOf(golden), {
      sizes,
      gammas,
      alphas: golden.alphas,
      folds: 'contiguous:4',
      selection: 'fixed',
      standardize: 'center',
      precision,
      refine: 0,
    });
    const deltas = Array.from(scores.gamma, (gamma, i) => Math.log(gamma / scores.alpha[i % t]!));
    expectClose(deltas, golden.deltas as number[], 1e-9, 'deltas');
    expectClose(scores.error, golden.error as number[], tolerance, 'error');
  });

  it.each(ridgeGoldens('weighted'))('weighted rows as scikit-learn, $name', async (golden) => {
    const sampleWeights = golden.weights as number[];
    const { folds, weights, intercepts } = await run(golden, {
      selection: 'fixed',
      precision,
      sampleWeights,
      weights: 'primal',
      scores: ['spearman', 'explained'],
    });
    expectClose(folds.alpha.subarray(0, golden.alpha.length), golden.alpha, 1e-12, 'alpha');
    for (const name of ['r', 'r2', 'explained'] as const)
      expectClose(folds[name]!, golden[name] as number[], tolerance, name);
    expectClose(weights!.toArray(), golden.primal as number[], coarse, 'weights');
    expectClose(intercepts!.toArray(), golden.intercept as number[], coarse, 'intercepts');
    weights!.dispose();
    intercepts!.dispose();
  });
});
