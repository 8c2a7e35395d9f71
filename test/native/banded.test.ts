/** Banded ridge: finds the band that counts, splits variance, agrees with ridge where bands weigh the same; bad input. */
import { describe, expect, it } from 'vitest';
import { encodeBanded } from '../../lib/encode/banded.js';
import { encode } from '../../lib/encode/encode.js';
import { partitionVariance } from '../../lib/encode/partition.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';

const [n, t, sizes] = [80, 6, [5, 60, 3]];
const p = 68;
const random = new Random(11);
const x = Float32Array.from({ length: n * p }, () => random.normal());
/** Targets 0 and 1 follow the first band, 2 and 3 the last, 4 nothing, 5 is constant. */
const y = Float32Array.from({ length: n * t }, (_, i) => {
  const [row, j] = [Math.floor(i / t), i % t];
  if (j === 5) return 1;
  let sum = random.normal();
  if (j < 2) for (let c = 0; c < 5; c++) sum += x[row * p + c]!;
  if (j === 2 || j === 3) for (let c = 65; c < 68; c++) sum += x[row * p + c]!;
  return sum;
});
const responses = { data: y, rows: n, columns: t };
const mean = (values: Float64Array, j: number, lead = 0, leads = 1) => {
  let sum = 0;
  for (let f = 0; f < 5; f++) sum += values[(f * leads + lead) * t + j]! / 5;
  return sum;
};

describe('encodeBanded', () => {
  it('weighs the band that counts, and gives it the variance', async () => {
    using features = Tensor.from(x, [n, p]);
    const plain = await encode(features, responses, { standardize: 'center' });
    const banded = await encodeBanded(features, responses, { sizes, gammas: 30, standardize: 'center' });
    for (const [j, band] of [
      [0, 0],
      [1, 0],
      [2, 2],
      [3, 2],
    ] as const) {
      expect(mean(banded.gamma, j, band, 3)).toBeGreaterThan(0.7);
      expect(mean(banded.r, j)).toBeGreaterThan(plain.layers[0]!.targets[j]!.r + 0.02);
      expect(mean(banded.split, j, band, 3)).toBeGreaterThan(0.5);
      for (const other of [0, 1, 2])
        if (other !== band) expect(Math.abs(mean(banded.split, j, other, 3))).toBeLessThan(0.15);
    }
    for (const values of [banded.r, banded.r2, banded.split, banded.alpha, banded.gamma])
      expect(values.filter((_, i) => i % t === 5).every(Number.isNaN)).toBe(true);
  });

  it('is ridge where the bands weigh the same, and its split sums to the explained variance', async () => {
    using features = Tensor.from(x, [n, p]);
    const alphas = [1, 30, 1000];
    for (const precision of ['double', 'single'] as const) {
      const tolerance = precision === 'double' ? 1e-9 : 1e-5;
      const plain = await encode(features, responses, { alphas, precision, scores: ['explained'] });
      const same = await encodeBanded(features, responses, {
        sizes,
        gammas: [[1, 1, 1]],
        alphas,
        precision,
        refine: 0,
      });
      for (let i = 0; i < 5 * t; i++) {
        if (i % t === 5) continue;
        expect(same.alpha[i]).toBe(plain.folds.alpha[i]);
        expect(Math.abs(same.r[i]! - plain.folds.r[i]!)).toBeLessThan(tolerance);
        expect(Math.abs(same.r2[i]! - plain.folds.r2[i]!)).toBeLessThan(tolerance);
        const f = Math.floor(i / t);
        const sum = [0, 1, 2].reduce((total, b) => total + same.split[(f * 3 + b) * t + (i % t)]!, 0);
        expect(Math.abs(sum - plain.folds.explained![i]!)).toBeLessThan(tolerance);
      }
    }
  });

  it('only lowers errors by refining, and draws the same weights for a seed', async () => {
    using features = Tensor.from(x, [n, p]);
    const run = (refine: number) => encodeBanded(features, responses, { sizes, gammas: 8, refine, seed: 3 });
    const [coarse, fine, again] = [await run(0), await run(2), await run(2)];
    expect(fine).toEqual(again);
    let lower = 0;
    for (const [i, error] of coarse.error.entries()) {
      if (i % t === 5) continue;
      expect(fine.error[i]).toBeLessThanOrEqual(error);
      if (fine.error[i]! < error) lower++;
    }
    expect(lower).toBeGreaterThan(10);
  });

  it('tells errors of all weights of two bands from those of a few', async () => {
    // In float64 every weighting is fitted by itself. Few errors tell all within 4e-7 of them (three filters within 1e-7 each, and what they
    // are combined by); float32 products of 90 terms add 90 * 2^-24 at most, on average its root.
    const noise = new Random(21);
    const [rows, columns] = [90, 600];
    const two = Float32Array.from({ length: rows * 70 }, () => noise.normal());
    const mixed = Float32Array.from({ length: rows * columns }, (_, i) => {
      const [row, j] = [Math.floor(i / columns), i % columns];
      return two[row * 70 + (j % 70)]! + two[row * 70 + ((7 * j) % 40)]! + 2 * noise.normal();
    });
    using features = Tensor.from(two, [rows, 70]);
    const random = Array.from({ length: 50 }, () => noise.uniform());
    const gammas = [[1, 0], [0, 1], [1e-9, 1 - 1e-9], ...random.map((share) => [share, 1 - share])];
    const alphas = Array.from({ length: 8 }, (_, i) => 10 ** (i - 1));
    const options = { sizes: [40, 30], gammas, alphas, selection: 'fixed', refine: 1 } as const;
    const mixture = { data: mixed, rows, columns };
    const few = await encodeBanded(features, mixture, options);
    const exact = await encodeBanded(features, mixture, { ...options, precision: 'double' });
    let same = 0;
    for (let j = 0; j < columns; j++) {
      expect(Math.abs(few.error[j]! / exact.error[j]! - 1)).toBeLessThan(2e-6);
      if (few.gamma[j] === exact.gamma[j] && few.alpha[j] === exact.alpha[j]) same++;
    }
    expect(same / columns).toBeGreaterThan(0.98); // the others are ties
    // Weights whose sums differ are penalties that differ: no ratio tells them.
    const uneven = { ...options, gammas: gammas.map((row, g) => row.map((value) => value * (1 + (g % 3)))), refine: 0 };
    const [other, plain] = [
      await encodeBanded(features, mixture, uneven),
      await encodeBanded(features, mixture, { ...uneven, precision: 'double' }),
    ];
    for (let j = 0; j < columns; j++) expect(Math.abs(other.error[j]! / plain.error[j]! - 1)).toBeLessThan(2e-6);
  });

  it.each([
    [{ sizes: [5, 60] }, /add up to the 68/],
    [{ sizes: [68, 0] }, /at least 1/],
    [{ sizes, gammas: 0 }, /an integer from 1/],
    [{ sizes, gammas: [[1, 1]] }, /rows of 3 weights/],
    [{ sizes, gammas: [[0, 0, 0]] }, /not all 0/],
    [{ sizes, refine: -1 }, /from 0 to 10/],
  ])('refuses %j', async (options, message) => {
    using features = Tensor.from(x, [n, p]);
    await expect(encodeBanded(features, responses, options)).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });
});

describe('partitionVariance', () => {
  it('gives unique and shared variance that sums to all of it', async () => {
    // Bands a, b and a noisy copy of a: what a explains is shared with its copy, what b explains is its own.
    const noise = new Random(4);
    const [rows, columns] = [240, 9];
    const data = new Float32Array(rows * columns);
    const target = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      const x = data.subarray(row * columns, (row + 1) * columns);
      for (let c = 0; c < 6; c++) x[c] = noise.normal();
      for (let c = 0; c < 3; c++) x[6 + c] = x[c]! + 0.1 * noise.normal();
      target[row] = x[0]! + x[1]! + x[2]! + x[3]! + x[4]! + x[5]! + noise.normal();
    }
    using features = Tensor.from(data, [rows, columns]);
    const seen: number[] = [];
    const { parts, r2, sets } = await partitionVariance(
      features,
      { data: target, rows, columns: 1 },
      { sizes: [3, 3, 3], gammas: 10, refine: 1, onProgress: (q) => seen.push(q.done / q.total) },
    );
    expect(sets).toBe(7);
    // R2 of all is 6 / 7 of the variance: half of it shared by a and its copy (bands 0 and 2, set 5), half unique to b (set 2).
    expect(r2[6]).toBeGreaterThan(0.8);
    expect(parts[4]).toBeGreaterThan(0.35);
    expect(parts[1]).toBeGreaterThan(0.35);
    for (const set of [1, 3, 4, 6, 7]) expect(Math.abs(parts[set - 1]!), `set ${set}`).toBeLessThan(0.06);
    expect(parts.reduce((a, b) => a + b)).toBeCloseTo(r2[6]!, 12);
    expect(seen.at(-1)).toBe(1);
  });

  it('refuses one band', async () => {
    using features = Tensor.from(x, [n, p]);
    await expect(partitionVariance(features, responses, { sizes: [68] })).rejects.toThrow(/2 to 5 bands/);
  });
});
