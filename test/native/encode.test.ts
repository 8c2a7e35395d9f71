/** Encoding through the addon: both ways of the inner folds, documented edge cases, bad input, cancelling. */
import { describe, expect, it } from 'vitest';
import type { Matrix } from '../../lib/data/types.js';
import { type EncodeOptions, encode } from '../../lib/encode/encode.js';
import { makeFolds } from '../../lib/encode/folds.js';
import { native } from '../../lib/native/load.js';
import { Tensor } from '../../lib/tensor.js';

/** Standard normal numbers, the same in every run. */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

function noise(size: number, seed: number): Float32Array {
  const next = normals(seed);
  return Float32Array.from({ length: size }, next);
}

/** Responses that hold `share` of the sum of the first three features of `layer`. */
function planted(
  features: Float32Array,
  [, n, p]: [number, number, number],
  layer: number,
  t: number,
  share: number,
): Matrix {
  const data = noise(n * t, 99);
  for (let row = 0; row < n; row++) {
    const x = features.subarray((layer * n + row) * p);
    for (let column = 0; column < t; column++)
      data[row * t + column] = data[row * t + column]! * (1 - share) + share * (x[0]! + x[1]! + x[2]!);
  }
  return { data, rows: n, columns: t };
}

function columnsOf(matrix: Matrix, columns: number): Matrix {
  const data = new Float32Array(matrix.rows * columns);
  for (let row = 0; row < matrix.rows; row++)
    data.set(matrix.data.subarray(row * matrix.columns, row * matrix.columns + columns), row * columns);
  return { data, rows: matrix.rows, columns };
}

async function run(data: Float32Array, shape: number[], responses: Matrix, options: EncodeOptions = {}) {
  using features = Tensor.from(data, shape);
  return await encode(features, responses, options);
}

const shape: [number, number, number] = [3, 80, 24];
const features = noise(shape[0] * shape[1] * shape[2], 1);

describe('encode', () => {
  it('finds the planted layer', async () => {
    const scores = await run(features, shape, planted(features, shape, 1, 4, 0.6), { layers: [0, 5, 9] });
    const mean = scores.layers.map(({ targets }) => targets.reduce((sum, { r }) => sum + r / targets.length, 0));
    expect(scores.layers.map(({ layer }) => layer)).toEqual([0, 5, 9]);
    expect(mean[1]).toBeGreaterThan(0.8);
    expect(Math.max(mean[0]!, mean[2]!)).toBeLessThan(0.4);
  });

  // The closed form is chosen for few targets, a factor of each inner fold for many: the same scores must come out.
  // Tolerance: the closed form may lose 1e7 of float64's 1e-16, which can only decide between alphas; the fits are then the same.
  it.each([
    ['wide', [2, 60, 90], 10],
    ['square', [2, 60, 60], 10],
    ['tall', [2, 90, 12], 10],
    // So many values that targets go in chunks.
    ['wide, 100 alphas', [2, 60, 90], 100],
  ] as [string, [number, number, number], number][])(
    'gives a target the same scores alone and among 1,500 (%s)',
    async (_, size, count) => {
      const data = noise(size[0] * size[1] * size[2], 7);
      const many = planted(data, size, 0, 1500, 0.3);
      const alphas = `logspace:-1:8:${count}`;
      const all = await run(data, size, many, { alphas });
      const few = await run(data, size, columnsOf(many, 3), { alphas });
      for (const layer of [0, 1])
        for (let t = 0; t < 3; t++) {
          const [a, b] = [few.layers[layer]!.targets[t]!, all.layers[layer]!.targets[t]!];
          expect(Math.abs(a.r - b.r)).toBeLessThan(1e-9);
          expect(Math.abs(a.r2 - b.r2)).toBeLessThan(1e-9);
          expect(a.alpha / b.alpha).toBeCloseTo(1, 12);
        }
    },
  );

  it('takes [n, p] as one layer, and a tensor of responses', async () => {
    const responses = planted(features, shape, 0, 2, 0.5);
    const one = features.slice(0, shape[1] * shape[2]);
    const a = await run(one, [80, 24], responses);
    using tensor = Tensor.from(responses.data, [80, 2]);
    using layered = Tensor.from(one, [1, 80, 24]);
    const b = await encode(layered, tensor);
    expect(a.layers).toEqual(b.layers);
  });

  it('keeps held-out predictions whose correlation is r', async () => {
    const responses = planted(features, shape, 2, 1, 0.5);
    const scores = await run(features, shape, responses, { predictions: true, folds: 'contiguous:4', trim: 3 });
    using predictions = scores.predictions!;
    expect(predictions.shape).toEqual([3, 80, 1]);
    const values = predictions.toArray().subarray(160, 180); // layer 2, fold 0
    expect([...values].map(Number.isNaN)).toEqual(Array.from({ length: 20 }, (_, row) => row < 3 || row >= 17));
    const truth = responses.data.subarray(3, 17);
    expect(pearson(values.subarray(3, 17), truth)).toBeCloseTo(scores.folds.r[8]!, 5);
  });

  it('has NaN for a target that is constant, and says so', async () => {
    const responses = planted(features, shape, 0, 3, 0.5);
    for (let row = 0; row < 80; row++) responses.data[row * 3 + 1] = 0.1;
    // Constant in the test rows of fold 0 alone.
    for (let row = 0; row < 16; row++) responses.data[row * 3 + 2] = 5;
    const scores = await run(features, shape, responses, { names: ['a', 'flat', 'c'] });
    expect(scores.layers[0]!.targets[1]).toEqual({ name: 'flat', r: Number.NaN, r2: Number.NaN, alpha: Number.NaN });
    expect([scores.folds.r[2], scores.folds.r2[2]]).toEqual([Number.NaN, Number.NaN]);
    expect(scores.folds.alpha[2]).toBeGreaterThan(0);
    expect(scores.layers[0]!.targets[2]!.r).toBeGreaterThan(0);
    expect(scores.warnings.join(' ')).toContain('No score for `flat`: constant');
    const plain = await run(features, shape, responses, { alphaPer: 'shared' });
    expect(plain.layers[0]!.targets[0]!.r).toBeGreaterThan(0);
  });

  it('refuses responses of which none varies', async () => {
    const responses = { data: new Float32Array(160).map((_, i) => (i % 2) + 1), rows: 80, columns: 2 };
    await expect(run(features, shape, responses)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('2 targets that are all constant'),
    });
  });

  it('predicts the mean from features that do not vary: r NaN, R2 at most 0, the largest of equal alphas', async () => {
    const responses = planted(features, shape, 0, 2, 0.5);
    const scores = await run(new Float32Array(80 * 5).fill(0.3), [80, 5], responses, { alphas: '1,10,100' });
    for (const { r, r2, alpha } of scores.layers[0]!.targets) {
      expect(r).toBeNaN();
      expect(r2).toBeLessThanOrEqual(0);
      expect(alpha).toBeCloseTo(100, 9);
    }
    expect(scores.warnings.join(' ')).toContain('largest alpha, 100');
  });

  it('warns of shuffled folds and of a grid that starts too high', async () => {
    const responses = planted(features, shape, 0, 2, 1);
    const scores = await run(features, shape, responses, { folds: 'shuffled:5:1', alphas: '100,1000' });
    expect(scores.warnings[0]).toContain('shuffled');
    expect(scores.warnings.join(' ')).toContain('smallest alpha, 100');
  });

  it('names the first value that is not finite', async () => {
    const responses = planted(features, shape, 0, 3, 0.5);
    const broken = { ...responses, data: responses.data.slice() };
    broken.data[7] = Number.NaN;
    await expect(run(features, shape, broken, { names: ['a', 'b', 'c'] })).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/responses to be finite numbers, got NaN in row 2 of `b`/),
    });
    const infinite = features.slice();
    infinite[shape[1] * shape[2] + 2 * 24 + 5] = Number.POSITIVE_INFINITY;
    await expect(run(infinite, shape, responses)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/features to be finite numbers, got Infinity at layer 1, row 2, column 5/),
    });
  });

  it('refuses what does not fit, in one sentence with a code', async () => {
    const responses = planted(features, shape, 0, 2, 0.5);
    const short = columnsOf({ ...responses, rows: 70 }, 2);
    await expect(run(features, shape, short)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('80, got 70'),
    });
    const wrong: [EncodeOptions, RegExp][] = [
      [{ folds: 'contiguous:90' }, /at most the 80 rows/],
      [{ alphas: '0,1' }, /above 0/],
      [{ names: ['a'] }, /one for each of the 2 targets/],
      [{ layers: [1] }, /one for each of the 3 layers/],
      [{ standardize: 'none' as 'center' }, /`zscore` or `center`/],
      [{ folds: 'grouped' }, /groups/],
      [
        { folds: [{ train: Int32Array.of(0, 1, 2), test: Int32Array.of(2), inner: [] }], alphas: [1] },
        /row 2 is used twice/,
      ],
      [
        { folds: [{ train: Int32Array.of(0, 1), test: Int32Array.of(80), inner: [] }], alphas: [1] },
        /row 80 is used twice or is not one/,
      ],
      [
        { folds: [{ train: Int32Array.of(0), test: Int32Array.of(8), inner: [] }], alphas: [1] },
        /at least 2 training rows, got 1/,
      ],
      [{ folds: makeFolds({ rows: 80, count: 2, inner: 0 }) }, /inner folds to choose among 10 alphas/],
    ];
    for (const [options, sentence] of wrong)
      await expect(run(features, shape, responses, options)).rejects.toMatchObject({
        code: 'ERR_ARGUMENT',
        message: expect.stringMatching(sentence),
      });
    using flat = Tensor.from(features, [features.length]);
    await expect(encode(flat, responses)).rejects.toThrow(
      /Expected `features` to be a tensor \[layers, rows, columns\]/,
    );
  });

  it('reports progress and stops when asked', async () => {
    const responses = planted(features, shape, 0, 2, 0.5);
    const seen: number[] = [];
    await run(features, shape, responses, { onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen.at(-1)).toBe(1);
    const large: [number, number, number] = [20, 300, 400];
    const data = noise(20 * 300 * 400, 3);
    const controller = new AbortController();
    const job = run(data, large, planted(data, large, 0, 50, 0.5), { signal: controller.signal });
    setTimeout(() => controller.abort(), 30);
    await expect(job).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });
});

describe('alignRows', () => {
  it('mixes rows, then puts delayed copies side by side', async () => {
    using words = Tensor.from(Float32Array.of(1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6), [2, 3, 2]);
    const result = native().alignRows({
      tensor: words.handle,
      rowStarts: Int32Array.of(0, 2, 2, 3),
      columns: Int32Array.of(0, 1, 2),
      weights: Float32Array.of(0.5, 0.5, 2),
      delays: Int32Array.of(0, 1, 5),
    });
    using aligned = new Tensor(await result.promise);
    expect(aligned.shape).toEqual([2, 3, 6]);
    const first = [2, 3, 0, 0, 0, 0, /**/ 0, 0, 2, 3, 0, 0, /**/ 10, 12, 0, 0, 0, 0];
    expect([...aligned.toArray()].map((value) => value + 0)).toEqual([...first, ...first.map((value) => 0 - value)]);
  });

  it.each([
    ['rows past the tensor', { columns: Int32Array.of(0, 9) }, /rows of the tensor, 0 to 2, got 9/],
    ['starts that go down', { rowStarts: Int32Array.of(0, 2, 1) }, /`rowStarts` to ascend/],
    ['fewer weights than columns', { weights: Float32Array.of(1) }, /`rowStarts` to ascend/],
    ['no delays', { delays: Int32Array.of() }, /at least one delay/],
  ])('refuses %s', async (_, wrong, sentence) => {
    using tensor = Tensor.from(new Float32Array(6), [3, 2]);
    const valid = {
      rowStarts: Int32Array.of(0, 1, 2),
      columns: Int32Array.of(0, 1),
      weights: Float32Array.of(1, 1),
      delays: Int32Array.of(0),
    };
    const job = native().alignRows({ tensor: tensor.handle, ...valid, ...wrong });
    await expect(job.promise).rejects.toThrow(sentence);
  });
});

function pearson(a: Float32Array, b: Float32Array): number {
  const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i]! - ma) * (b[i]! - mb);
    aa += (a[i]! - ma) ** 2;
    bb += (b[i]! - mb) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
