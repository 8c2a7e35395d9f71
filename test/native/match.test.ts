/** Matching against its definition in float64, its chance level, and what is refused. */
import { describe, expect, it } from 'vitest';
import { matchRows } from '../../lib/analysis/match.js';
import { rdms } from '../../lib/analysis/rdm.js';
import { layerSimilarity } from '../../lib/analysis/similarity.js';
import { pearson } from '../../lib/data/ceiling.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';

function noise(count: number, random: Random): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal());
}

function rowsOf(values: Float32Array, n: number): Float32Array[] {
  const width = values.length / n;
  return Array.from({ length: n }, (_, i) => values.subarray(i * width, (i + 1) * width));
}

describe('matchRows', () => {
  it('decides near ties as float64 does', async () => {
    // Rows that differ in their seventh digit: float32 products cannot tell them apart.
    const random = new Random(4);
    const [n, p] = [40, 50];
    const base = noise(p, random);
    const close = (scale: number) =>
      Float32Array.from({ length: n * p }, (_, i) => base[i % p]! + scale * random.normal());
    const [a, b] = [close(3e-4), close(3e-4)];
    const s = rowsOf(a, n).map((row) => rowsOf(b, n).map((other) => pearson(row, other)));
    let wins = 0;
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++) wins += s[i]![i]! + s[j]![j]! > s[i]![j]! + s[j]![i]! ? 1 : 0;
    using predicted = Tensor.from(a, [n, p]);
    using actual = Tensor.from(b, [n, p]);
    const [score] = await matchRows(predicted, actual);
    expect(score!.twoVsTwo * score!.pairs).toBeCloseTo(wins, 9);
    expect([...score!.ranks]).toEqual(s.map((row, i) => 1 + row.filter((value) => value > row[i]!).length));
  });

  it('finds planted rows, layer by layer, and nothing in noise', async () => {
    const random = new Random(5);
    const [n, p] = [60, 30];
    const truth = noise(n * p, random);
    const both = new Float32Array(2 * n * p);
    both.set(truth.map((value) => value + 2 * random.normal()));
    both.set(noise(n * p, random), n * p);
    using predicted = Tensor.from(both, [2, n, p]);
    using actual = Tensor.from(truth, [n, p]);
    const [planted, chance] = await matchRows(predicted, actual, { permutations: 99 });
    expect(planted!.twoVsTwo).toBeGreaterThan(0.9);
    expect(planted!.rankAccuracy).toBeGreaterThan(0.9);
    expect(planted!.p).toBe(0.01);
    expect(chance!.p).toBeGreaterThan(0.05);
    expect(chance!.identification).toBeLessThan(0.1);
    // The mean of 99 shuffles of 1,770 pairs; a shuffle has a standard deviation near 0.03.
    for (const { baseline } of [planted!, chance!])
      expect(Math.abs(baseline.reduce((sum, value) => sum + value / 99, 0) - 0.5)).toBeLessThan(0.015);
  });

  it('compares within groups only, and gives a layer alone what it gives among others', async () => {
    const random = new Random(6);
    const [n, p] = [12, 8];
    using predicted = Tensor.from(noise(3 * n * p, random), [3, n, p]);
    using actual = Tensor.from(noise(n * p, random), [n, p]);
    using alone = Tensor.from(predicted.toArray().slice(n * p, 2 * n * p), [n, p]);
    const groups = Array.from({ length: n }, (_, i) => (i < 4 ? 'run-1' : 'run-2'));
    const all = await matchRows(predicted, actual, { groups, permutations: 5, metric: 'cosine' });
    const [one] = await matchRows(alone, actual, { groups, permutations: 5, metric: 'cosine' });
    expect(one).toEqual(all[1]);
    expect(one!.pairs).toBe(6 + 28);
    expect(Math.max(...one!.ranks.slice(0, 4))).toBeLessThanOrEqual(4);
  });

  it('passes over rows without direction', async () => {
    const values = Float32Array.of(1, 2, 4, 7, 7, 7, 3, 1, 0);
    using same = Tensor.from(values, [3, 3]);
    const [score] = await matchRows(same, same);
    expect(score!.ranks[1]).toBeNaN();
    expect([score!.pairs, score!.twoVsTwo]).toEqual([3, 1 / 3]);
    expect(score!.identification).toBe(1);
  });

  it('says what is wrong', async () => {
    using a = Tensor.from(Float32Array.of(1, 2, 3, 4), [2, 2]);
    using bad = Tensor.from(Float32Array.of(1, Number.NaN, 3, 4), [2, 2]);
    using other = Tensor.from(Float32Array.of(1, 2, 3), [1, 3]);
    await expect(matchRows(a, other)).rejects.toThrow(/Expected `actual` to be a tensor \[2, 2\]/);
    await expect(matchRows(bad, a)).rejects.toThrow(expect.objectContaining({ code: 'ERR_DATA' }));
    await expect(matchRows(a, a, { groups: [1] })).rejects.toThrow(/one for each of the 2 rows/);
    await expect(matchRows(a, a, { permutations: -1 })).rejects.toThrow(/permutations/);
    await expect(matchRows(a, a, { metric: 'r' as never })).rejects.toThrow(/`correlation` or `cosine`/);
    await expect(rdms(bad)).rejects.toThrow(expect.objectContaining({ code: 'ERR_DATA' }));
    await expect(rdms(a, { metric: 'manhattan' as never })).rejects.toThrow(/`correlation` or/);
    await expect(layerSimilarity(a, other)).rejects.toThrow(/same 2 rows/);
    await expect(layerSimilarity(a, a, { measure: 'cka-debiased' })).rejects.toThrow(/at least 4 rows/);
  });

  it('stops when asked', async () => {
    using a = Tensor.from(noise(400 * 20, new Random(7)), [400, 20]);
    const signal = AbortSignal.timeout(20);
    await expect(matchRows(a, a, { permutations: 5000, signal })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_CANCELLED' }),
    );
  });
});

describe('layers without variation', () => {
  it('have no similarity and no correlation distance', async () => {
    using flat = Tensor.from(new Float32Array(12).fill(3), [4, 3]);
    using live = Tensor.from(noise(12, new Random(8)), [4, 3]);
    for (const measure of ['cka', 'procrustes'] as const)
      expect((await layerSimilarity(flat, live, { measure }))[0]![0]).toBeNaN();
    expect([...(await rdms(flat))[0]!]).toEqual(new Array(6).fill(Number.NaN));
    expect([...(await rdms(flat, { metric: 'euclidean' }))[0]!]).toEqual(new Array(6).fill(0));
  });
});
