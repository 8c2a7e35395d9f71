/** Single precision, both ways of its held-out errors, and what may not change results: threads, tiles, company. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type EncodeOptions, encode } from '../../lib/encode/encode.js';
import { native } from '../../lib/native/load.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';

const kPeak = fileURLToPath(new URL('encode-peak.mjs', import.meta.url));

/** Features, and responses that hold some of them and much noise. */
function makeData(n: number, p: number, t: number, L = 1) {
  const random = new Random(n + p + t);
  const normal = () => random.normal();
  const x = Float32Array.from({ length: L * n * p }, normal);
  const weights = Float32Array.from({ length: 5 * t }, normal);
  const y = Float32Array.from({ length: n * t }, (_, i) => {
    const [row, target] = [Math.floor(i / t), i % t];
    let sum = 3 + 4 * normal();
    for (let k = 0; k < Math.min(5, p); k++) sum += x[row * p + k]! * weights[k * t + target]!;
    return sum;
  });
  return { features: Tensor.from(x, [L, n, p]), responses: Tensor.from(y, [n, t]) };
}

const threads = native().info().threads;
afterAll(() => native().setThreads(threads));

// Many targets for the rows: joined forms; few, or fewer features than rows: spectral ones. 12 alphas are kept whole, 60 are not.
const sizes: [string, number, number, number, number][] = [
  ['joined', 40, 50, 1100, 12],
  ['joined, dense grid', 40, 50, 1100, 40],
  ['spectral, wide', 60, 80, 20, 40],
  ['spectral, tall', 60, 8, 1100, 40],
];

describe('single precision', () => {
  it.each(sizes)('is within 1e-5 of double (%s)', async (_, n, p, t, count) => {
    const { features, responses } = makeData(n, p, t);
    for (const selection of ['nested', 'fixed'] as const) {
      const options: EncodeOptions = { alphas: `logspace:-1:6:${count}`, selection };
      const double = await encode(features, responses, { ...options, precision: 'double' });
      const single = await encode(features, responses, { ...options, precision: 'single' });
      const { alpha, r, r2 } = single.folds;
      const same = Array.from(alpha.keys()).filter((i) => alpha[i] === double.folds.alpha[i]);
      expect(same.length / alpha.length).toBeGreaterThan(0.999);
      const worst = (a: Float64Array, b: Float64Array) => Math.max(...same.map((i) => Math.abs(a[i]! - b[i]!)));
      expect(worst(r, double.folds.r)).toBeLessThan(1e-5);
      expect(worst(r2, double.folds.r2)).toBeLessThan(1e-5);
    }
    features.dispose();
    responses.dispose();
  });

  // Squares of such responses are beyond float32; powers of two scale everything exactly.
  it.each(sizes)('takes responses of any size (%s)', async (_, n, p, t, count) => {
    const { features, responses } = makeData(n, p, t);
    const values = responses.toArray();
    const options: EncodeOptions = { alphas: `logspace:-1:6:${count}`, precision: 'single' };
    const { folds } = await encode(features, responses, options);
    for (const factor of [2 ** 70, 2 ** -75]) {
      using scaled = Tensor.from(
        values.map((value) => value * factor),
        [n, t],
      );
      const found = await encode(features, scaled, options);
      expect(found.folds.alpha).toEqual(folds.alpha);
      expect(found.folds.r).toEqual(folds.r);
    }
    features.dispose();
    responses.dispose();
  });

  it('is chosen for many targets alone', async () => {
    const { features, responses } = makeData(40, 8, 2000);
    const auto = await encode(features, responses);
    expect(auto.folds.r).toEqual((await encode(features, responses, { precision: 'single' })).folds.r);
    expect(auto.folds.r).not.toEqual((await encode(features, responses, { precision: 'double' })).folds.r);
    features.dispose();
    responses.dispose();
  });

  it('has one alpha for all when asked, the one of double', async () => {
    const { features, responses } = makeData(40, 50, 1100);
    const options: EncodeOptions = { alphaPer: 'shared', alphas: 'logspace:-1:6:30' };
    const [single, double] = [
      await encode(features, responses, { ...options, precision: 'single' }),
      await encode(features, responses, { ...options, precision: 'double' }),
    ];
    expect(single.folds.alpha).toEqual(double.folds.alpha);
    expect(new Set(single.folds.alpha).size).toBeLessThanOrEqual(5);
    features.dispose();
    responses.dispose();
  });
});

describe('the same bits', () => {
  it.each([
    ['single', 40, 50, 1500],
    ['single', 60, 8, 1500],
    ['double', 40, 50, 50],
    ['double', 60, 8, 600],
  ] as const)('for any number of threads (%s, %i x %i, %i targets)', async (precision, n, p, t) => {
    const { features, responses } = makeData(n, p, t, 1);
    const all = [];
    for (const count of [1, 2]) {
      native().setThreads(count);
      const { folds, weights, intercepts } = await encode(features, responses, {
        precision,
        alphas: 'logspace:-1:6:20',
        weights: 'primal',
      });
      all.push({ ...folds, weights: weights!.toArray(), intercepts: intercepts!.toArray() });
      weights!.dispose();
      intercepts!.dispose();
    }
    expect(all[1]).toEqual(all[0]);
    features.dispose();
    responses.dispose();
  });
});

describe('memory', () => {
  it('is refused before the work where it cannot do, and changes no score where it can', async () => {
    const { features, responses } = makeData(40, 50, 300, 3);
    const options: EncodeOptions = { alphas: 'logspace:-1:6:8' };
    await expect(encode(features, responses, { ...options, memory: 1e6 })).rejects.toMatchObject({
      code: 'ERR_MEMORY',
      message: expect.stringMatching(/fit in `memory`, 1 MiB, and it needs about \d+ MiB/),
    });
    const [free, bound] = [
      await encode(features, responses, options),
      await encode(features, responses, { ...options, memory: 400e6 }),
    ];
    expect(bound.folds).toEqual(free.folds);
    // Residuals of the folds that are scored are kept where there is room, and made twice where there is none.
    const fixed: EncodeOptions = { ...options, selection: 'fixed', precision: 'single' };
    const refused = await encode(features, responses, { ...fixed, memory: 1e6 }).catch(String);
    const least = 2 ** 20 * Number(/needs about (\d+) MiB/.exec(String(refused))![1]);
    const roomy = await encode(features, responses, fixed);
    expect((await encode(features, responses, { ...fixed, memory: least })).folds).toEqual(roomy.folds);
    await expect(encode(features, responses, { ...options, memory: -1 })).rejects.toThrow(/bytes, above 0/);
    features.dispose();
    responses.dispose();
  });
});

// The peak is read from /proc, which only Linux has.
describe.skipIf(process.platform !== 'linux')('the least memory that is not refused', () => {
  it.each([
    ['nested folds', { n: 500, p: 600, t: 2000, options: { alphas: 'logspace:-1:8:20', precision: 'single' } }],
    [
      'folds that are scored choose alphas: their residuals and fits are matrices for each',
      { n: 700, p: 768, t: 2000, options: { alphas: 'logspace:-1:8:30', precision: 'single', selection: 'fixed' } },
    ],
  ])('is not exceeded: %s', { timeout: 60_000 }, (_, study) => {
    const said = execFileSync(process.execPath, ['--expose-gc', kPeak, JSON.stringify(study)]).toString();
    const { memory, held } = JSON.parse(said) as { memory: number; held: number };
    expect(held).toBeLessThan(memory);
    // Nor is more asked for than helps.
    expect(held).toBeGreaterThan(memory / 4);
  });
});

describe('cancelling', () => {
  it('takes less than a second among many targets', async () => {
    const { features, responses } = makeData(300, 400, 3000);
    const controller = new AbortController();
    let cancelled = 0;
    setTimeout(() => {
      cancelled = performance.now();
      controller.abort();
    }, 100);
    const done: number[] = [];
    await expect(
      encode(features, responses, {
        alphas: 'logspace:-1:8:40',
        signal: controller.signal,
        onProgress: (p) => done.push(p.done / p.total),
      }),
    ).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    // Busy machines included: the work itself stops after one tile or factorisation.
    expect(performance.now() - cancelled).toBeLessThan(3000);
    expect(done.every((share) => share < 1)).toBe(true);
    features.dispose();
    responses.dispose();
  });
});
