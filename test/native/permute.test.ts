/** Scores under permuted responses equal those of encoding the permuted responses, one by one. */
import { describe, expect, it } from 'vitest';
import { type EncodeOptions, encode } from '../../lib/encode/encode.js';
import { refitPermuted } from '../../lib/encode/permute.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';

const [n, p, t, P] = [48, 60, 9, 12];
const random = new Random(5);
const x = Float32Array.from({ length: 2 * n * p }, () => random.normal());
const y = Float32Array.from(
  { length: n * t },
  (_, i) => x[Math.floor(i / t) * p + (i % t)]! * 1.5 + 2 * random.normal() + 5,
);
for (let row = 0; row < n; row++) y[row * t + 4] = 2; // a constant target
const orders = new Int32Array(P * n);
for (let k = 0; k < P; k++) orders.set(new Random(k).permutation(n), k * n);

const permuted = (k: number) => {
  const data = new Float32Array(n * t);
  for (let row = 0; row < n; row++)
    data.set(y.subarray(orders[k * n + row]! * t, (orders[k * n + row]! + 1) * t), row * t);
  return { data, rows: n, columns: t };
};
const meanR = async (features: Tensor, k: number | undefined, options: EncodeOptions) => {
  const responses = k === undefined ? { data: y, rows: n, columns: t } : permuted(k);
  const { layers } = await encode(features, responses, options);
  return layers[1]!.targets.map(({ r }) => r);
};
// Sums of 48 products: 1e-9 in float64, 1e-5 in float32.
const worst = (a: ArrayLike<number>, b: number[]) =>
  Math.max(...b.map((value, i) => (Number.isNaN(value) ? (Number.isNaN(a[i]!) ? 0 : 1) : Math.abs(value - a[i]!))));

describe('refitPermuted', () => {
  it.each([
    ['double', 'zscore', 1e-7],
    ['single', 'center', 1e-5],
  ] as const)('keeps one alpha or the chosen ones (%s)', async (precision, standardize, tolerance) => {
    using features = Tensor.from(x, [2, n, p]);
    const responses = { data: y, rows: n, columns: t };
    const options: EncodeOptions = { alphas: [30], folds: 'contiguous:4', precision, standardize };
    const result = await refitPermuted(features, responses, { ...options, orders, layer: 1, keep: true });
    using scores = result.scores!;
    const all = scores.toArray();
    const observed = await meanR(features, undefined, options);
    expect(worst(result.observed, observed)).toBeLessThan(tolerance);
    const reached = new Float64Array(t);
    for (let k = 0; k < P; k++) {
      const mine = await meanR(features, k, options);
      expect(worst(all.subarray(k * t, (k + 1) * t), mine)).toBeLessThan(tolerance);
      expect(result.largest[k]).toBeCloseTo(Math.max(...mine.filter((r) => !Number.isNaN(r))), 5);
      for (const [j, r] of mine.entries()) if (r >= observed[j]!) reached[j]!++;
    }
    expect(result.reached).toEqual(reached);
    const many: EncodeOptions = { ...options, alphas: 'logspace:-1:4:8' };
    const first = await encode(features, responses, many);
    const chosen = await refitPermuted(features, responses, { ...many, orders, layer: 1, chosen: first.folds });
    expect(worst(chosen.observed, await meanR(features, undefined, many))).toBeLessThan(tolerance);
    expect(chosen.observed).not.toEqual(result.observed);
    expect(chosen.scores).toBeUndefined();
  });

  it('chooses alphas anew for each', async () => {
    using features = Tensor.from(x, [2, n, p]);
    const options: EncodeOptions = {
      alphas: 'logspace:-1:4:8',
      folds: 'contiguous:4',
      innerFolds: 3,
      precision: 'single',
    };
    const result = await refitPermuted(features, permuted(0), { ...options, orders, layer: 1, keep: true });
    using scores = result.scores!;
    const twice = { data: new Float32Array(n * t), rows: n, columns: t };
    for (let row = 0; row < n; row++)
      twice.data.set(permuted(0).data.subarray(orders[n + row]! * t, (orders[n + row]! + 1) * t), row * t);
    const { layers } = await encode(features, twice, options);
    const mine = layers[1]!.targets.map(({ r }) => r);
    expect(worst(scores.toArray().subarray(t, 2 * t), mine)).toBeLessThan(1e-5);
  });

  it('compares sizes when two-sided', async () => {
    using features = Tensor.from(x.subarray(0, n * p), [n, p]);
    const responses = { data: y, rows: n, columns: t };
    const options: EncodeOptions = { alphas: [30], folds: 'contiguous:4' };
    const result = await refitPermuted(features, responses, {
      ...options,
      orders,
      alternative: 'two-sided',
      keep: true,
    });
    using scores = result.scores!;
    const all = scores.toArray();
    for (let j = 0; j < t; j++) {
      if (j === 4) continue;
      let count = 0;
      for (let k = 0; k < P; k++) if (Math.abs(all[k * t + j]!) >= Math.abs(result.observed[j]!)) count++;
      expect(result.reached[j]).toBe(count);
    }
    expect(Math.min(...result.largest)).toBeGreaterThan(0);
  });

  it('refuses what is no permutation, and another grid', async () => {
    using features = Tensor.from(x, [2, n, p]);
    const responses = { data: y, rows: n, columns: t };
    const twice = orders.slice();
    twice[n] = twice[n + 1]!;
    const options: EncodeOptions = { alphas: [30], folds: 'contiguous:4' };
    await expect(refitPermuted(features, responses, { ...options, orders: twice })).rejects.toThrow(
      /each row once in every permutation; row \d+ of permutation 1/,
    );
    await expect(refitPermuted(features, responses, { ...options, orders: orders.slice(1) })).rejects.toThrow(
      /`orders` to be an Int32Array of 48 rows/,
    );
    const { folds } = await encode(features, responses, options);
    await expect(
      refitPermuted(features, responses, { ...options, alphas: [10], orders, chosen: folds }),
    ).rejects.toThrow(/alphas of the given grid/);
  });
});
