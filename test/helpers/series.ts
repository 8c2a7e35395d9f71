/** Series with known autocorrelation, and the binomial interval of a rate. */
import { expect } from 'vitest';
import type { Random } from '../../lib/random.js';

/** A first-order autoregressive series of n rows, of variance 1, begun in its stationary state. */
export function autoregressive(n: number, phi: number, random: Random): Float64Array {
  const series = new Float64Array(n);
  let value = random.normal();
  for (let i = 0; i < n; i++) {
    if (i > 0) value = phi * value + Math.sqrt(1 - phi * phi) * random.normal();
    series[i] = value;
  }
  return series;
}

/** Columns as a row-major float32 matrix. */
export function matrixOf(columns: readonly Float64Array[]): { data: Float32Array; rows: number; columns: number } {
  const rows = columns[0]!.length;
  const data = new Float32Array(rows * columns.length);
  for (const [c, column] of columns.entries())
    for (let row = 0; row < rows; row++) data[row * columns.length + c] = column[row]!;
  return { data, rows, columns: columns.length };
}

/** Bounds within which the count of hits lies with probability 99.9 % (normal approximation, half a count wider). */
export function binomialBounds(trials: number, rate: number): { from: number; to: number } {
  const spread = 3.29 * Math.sqrt(trials * rate * (1 - rate)) + 0.5;
  return { from: (trials * rate - spread) / trials, to: (trials * rate + spread) / trials };
}

/** Fails unless about one in twenty of the p-values of true null hypotheses is 0.05 or less; `atMost`: no more than that. */
export function expectNullRate(p: ArrayLike<number>, { atMost = false } = {}): void {
  const { from, to } = binomialBounds(p.length, 0.05);
  const rate = Array.from(p).filter((value) => value <= 0.05 + 1e-12).length / p.length;
  if (!atMost) expect(rate).toBeGreaterThan(from);
  expect(rate).toBeLessThan(to);
}
