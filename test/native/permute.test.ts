/** Scores under permuted responses equal those of encoding the permuted responses, one by one. */
import { describe, expect, it } from 'vitest';
import { type EncodeOptions, encode } from '../../lib/encode/encode.js';
import { refitPermuted } from '../../lib/encode/permute.js';
import { native } from '../../lib/native/load.js';
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

  it.each(['target', 'shared'] as const)(
    'chooses one alpha per %s anew, over more targets than one tile',
    async (alphaPer) => {
      const many = 2050;
      const wide = Float32Array.from({ length: n * many }, (_, i) => y[Math.floor(i / many) * t + (i % 4)]! + (i % 7));
      using features = Tensor.from(x.subarray(0, n * p), [n, p]);
      const options: EncodeOptions = { alphas: [1, 30, 1000], folds: 'contiguous:4', innerFolds: 3, alphaPer };
      const responses = { data: wide, rows: n, columns: many };
      const found = await refitPermuted(features, responses, {
        ...options,
        orders: orders.subarray(0, 2 * n),
        keep: true,
      });
      using scores = found.scores!;
      const second = new Float32Array(n * many);
      for (let row = 0; row < n; row++)
        second.set(wide.subarray(orders[n + row]! * many, (orders[n + row]! + 1) * many), row * many);
      const again = await encode(features, { ...responses, data: second }, options);
      const mine = again.layers[0]!.targets.map(({ r }) => r);
      expect(worst(scores.toArray().subarray(many), mine)).toBeLessThan(1e-5);
      const { threads } = native().info();
      native().setThreads(threads === 1 ? 2 : 1);
      const other = await refitPermuted(features, responses, { ...options, orders: orders.subarray(0, 2 * n) });
      native().setThreads(threads);
      expect([other.observed, other.reached, other.largest]).toEqual([found.observed, found.reached, found.largest]);
    },
  );

  it.each([
    ['double', 1e-7],
    ['single', 1e-5],
  ] as const)('fits responses of other phases, run by run, %s', async (precision, tolerance) => {
    // Runs of an odd and an even number of rows, interleaved. By the definition: every component turned, the mean kept.
    const runs = [0, 1].map((run) =>
      Int32Array.from({ length: n }, (_, i) => i).filter((i) => (i < 31 ? i % 2 : 1) === run),
    );
    const bins = runs.map((run) => Math.floor(run.length / 2) + 1);
    const random = new Random(9);
    const values = Float64Array.from({ length: 2 * (bins[0]! + bins[1]!) }, () => 6 * random.uniform());
    const turned = new Float32Array(n * t);
    for (const [which, run] of runs.entries()) {
      const m = run.length;
      const phases = values.subarray(bins[0]! + bins[1]! + (which === 0 ? 0 : bins[0]!));
      for (let j = 0; j < t; j++)
        for (let i = 0; i < m; i++) {
          let sum = 0;
          for (let f = 0; f < bins[which]!; f++) {
            const once = f === 0 || 2 * f === m;
            const shift = f === 0 ? 0 : once ? (Math.cos(phases[f]!) >= 0 ? 0 : Math.PI) : phases[f]!;
            for (let k = 0; k < m; k++)
              sum += ((once ? 1 : 2) / m) * y[run[k]! * t + j]! * Math.cos((2 * Math.PI * f * (i - k)) / m + shift);
          }
          turned[run[i]! * t + j] = sum;
        }
    }
    using features = Tensor.from(x.subarray(0, n * p), [n, p]);
    const options: EncodeOptions = { alphas: [1, 30, 1000], folds: 'contiguous:4', innerFolds: 3, precision };
    const responses = { data: y, rows: n, columns: t };
    const first = await encode(features, responses, options);
    for (const chosen of [undefined, first.folds]) {
      const found = await refitPermuted(features, responses, {
        ...options,
        phases: { runs, values },
        chosen,
        keep: true,
      });
      using scores = found.scores!;
      expect(
        worst(
          found.observed,
          first.layers[0]!.targets.map(({ r }) => r),
        ),
      ).toBeLessThan(tolerance);
      if (chosen) continue; // alphas of the measured responses: compared with one alpha below
      const again = await encode(features, { ...responses, data: turned }, options);
      // The responses made here are rounded to float32.
      const mine = again.layers[0]!.targets.map(({ r }) => r);
      expect(worst(scores.toArray().subarray(t), mine)).toBeLessThan(1e-5);
    }
    const one = { ...options, alphas: [30] };
    const found = await refitPermuted(features, responses, { ...one, phases: { runs, values }, keep: true });
    using scores = found.scores!;
    const again = await encode(features, { ...responses, data: turned }, one);
    expect(
      worst(
        scores.toArray().subarray(t),
        again.layers[0]!.targets.map(({ r }) => r),
      ),
    ).toBeLessThan(1e-5);
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
    const whole = Int32Array.from({ length: n }, (_, i) => i);
    const phases = { runs: [whole], values: new Float64Array(25) };
    for (const [wrong, message] of [
      [{ runs: [whole.subarray(1)], values: phases.values }, /runs of all 48 rows/],
      [{ runs: [whole, whole], values: phases.values }, /each row once, got row 0/],
      [{ runs: [whole], values: new Float64Array(24) }, /phases of each run/],
    ] as const)
      await expect(refitPermuted(features, responses, { ...options, phases: wrong })).rejects.toThrow(message);
    await expect(refitPermuted(features, responses, { ...options, phases, orders })).rejects.toThrow(/and not both/);
    const { folds } = await encode(features, responses, options);
    await expect(
      refitPermuted(features, responses, { ...options, alphas: [10], orders, chosen: folds }),
    ).rejects.toThrow(/alphas of the given grid/);
  });
});
