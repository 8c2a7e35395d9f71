/**
 * Fixed selection, row weights, weights of the fits and further scores against himalaya and scikit-learn (test/parity/make_ridge_goldens.py).
 *
 * Tolerances: in double precision as in encode.test.ts, 2e-9; weights and dual coefficients come back as float32, 6e-8 of their size. In single precision
 * products of up to n = 60 terms in float32 have errors of about 6e-8 * sqrt(60) of the responses' size, and the goldens' residuals are about a
 * tenth of it at least: 1e-5.
 */
import { describe, expect, it } from 'vitest';
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
