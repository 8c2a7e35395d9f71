/** Reading goldens of ridge, and comparing long lists of numbers with them. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';

export interface RidgeGolden {
  name: string;
  kind: string;
  alphas: number[];
  features: { shape: [number, number]; values: number[] };
  responses: { shape: [number, number]; values: number[] };
  alpha: number[];
  [more: string]: unknown;
}

const folder = new URL('../fixtures/ridge/', import.meta.url);

export function ridgeGoldens(kind: string): RidgeGolden[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${kind}-`))
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as RidgeGolden);
}

export const responsesOf = ({ responses }: RidgeGolden) => ({
  data: Float32Array.from(responses.values),
  rows: responses.shape[0],
  columns: responses.shape[1],
});

/** Differences relative to the largest of the golden values (at least 1). */
export function expectClose(ours: ArrayLike<number>, theirs: number[], tolerance: number, what: string): void {
  expect(ours.length, what).toBe(theirs.length);
  const scale = Math.max(1, ...theirs.map(Math.abs));
  expect(Math.max(...theirs.map((value, i) => Math.abs(ours[i]! - value))) / scale, what).toBeLessThan(tolerance);
}
