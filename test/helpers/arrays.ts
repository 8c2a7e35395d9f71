/** Comparing arrays of numbers: the largest difference relative to the reference's root mean square. */
import { expect } from 'vitest';

export type Numbers = ArrayLike<number>;

export function rms(values: Numbers): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum / values.length);
}

/** Largest absolute difference, relative to `scale` (the RMS of `reference` unless given); infinite when a value is not a number. */
export function difference(actual: Numbers, reference: Numbers, scale = rms(reference)): number {
  if (actual.length !== reference.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < reference.length; i++) {
    const apart = Math.abs(actual[i]! - reference[i]!);
    if (!(apart <= worst)) worst = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart;
  }
  return worst / scale;
}

/** Fails unless `difference` is below `tolerance`; an empty reference fails too, for it would prove nothing. */
export function expectClose(actual: Numbers, reference: Numbers, tolerance: number, what = 'values'): void {
  expect(reference.length, `${what}: number of reference values`).toBeGreaterThan(0);
  expect(actual.length, `${what}: number of values`).toBe(reference.length);
  expect(difference(actual, reference), `${what}: largest difference relative to the RMS`).toBeLessThan(tolerance);
}

/** Each value within `tolerance` of its own reference, relatively. */
export function expectEachClose(actual: Numbers, reference: Numbers, tolerance: number, what = 'values'): void {
  expect(actual.length, `${what}: number of values`).toBe(reference.length);
  for (let i = 0; i < reference.length; i++) {
    const apart = Math.abs(actual[i]! - reference[i]!) / Math.abs(reference[i]!);
    expect(apart, `${what}[${i}]: ${actual[i]} against ${reference[i]}`).toBeLessThan(tolerance);
  }
}

/**
 * Bound on the difference of two float32 computations of the same values, relative to their RMS: each sum of `terms` products errs by
 * up to `terms` roundings (2^-24 each), and errors of `depth` such sums in a row add up like independent ones.
 */
export function float32Tolerance(terms: number, depth: number): number {
  return 2 ** -24 * terms * Math.sqrt(depth);
}

/** Row-major slice of rows [start, end) of a matrix with `width` columns. */
export function rows<T extends Float32Array | Float64Array>(values: T, width: number, start: number, end: number): T {
  return values.subarray(start * width, end * width) as T;
}
