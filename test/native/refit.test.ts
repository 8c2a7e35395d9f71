/** Permutation tests that fit everything again: 5 % under the null hypothesis, power, and independence of batches. */
import { describe, expect, it } from 'vitest';
import { refitTest } from '../../lib/analysis/refit.js';
import { rowOrders } from '../../lib/analysis/surrogates.js';
import { encode } from '../../lib/encode/encode.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';
import { expectClose } from '../helpers/arrays.js';
import { autoregressive, binomialBounds, matrixOf } from '../helpers/series.js';

/** Autocorrelated features, and responses that are a mixture of them and of noise of their own. */
function simulated(n: number, targets: number, share: number, seed: number) {
  const random = new Random(seed);
  const features = Array.from({ length: 6 }, () => autoregressive(n, 0.5, random));
  const responses = Array.from({ length: targets }, () => {
    const weights = features.map(() => random.normal());
    const length = Math.hypot(...weights);
    const own = autoregressive(n, 0.5, random);
    return own.map((value, i) => {
      const signal = features.reduce((sum, feature, k) => sum + (weights[k]! / length) * feature[i]!, 0);
      return share * signal + Math.sqrt(1 - share * share) * value;
    });
  });
  const { data } = matrixOf(features);
  return { features: Tensor.from(data, [n, 6]), responses: matrixOf(responses) };
}

const options = { folds: 'contiguous:3', innerFolds: 3, alphas: [1, 100, 10_000] };

describe('refitTest', () => {
  it.each(['fixed', 'reselect'] as const)(
    'rejects one in twenty of targets without an effect, alphas %s',
    async (refit) => {
      const { features, responses } = simulated(150, 800, 0, 1);
      using kept = features;
      const { p } = await refitTest(kept, responses, { ...options, refit, exchange: 'circular', permutations: 59 });
      const rejected = p.filter((value) => value <= 0.05).length / p.length;
      // p is a multiple of 1 / 60, of which the third is 0.05. Targets share the features, so they are not quite independent.
      const { from, to } = binomialBounds(p.length, 0.05);
      expect(rejected).toBeGreaterThan(from);
      expect(rejected).toBeLessThan(to);
    },
  );

  it('finds planted effects, and has the scores of encode and of permutations encoded one by one', async () => {
    const { features, responses } = simulated(150, 12, 0.6, 2);
    using kept = features;
    const { r, p, fdr, pMax } = await refitTest(kept, responses, { ...options, permutations: 199 });
    const { layers } = await encode(kept, responses, options);
    expectClose(
      r,
      layers[0]!.targets.map((target) => target.r),
      1e-9,
    );
    expect(p.filter((value) => value <= 0.05).length).toBeGreaterThan(10);
    expect(Math.max(...p)).toBeLessThanOrEqual(Math.max(...fdr));
    expect(pMax.filter((value) => value <= 0.05).length).toBeGreaterThan(8);
    const few = await refitTest(kept, responses, { ...options, permutations: 5, exchange: 'circular', seed: 4 });
    const orders = rowOrders({ kind: 'circular' }, 150, new Int32Array(), 5, 4);
    const reached = new Array(12).fill(0);
    for (let k = 0; k < 5; k++) {
      const data = Float32Array.from(
        responses.data,
        (_, i) => responses.data[orders[k * 150 + Math.floor(i / 12)]! * 12 + (i % 12)]!,
      );
      const again = await encode(kept, { ...responses, data }, options);
      for (const [c, target] of again.layers[0]!.targets.entries()) if (target.r >= r[c]!) reached[c]++;
    }
    expect([...few.p]).toEqual(reached.map((value) => (1 + value) / 6));
  });

  it('tests every layer, and refuses what permutations are not fitted by', async () => {
    const { features, responses } = simulated(60, 3, 0.6, 5);
    using kept = features;
    const noise = new Random(6);
    const values = Float32Array.from({ length: 2 * 60 * 6 }, (_, i) => (i < 360 ? noise.normal() : 0));
    values.set(kept.toArray(), 360);
    using both = Tensor.from(values, [2, 60, 6]);
    const { p } = await refitTest(both, responses, {
      ...options,
      refit: 'fixed',
      alphaPer: 'shared',
      permutations: 99,
    });
    expect(p).toHaveLength(6);
    expect(Math.max(...p.slice(3))).toBeLessThan(Math.min(...p.slice(0, 3)) + 0.05);
    const wrong = { ...options, kernel: { kind: 'rbf' } };
    await expect(refitTest(both, responses, wrong)).rejects.toThrow(/`kernel` to be left out/);
  });

  it('exchanges rows within runs only', async () => {
    const { features, responses } = simulated(60, 2, 0.3, 3);
    using kept = features;
    const groups = Array.from({ length: 60 }, (_, i) => (i < 40 ? 'a' : i < 50 ? 'b' : 'c'));
    const grouped = { ...options, folds: 'grouped', groups, permutations: 9 };
    for (const exchange of ['block:5', 'phase'])
      expect((await refitTest(kept, responses, { ...grouped, exchange })).p).toHaveLength(2);
    await expect(refitTest(kept, responses, { ...grouped, exchange: 'block:40' })).rejects.toThrow(/shorter than/);
  });
});
