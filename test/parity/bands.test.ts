/**
 * Kinds of folds, banded ridge and kernels on awkward data against scikit-learn and himalaya (test/parity/make_band_goldens.py made the goldens).
 *
 * Tolerances as in ridge.test.ts: 2e-9 in double precision, 1e-5 in single; where alphas are tiny the largest over the smallest eigenvalue plus alpha
 * reaches 1e7 and more, and the references themselves keep 6 digits (4 in single precision).
 */
import { describe, expect, it } from 'vitest';
import { encodeBanded } from '../../lib/encode/banded.js';
import { encode, foldRows } from '../../lib/encode/encode.js';
import type { FoldRows } from '../../lib/native/types.js';
import { Tensor } from '../../lib/tensor.js';
import { expectClose, type RidgeGolden, responsesOf, ridgeGoldens } from '../helpers/goldens.js';

const featuresOf = ({ features }: RidgeGolden) => Tensor.from(Float32Array.from(features.values), features.shape);
const rowsOf = (golden: RidgeGolden, key: string) => {
  const [B, flat] = [(golden.sizes as number[]).length, golden[key] as number[]];
  return Array.from({ length: flat.length / B }, (_, g) => flat.slice(g * B, (g + 1) * B));
};

const precisions = [
  ['double', 2e-9],
  ['single', 1e-5],
] as const;

describe.each(precisions)('%s precision', (precision, exact) => {
  const toleranceOf = ({ name }: RidgeGolden) => (name.includes('tiny') ? Math.max(1e-6, 10 * exact) : exact);

  it.each(ridgeGoldens('groups'))('folds and scores of scikit-learn, $name', async (golden) => {
    const n = golden.features.shape[0];
    const labels = golden.labels as number[];
    const [tests, inner] = [golden.tests as number[][], golden.inner as number[][][]];
    const spec = golden.spec as string | null;
    const given = (rows: readonly number[], held: readonly number[]) => ({
      train: Int32Array.from(rows.filter((row) => !held.includes(row))),
      test: Int32Array.from(held),
    });
    const all = Array.from({ length: n }, (_, row) => row);
    const folds: string | FoldRows[] =
      spec ??
      tests.map((test, f) => {
        const fold = given(all, test);
        return { ...fold, inner: inner[f]!.map((held) => given([...fold.train], held)) };
      });
    const options = { folds, groups: labels, innerFolds: golden.innerFolds as number, alphas: golden.alphas };
    const made = foldRows(n, true, options);
    expect(made.map(({ test }) => [...test])).toEqual(tests);
    expect(made.map((fold) => fold.inner.map(({ test }) => [...test]))).toEqual(inner);
    using features = featuresOf(golden);
    const { folds: scores } = await encode(features, responsesOf(golden), { ...options, precision });
    expectClose(scores.alpha, golden.alpha, 1e-12, 'alpha');
    expectClose(scores.r, golden.r as number[], exact, 'r');
    expectClose(scores.r2, golden.r2 as number[], exact, 'R2');
  });

  it.each(ridgeGoldens('bands'))(
    'banded ridge chosen within folds, scores and split of himalaya, $name',
    async (golden) => {
      using features = featuresOf(golden);
      const found = await encodeBanded(features, responsesOf(golden), {
        sizes: golden.sizes as number[],
        gammas: rowsOf(golden, 'gammas'),
        alphas: golden.alphas,
        folds: 'contiguous:4',
        innerFolds: 3,
        standardize: 'center',
        precision,
        refine: 0,
      });
      const [B, t] = [found.bands, found.targets];
      const alphaOf = (i: number) => found.alpha[Math.floor(i / (B * t)) * t + (i % t)]!;
      const deltas = Array.from(found.gamma, (gamma, i) => Math.log(gamma / alphaOf(i)));
      const tolerance = toleranceOf(golden);
      expectClose(deltas, golden.deltas as number[], 1e-9, 'deltas');
      for (const key of ['error', 'r', 'r2', 'split'] as const)
        expectClose(found[key], golden[key] as number[], tolerance, key);
    },
  );

  it.each(ridgeGoldens('groupridge'))('the search of GroupRidgeCV, $name', async (golden) => {
    using features = featuresOf(golden);
    const found = await encodeBanded(features, responsesOf(golden), {
      sizes: golden.sizes as number[],
      gammas: rowsOf(golden, 'gammas'),
      alphas: golden.alphas,
      folds: 'contiguous:4',
      selection: 'fixed',
      standardize: 'center',
      precision,
      refine: 0,
    });
    const deltas = Array.from(found.gamma, (gamma, i) => Math.log(gamma / found.alpha[i % found.targets]!));
    expectClose(deltas, golden.deltas as number[], 1e-9, 'deltas');
    expectClose(found.error, golden.error as number[], exact, 'error');
  });

  it.each(ridgeGoldens('kernels'))('kernels as himalaya, $name', async (golden) => {
    const { gamma, degree, coef0 } = golden.params as { gamma: number; degree?: number; coef0?: number };
    using features = featuresOf(golden);
    const { folds, weights } = await encode(features, responsesOf(golden), {
      folds: 'contiguous:4',
      alphas: golden.alphas,
      standardize: 'center',
      selection: 'fixed',
      precision,
      kernel: { kind: golden.name.split('-')[0] as 'rbf' | 'polynomial', gamma, degree, offset: coef0 },
      weights: 'dual',
    });
    using dual = weights!;
    const tolerance = toleranceOf(golden);
    expectClose(folds.alpha.subarray(0, golden.alpha.length), golden.alpha, 1e-12, 'alpha');
    expectClose(folds.error!, golden.error as number[], tolerance, 'error');
    expectClose(dual.toArray(), golden.dual as number[], Math.max(tolerance, 2e-7), 'dual');
  });
});
