/**
 * Tests on simulations: under the null hypothesis each rejects at 5 % within the binomial interval, planted effects are found,
 * intervals cover what is true. Targets are independent series, so a few calls give thousands of tests.
 *
 * The interval used is the one that a right test leaves once in a thousand runs; seeds are fixed, so the tests themselves do not.
 */
import { describe, expect, it } from 'vitest';
import { bootstrapScores, permutationTest } from '../../lib/analysis/resample.js';
import { parseExchange, stretches, surrogateOrders } from '../../lib/analysis/surrogates.js';
import { pearson } from '../../lib/data/ceiling.js';
import { makeFolds } from '../../lib/encode/folds.js';
import { native } from '../../lib/native/load.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';
import { autoregressive, binomialBounds, matrixOf } from '../helpers/series.js';

/** Predictions and responses of `count` independent targets, both autocorrelated; `share` of the response is the prediction. */
function simulated(n: number, count: number, phi: number, share: number, seed: number) {
  const random = new Random(seed);
  const a = Array.from({ length: count }, () => autoregressive(n, phi, random));
  const b = a.map((series) => {
    const own = autoregressive(n, phi, random);
    return own.map((value, i) => share * series[i]! + Math.sqrt(1 - share * share) * value);
  });
  const predictions = matrixOf(a);
  return { predictions: Tensor.from(predictions.data, [n, count]), responses: matrixOf(b), a, b };
}

const folds = (rows: number, count: number) => makeFolds({ rows, count, inner: 0 });
const rejected = (p: Float64Array) => p.filter((value) => value <= 0.05).length / p.length;

describe('permutation tests under the null hypothesis', () => {
  const kTests = 1500;
  const bounds = binomialBounds(kTests, 0.05);

  it.each([
    ['block:20', 0.5],
    ['circular', 0.5],
    ['phase', 0.5],
    ['circular', 0.8],
    ['phase', 0.8],
    ['rows', 0],
  ])('%s rejects one in twenty of series of autocorrelation %s', async (how, phi) => {
    const { predictions, responses } = simulated(300, kTests, phi, 0, 11);
    using kept = predictions;
    const { p } = await permutationTest(kept, responses, folds(300, 2), { exchange: how, permutations: 399 });
    expect(rejected(p)).toBeGreaterThan(bounds.from);
    expect(rejected(p)).toBeLessThan(bounds.to);
  });

  it('exchanged rows would reject too many: what the others are for', async () => {
    const { predictions, responses } = simulated(300, 500, 0.8, 0, 11);
    using kept = predictions;
    const { p } = await permutationTest(kept, responses, folds(300, 2), { exchange: 'rows', permutations: 199 });
    expect(rejected(p)).toBeGreaterThan(0.15);
  });

  it('the largest of many targets rejects 5 % of studies', async () => {
    let hits = 0;
    const kStudies = 300;
    for (let study = 0; study < kStudies; study++) {
      const { predictions, responses } = simulated(120, 10, 0.4, 0, 1000 + study);
      using kept = predictions;
      const options = { exchange: 'circular', permutations: 199, seed: study };
      const { pMax } = await permutationTest(kept, responses, folds(120, 2), options);
      if (Math.min(...pMax) <= 0.05) hits++;
    }
    const { from, to } = binomialBounds(kStudies, 0.05);
    expect(hits / kStudies).toBeGreaterThan(from);
    expect(hits / kStudies).toBeLessThan(to);
  });
});

describe('permutation tests of planted effects', () => {
  it.each(['block:10', 'circular', 'phase'])(
    '%s finds nearly all of them, and keeps the discovery rate',
    async (how) => {
      // Half of the targets hold an effect of r = 0.35 or -0.35; five studies, as the share of false discoveries of one varies much.
      let [right, wrong, sure] = [0, 0, 0];
      for (let study = 0; study < 5; study++) {
        const planted = simulated(300, 200, 0.5, 0.35, 100 + study);
        const none = simulated(300, 200, 0.5, 0, 200 + study);
        planted.predictions.dispose();
        none.predictions.dispose();
        const a = matrixOf([...planted.a, ...none.a]);
        const b = matrixOf([...planted.b.map((series, i) => (i % 2 ? series.map((v) => -v) : series)), ...none.b]);
        using predictions = Tensor.from(a.data, [300, 400]);
        const options = { exchange: how, permutations: 999, alternative: 'two-sided' as const };
        const test = await permutationTest(predictions, b, folds(300, 2), options);
        const found = [...test.fdr].map((q) => q <= 0.05);
        right += found.slice(0, 200).filter(Boolean).length;
        wrong += found.slice(200).filter(Boolean).length;
        sure += test.pMax.slice(0, 200).filter((p) => p <= 0.05).length;
      }
      expect(right).toBeGreaterThan(950);
      expect(wrong / (right + wrong)).toBeLessThan(0.05);
      expect(sure).toBeGreaterThan(700); // the largest of 400 is a stricter measure
    },
  );

  it('scores as pearson does, fold by fold, and a constant target has no score', async () => {
    const { predictions, responses, a, b } = simulated(60, 3, 0.3, 0.5, 31);
    using kept = predictions;
    for (let row = 0; row < 60; row++) responses.data[row * 3 + 2] = 4.5;
    const parts = folds(60, 3);
    const { r, p, fdr, pMax } = await permutationTest(kept, responses, parts, { permutations: 19, exchange: 'phase' });
    const of = (c: number) =>
      parts.reduce((sum, { test }) => {
        const pick = (series: Float64Array) => Array.from(test, (row) => Math.fround(series[row]!));
        return sum + pearson(pick(a[c]!), pick(b[c]!)) / 3;
      }, 0);
    expect(r[0]).toBeCloseTo(of(0), 10);
    expect(r[1]).toBeCloseTo(of(1), 10);
    for (const values of [r, p, fdr, pMax]) expect(values[2]).toBeNaN();
  });

  it('does not depend on how many targets are tested together', async () => {
    const { predictions, responses, a, b } = simulated(90, 40, 0.3, 0.2, 41);
    using kept = predictions;
    using one = Tensor.from(matrixOf([a[37]!]).data, [90, 1]);
    for (const how of ['block:7', 'phase']) {
      const options = { exchange: how, permutations: 99, seed: 3 };
      const all = await permutationTest(kept, responses, folds(90, 2), options);
      const alone = await permutationTest(one, matrixOf([b[37]!]), folds(90, 2), options);
      expect(alone.p[0]).toBe(all.p[37]);
      expect(alone.r[0]).toBe(all.r[37]);
    }
  });
});

describe('exchanges within runs', () => {
  it('stay in their run where a test fold holds several', () => {
    const groups = Array.from({ length: 24 }, (_, row) => Math.floor(row / 6));
    const halves = makeFolds({ rows: 24, kind: 'grouped', count: 2, groups, inner: 0 });
    const sizes = stretches({ kind: 'circular' }, halves, groups);
    expect(sizes).toEqual([6, 6, 6, 6]);
    expect(stretches({ kind: 'phase' }, halves, groups)).toEqual([12, 12]);
    const orders = surrogateOrders({ kind: 'circular' }, sizes, 20, 1);
    expect([...orders].every((place, i) => Math.floor(place / 6) === Math.floor((i % 24) / 6))).toBe(true);
  });

  it('reject one in twenty', async () => {
    const { predictions, responses } = simulated(240, 1000, 0.5, 0, 71);
    using kept = predictions;
    const groups = Array.from({ length: 240 }, (_, row) => Math.floor(row / 60));
    const options = { exchange: 'circular', permutations: 199, groups };
    const { p } = await permutationTest(kept, responses, folds(240, 2), options);
    const { from, to } = binomialBounds(1000, 0.05);
    expect(rejected(p)).toBeGreaterThan(from);
    expect(rejected(p)).toBeLessThan(to);
  });
});

describe('results', () => {
  it('do not depend on the number of threads', async () => {
    const { predictions, responses } = simulated(120, 300, 0.4, 0.1, 61);
    using kept = predictions;
    const all = async (threads: number) => {
      native().setThreads(threads);
      const exchanged = [];
      for (const exchange of ['circular', 'phase'])
        exchanged.push(await permutationTest(kept, responses, folds(120, 2), { exchange, permutations: 49 }));
      return { exchanged, resampled: await bootstrapScores(kept, responses, folds(120, 2), { resamples: 49 }) };
    };
    const { threads } = native().info();
    const [one, two] = [await all(1), await all(2)];
    native().setThreads(threads);
    for (const [i, test] of two.exchanged.entries()) {
      expect(test.r).toEqual(one.exchanged[i]!.r);
      expect(test.p).toEqual(one.exchanged[i]!.p);
    }
    // Products of matrices may be summed in another order: 1e-12.
    for (const key of ['lower', 'upper', 'error'] as const)
      for (const [c, value] of two.resampled[key].entries())
        expect(Math.abs(value - one.resampled[key][c]!)).toBeLessThan(1e-12);
  });
});

describe('bootstrap intervals', () => {
  it.each([
    [1, 0],
    [15, 0.5],
  ])('of blocks of %s cover the true r of series of autocorrelation %s', async (block, phi) => {
    const { predictions, responses } = simulated(400, 600, phi, 0.5, 51);
    using kept = predictions;
    const { lower, upper, error, mean } = await bootstrapScores(kept, responses, folds(400, 2), {
      block,
      resamples: 500,
    });
    const covered = lower.filter((low, c) => low <= 0.5 && upper[c]! >= 0.5).length / 600;
    // Percentile intervals of two folds of 200 rows are a little narrow: 95 % is reached as rows grow.
    expect(covered).toBeGreaterThan(0.91);
    expect(covered).toBeLessThan(0.98);
    if (phi === 0) expect(error[0]).toBeGreaterThan(0.02);
    expect(mean.lower).toBeLessThan(mean.value);
    expect(mean.upper - mean.lower).toBeLessThan(0.02);
  });
});

describe('what is refused', () => {
  it('forms of null hypotheses', () => {
    expect(parseExchange('block:12')).toEqual({ kind: 'block', length: 12 });
    for (const text of ['block', 'block:0', 'rows:3', 'shuffle', 'block:-1'])
      expect(() => parseExchange(text)).toThrow(/Expected `exchange` to be `block:ROWS`/);
    expect(() => surrogateOrders({ kind: 'block', length: 50 }, [50, 30], 1, 0)).toThrow(/shorter than the 50 rows/);
  });

  it('shapes and options', async () => {
    using a = Tensor.from(
      new Float32Array(12).map((_, i) => Math.sin(i * i)),
      [6, 2],
    );
    const b = { data: a.toArray(), rows: 6, columns: 2 };
    const parts = folds(6, 2);
    const options = { exchange: 'rows', permutations: 9 };
    await expect(permutationTest(a, { ...b, rows: 4, columns: 3 }, parts, options)).rejects.toThrow(/\[6, 2\]/);
    await expect(permutationTest(a, b, [], options)).rejects.toThrow(/at least one/);
    await expect(permutationTest(a, b, parts, { ...options, permutations: 0 })).rejects.toThrow(/1 to 1,000,000/);
    await expect(bootstrapScores(a, b, parts, { level: 1 })).rejects.toThrow(/between 0 and 1/);
    await expect(bootstrapScores(a, b, parts, { block: 3 })).rejects.toThrow(/fewer than the 3 rows of a part/);
    await expect(bootstrapScores(a, b, parts, { block: 0 })).rejects.toThrow(/number of rows, 1 or more/);
  });

  it('more than memory holds', async () => {
    const { predictions, responses } = simulated(300, 500, 0, 0, 1);
    using kept = predictions;
    const parts = folds(300, 2);
    const many = { permutations: 1_000_000, resamples: 1_000_000 };
    await expect(permutationTest(kept, responses, parts, many)).rejects.toThrow(/at most 666666 for 300 rows/);
    using wide = Tensor.from(new Float32Array(8 * 4096), [8, 4096]);
    const options = { exchange: 'rows', permutations: 70_000 };
    await expect(permutationTest(wide, wide, folds(8, 2), options)).rejects.toThrow(
      /at most 61035 for so many targets/,
    );
    await expect(bootstrapScores(kept, responses, parts, many)).rejects.toThrow(/at most 666666 for 300 rows/);
  });

  it('stops when asked', async () => {
    const { predictions, responses } = simulated(300, 2000, 0, 0, 1);
    using kept = predictions;
    const signal = AbortSignal.timeout(100);
    const options = { permutations: 3000, exchange: 'circular', signal };
    await expect(permutationTest(kept, responses, folds(300, 2), options)).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_CANCELLED' }),
    );
  });
});
