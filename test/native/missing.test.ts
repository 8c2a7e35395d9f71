/** Missing responses: each target as if its rows were not there. */
import { describe, expect, it } from 'vitest';
import { type EncodeOptions, encode } from '../../lib/encode/encode.js';
import { makeFolds } from '../../lib/encode/folds.js';
import type { FoldRows } from '../../lib/native/types.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';

const [L, n, p, t] = [2, 60, 20, 6];
const random = new Random(2);
const x = Float32Array.from({ length: L * n * p }, () => random.normal());
const whole = Float32Array.from({ length: n * t }, (_, i) => x[Math.floor(i / t) * p + (i % t)]! + random.normal());
/** Rows that targets lack: 1 and 3 the same. */
const missing = [[], [3, 4, 40], [0], [3, 4, 40], Array.from({ length: n }, (_, i) => i), []];
const y = whole.slice();
for (const [j, rows] of missing.entries()) for (const row of rows) y[row * t + j] = Number.NaN;

/** One target's scores on data without the rows it lacks. */
async function alone(j: number, options: EncodeOptions) {
  const kept = Array.from({ length: n }, (_, row) => row).filter((row) => !missing[j]!.includes(row));
  const place = new Map(kept.map((row, i) => [row, i]));
  const move = (rows: Int32Array) =>
    Int32Array.from([...rows].filter((row) => place.has(row)).map((row) => place.get(row)!));
  const folds: FoldRows[] = makeFolds({ rows: n, count: 5, inner: options.selection === 'fixed' ? 0 : 4 }).map(
    (fold) => ({
      train: move(fold.train),
      test: move(fold.test),
      inner: fold.inner.map(({ train, test }) => ({ train: move(train), test: move(test) })),
    }),
  );
  const data = new Float32Array(L * kept.length * p);
  for (let l = 0; l < L; l++)
    for (const [i, row] of kept.entries())
      data.set(x.subarray((l * n + row) * p, (l * n + row + 1) * p), (l * kept.length + i) * p);
  using features = Tensor.from(data, [L, kept.length, p]);
  const column = { data: Float32Array.from(kept, (row) => whole[row * t + j]!), rows: kept.length, columns: 1 };
  return await encode(features, column, { ...options, folds });
}

describe('missing responses', () => {
  it.each(['nested', 'fixed'] as const)('are left out of their target alone (%s)', async (selection) => {
    using features = Tensor.from(x, [L, n, p]);
    const options: EncodeOptions = { selection, innerFolds: 4, scores: ['spearman', 'explained'] };
    const seen: number[] = [];
    const result = await encode(
      features,
      { data: y, rows: n, columns: t },
      {
        ...options,
        missing: 'drop',
        weights: 'primal',
        predictions: true,
        onProgress: (q) => seen.push(q.done / q.total),
      },
    );
    using weights = result.weights!;
    using intercepts = result.intercepts!;
    using predictions = result.predictions!;
    const outer = selection === 'fixed' ? 1 : 5;
    expect(weights.shape).toEqual([L, outer, p, t]);
    expect(intercepts.shape).toEqual([L, outer, t]);
    expect(predictions.shape).toEqual([L, n, t]);
    for (const j of [0, 1, 2, 3, 5]) {
      const { folds } = await alone(j, options);
      for (const name of ['r', 'r2', 'alpha', 'spearman', 'explained'] as const) {
        const mine = result.folds[name]!.filter((_, i) => i % t === j);
        for (const [i, value] of folds[name]!.entries())
          expect(Math.abs(mine[i]! / value - 1), name).toBeLessThan(1e-6);
      }
    }
    for (const name of ['r', 'r2', 'alpha'] as const)
      expect(result.folds[name].filter((_, i) => i % t === 4).every(Number.isNaN)).toBe(true);
    expect(result.warnings.join(' ')).toContain('No score for `4`');
    expect(seen.every((share, i) => i === 0 || share >= seen[i - 1]!)).toBe(true);
    expect(seen.at(-1)).toBe(1);
  });

  it('are an error unless asked for, Infinity always', async () => {
    using features = Tensor.from(x, [L, n, p]);
    await expect(encode(features, { data: y, rows: n, columns: t })).rejects.toThrow(/finite numbers, got NaN/);
    const infinite = y.slice();
    infinite[0] = Number.POSITIVE_INFINITY;
    await expect(encode(features, { data: infinite, rows: n, columns: t }, { missing: 'drop' })).rejects.toThrow(
      /finite numbers, got Infinity/,
    );
    const none = { data: new Float32Array(n * t).fill(Number.NaN), rows: n, columns: t };
    await expect(encode(features, none, { missing: 'drop' })).rejects.toThrow(/every target lacks too many/);
    await expect(
      encode(features, { data: y, rows: n, columns: t }, { missing: 'drop', weights: 'dual' }),
    ).rejects.toThrow(/`primal` where responses are missing/);
  });
});
