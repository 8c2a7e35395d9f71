/**
 * Ridge encoding against scikit-learn and himalaya (test/parity/make_encode_goldens.py made the goldens; versions and seeds are in it).
 *
 * Tolerance: a dual prediction in float64 has relative errors of about eps * p * (largest eigenvalue) / (smallest + alpha). With the largest over
 * the smallest under 1e5 in these cases that is 2e-16 * 80 * 1e5 < 2e-9. Tiny alphas on wide features bring the ratio to 1e7, where the two
 * references themselves differ by 1e-7.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encode } from '../../lib/encode/encode.js';
import { makeFolds } from '../../lib/encode/folds.js';
import { Tensor } from '../../lib/tensor.js';

interface Golden {
  name: string;
  alphas: number[];
  shared: boolean;
  trim: number;
  standardize: 'zscore' | 'center';
  features: { shape: [number, number, number]; values: number[] };
  responses: { shape: [number, number]; values: number[] };
  r: number[];
  r2: number[];
  alpha: number[];
  himalayaR: number[];
  himalayaR2: number[];
  himalayaAlpha: number[];
}

const folder = new URL('../fixtures/encode/', import.meta.url);
const goldens = readdirSync(folder).map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Golden);
const toleranceOf = (name: string) => (name === 'tiny-alphas-wide' ? 1e-6 : 2e-9);

async function scoresOf(golden: Golden) {
  using features = Tensor.from(Float32Array.from(golden.features.values), golden.features.shape);
  const [rows, columns] = golden.responses.shape;
  const responses = { data: Float32Array.from(golden.responses.values), rows, columns };
  const { folds } = await encode(features, responses, {
    folds: makeFolds({ rows, kind: 'contiguous', count: 4, inner: 3, gap: golden.trim }),
    alphas: golden.alphas,
    standardize: golden.standardize,
    alphaPer: golden.shared ? 'shared' : 'target',
  });
  return folds;
}

function expectClose(ours: Float64Array, theirs: number[], tolerance: number, what: string): void {
  expect(ours.length, what).toBe(theirs.length);
  // R2 far below 0 is large: relative to its size.
  const worst = Math.max(...theirs.map((value, i) => Math.abs(ours[i]! - value) / Math.max(1, Math.abs(value))));
  expect(worst, what).toBeLessThan(tolerance);
}

describe.each(goldens)('$name', (golden) => {
  it('has the scores and alphas of scikit-learn', async () => {
    const ours = await scoresOf(golden);
    const tolerance = toleranceOf(golden.name);
    expectClose(ours.alpha, golden.alpha, 1e-12, 'alpha');
    expectClose(ours.r, golden.r, tolerance, 'r');
    expectClose(ours.r2, golden.r2, tolerance, 'R2');
  });

  it('has the scores and alphas of himalaya', async () => {
    const ours = await scoresOf(golden);
    const tolerance = toleranceOf(golden.name);
    expectClose(ours.alpha, golden.himalayaAlpha, 1e-12, 'alpha');
    expectClose(ours.r, golden.himalayaR, tolerance, 'r');
    expectClose(ours.r2, golden.himalayaR2, tolerance, 'R2');
  });
});
