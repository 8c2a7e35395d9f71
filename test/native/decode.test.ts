/** Decoding and classification: planted embeddings are found, chance is chance, folds do not leak, what is refused. */
import { describe, expect, it } from 'vitest';
import { classify } from '../../lib/analysis/classify.js';
import { type DecodeOptions, decode } from '../../lib/analysis/decode.js';
import { groupNumbers } from '../../lib/analysis/match.js';
import { parseExchange, rowOrders } from '../../lib/analysis/surrogates.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';
import { binomialBounds } from '../helpers/series.js';

const [n, p, t] = [60, 12, 20];

/** Embeddings of two layers, of which responses mix the second, with one column of huge values that says nothing. */
function planted(noise: number, seed: number) {
  const random = new Random(seed);
  const values = Float32Array.from({ length: 2 * n * p }, () => random.normal());
  for (let row = 0; row < n; row++) values[(n + row) * p] = 1000 * random.normal();
  const weights = Float64Array.from({ length: p * t }, () => random.normal());
  const responses = Float32Array.from({ length: n * t }, (_, i) => {
    const [row, target] = [Math.floor(i / t), i % t];
    let sum = noise * random.normal();
    for (let c = 1; c < p; c++) sum += values[(n + row) * p + c]! * weights[c * t + target]!;
    return sum;
  });
  return {
    embeddings: Tensor.from(values, [2, n, p]),
    responses: { data: responses, rows: n, columns: t },
  };
}

describe('decode', () => {
  it('finds the planted layer, and the other at chance', async () => {
    const { embeddings, responses } = planted(2, 1);
    using kept = embeddings;
    const { layers, rows } = await decode(responses, kept, { permutations: 199, layers: [3, 7] });
    expect(rows).toBe(n);
    expect(layers.map(({ layer }) => layer)).toEqual([3, 7]);
    expect(layers[1]!.twoVsTwo).toBeGreaterThan(0.9);
    expect(layers[1]!.rankAccuracy).toBeGreaterThan(0.9);
    expect([layers[1]!.p, layers[1]!.pairs]).toEqual([0.005, (n * (n - 1)) / 2]);
    expect(layers[1]!.r).toBeGreaterThan(0.5);
    expect(Math.abs(layers[0]!.twoVsTwo - 0.5)).toBeLessThan(0.1);
    expect(layers[0]!.p).toBeGreaterThan(0.05);
  });

  it('needs the columns scaled: one of huge values decides alone otherwise', async () => {
    const { embeddings, responses } = planted(2, 2);
    using kept = embeddings;
    const scaled = (await decode(responses, kept)).layers[1]!;
    const raw = (await decode(responses, kept, { columns: 'raw' })).layers[1]!;
    expect(raw.twoVsTwo).toBeLessThan(scaled.twoVsTwo - 0.1);
  });

  it('gives a layer alone what it gives among others, and compares within folds', async () => {
    const { embeddings, responses } = planted(2, 3);
    using kept = embeddings;
    using second = Tensor.from(kept.toArray().slice(n * p), [n, p]);
    const options = { folds: 'contiguous:4', within: 'fold', trim: 1, alphas: [1, 10, 100] } as const;
    const all = await decode(responses, kept, { ...options, alphas: [...options.alphas] });
    const one = await decode(responses, second, { ...options, alphas: [...options.alphas] });
    expect(one.layers[0]!.twoVsTwo).toBe(all.layers[1]!.twoVsTwo);
    expect(one.rows).toBe(n - 8);
    expect(one.layers[0]!.pairs).toBe(4 * ((13 * 12) / 2));
  });

  it('rejects 5 % of embeddings that have nothing to do with the responses', async () => {
    const random = new Random(8);
    const [rows, layers] = [40, 300]; // every layer is a study
    const values = Float32Array.from({ length: layers * rows * 5 }, () => random.normal());
    using kept = Tensor.from(values, [layers, rows, 5]);
    const data = Float32Array.from({ length: rows * 4 }, () => random.normal());
    const options = { alphas: [10], permutations: 39 };
    const found = await decode({ data, rows, columns: 4 }, kept, options);
    const rejected = found.layers.filter(({ p: value }) => value <= 0.05).length / layers;
    const { from, to } = binomialBounds(layers, 0.05);
    expect(rejected).toBeGreaterThan(from);
    expect(rejected).toBeLessThan(to);
    const heldOut = { ...options, exchange: 'phase', refit: 'none' } as const;
    await expect(decode({ data, rows, columns: 4 }, kept, heldOut)).rejects.toThrow(/an exchange of rows/);
  });

  it.each([
    ['fixed', { alphas: [30], trim: 1, gap: 1 }],
    ['fixed', { alphas: [30], within: 'fold', columns: 'raw', metric: 'cosine' }],
    ['fixed', { alphas: [30], groups: Array.from({ length: n }, (_, row) => row % 3), within: 'group' }],
    ['reselect', { alphas: [0.1, 10, 1000], innerFolds: 3, folds: 'contiguous:3' }],
    ['reselect', { alphas: [0.1, 10, 1000], innerFolds: 3, alphaPer: 'shared', exchange: 'block:7' }],
  ] as const)('shuffles are decoded as shuffled embeddings are, %s %j', async (refit, how) => {
    const { embeddings, responses } = planted(2, 12);
    using kept = embeddings;
    const values = kept.toArray();
    const options = { folds: 'contiguous:4', ...(how as DecodeOptions) };
    const permutations = 6;
    const found = await decode(responses, kept, { ...options, refit, permutations, seed: 3 });
    const exchange = parseExchange(String(options.exchange ?? 'rows'));
    const orders = rowOrders(exchange, n, groupNumbers(options.groups, n), permutations, 3);
    for (let k = 0; k < permutations; k++) {
      const shuffled = new Float32Array(values.length);
      for (let row = 0; row < 2 * n; row++) {
        const from = row - (row % n) + orders[k * n + (row % n)]!;
        shuffled.set(values.subarray(from * p, (from + 1) * p), row * p);
      }
      using other = Tensor.from(shuffled, [2, n, p]);
      const { layers } = await decode(responses, other, options);
      // A pair that is closer than the rounding of float32 predictions may fall on the other side.
      for (const [l, { twoVsTwo, pairs }] of layers.entries())
        expect(Math.abs(found.layers[l]!.baseline[k]! - twoVsTwo) * pairs).toBeLessThan(1.5);
    }
    for (const { p: value, baseline, twoVsTwo } of found.layers) {
      const reached = baseline.filter((one) => one >= twoVsTwo).length;
      expect(value).toBeCloseTo((1 + reached) / (1 + permutations), 12);
    }
  });

  it('is cancelled among its shuffles, and says how far it is', async () => {
    const random = new Random(9);
    const [rows, width] = [400, 300];
    using kept = Tensor.from(
      Float32Array.from({ length: rows * width }, () => random.normal()),
      [rows, width],
    );
    const data = Float32Array.from({ length: rows * 50 }, () => random.normal());
    const stop = new AbortController();
    const stages = new Set<string>();
    let asked = 0;
    const onProgress = ({ done, stage }: { done: number; stage: string }) => {
      stages.add(stage);
      if (stage !== 'permutations' || done < 2 || asked) return;
      asked = performance.now();
      stop.abort();
    };
    const options = { alphas: [10], permutations: 5000, onProgress, signal: stop.signal };
    await expect(decode({ data, rows, columns: 50 }, kept, options)).rejects.toThrow(/[Cc]ancelled/);
    expect(performance.now() - asked).toBeLessThan(1000);
    expect([...stages]).toContain('permutations');
  });

  it('says what is wrong', async () => {
    const { embeddings, responses } = planted(1, 4);
    using kept = embeddings;
    await expect(decode({ ...responses, rows: 30, columns: 40 }, kept)).rejects.toThrow(/60 rows of responses/);
    using flat = Tensor.from(new Float32Array(n * 2).fill(3), [n, 2]);
    await expect(decode(responses, flat)).rejects.toThrow(/embeddings that vary/);
    using holed = Tensor.from(new Float32Array(n * 2).fill(Number.NaN, 7, 8), [n, 2]);
    await expect(decode(responses, holed)).rejects.toThrow(/got NaN at layer 0, row 3, column 1/);
    await expect(decode(responses, kept, { within: 'group' })).rejects.toThrow(/Expected `groups`/);
    await expect(decode(responses, kept, { columns: 'x' as never })).rejects.toThrow(/`zscore` or `raw`/);
    await expect(decode(responses, kept, { refit: 'x' as never })).rejects.toThrow(/`fixed` or `reselect` or `none`/);
    await expect(decode(responses, kept, { permutations: 1.5 })).rejects.toThrow(/`permutations` to be a whole/);
    await expect(decode(responses, kept, { permutations: 9, exchange: 'block:60' })).rejects.toThrow(/shorter than/);
  });
});

/** Three classes with centres `apart` standard deviations from the middle, in random order. */
function labelled(apart: number, seed: number) {
  const random = new Random(seed);
  const names = ['face', 'house', 'tool'];
  const labels = Array.from({ length: 90 }, () => names[Math.floor(3 * random.uniform())]!);
  const centres = names.map(() => Array.from({ length: 10 }, () => apart * random.normal()));
  const values = labels.flatMap((label) => centres[names.indexOf(label)]!.map((value) => value + random.normal()));
  return { labels, features: Tensor.from(Float32Array.from(values), [90, 10]) };
}

describe('classify', () => {
  it.each(['logistic', 'ridge'] as const)(
    '%s tells classes apart, and shuffled labels are at chance',
    async (classifier) => {
      const { labels, features } = labelled(0.6, 5);
      using kept = features;
      const found = await classify(kept, labels, { classifier, permutations: 99 });
      expect(found.accuracy).toBeGreaterThan(0.6);
      expect(found.p).toBe(0.01);
      expect(found.confusion.flat().reduce((sum, count) => sum + count)).toBe(90);
      expect(found.predicted.filter((label, i) => label === labels[i])).toHaveLength(Math.round(90 * found.accuracy));
      const mean = found.baselineBalanced.reduce((sum, value) => sum + value / 99, 0);
      expect(Math.abs(mean - 1 / 3)).toBeLessThan(0.03);
    },
  );

  it('rejects 5 % of random labels', async () => {
    let hits = 0;
    for (let study = 0; study < 60; study++) {
      const { labels, features } = labelled(0, 100 + study);
      using kept = features;
      const options = { classifier: 'ridge', alphas: [10], permutations: 39, seed: study } as const;
      if ((await classify(kept, labels, { ...options, alphas: [10] })).p <= 0.05) hits++;
    }
    expect(hits).toBeLessThan(60 * 0.05 + 3.29 * Math.sqrt(60 * 0.05 * 0.95) + 0.5);
  });

  it('says what is wrong', async () => {
    const { labels, features } = labelled(1, 6);
    using kept = features;
    await expect(classify(kept, labels.slice(1))).rejects.toThrow(/one for each of the 90 rows/);
    await expect(classify(kept, labels.fill('face'))).rejects.toThrow(/at least 2 classes/);
    labels[3] = 'house';
    await expect(classify(kept, labels)).rejects.toThrow(
      /every class among the training rows of fold 0, got none of `house`/,
    );
    await expect(classify(kept, labels, { c: 0 })).rejects.toThrow(/positive number/);
  });
});
