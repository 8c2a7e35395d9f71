/** Variance partitioning: what each group of features explains alone and what groups share, by banded ridge on every set of them. */

import { expected } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { Tensor } from '../tensor.js';
import { type BandedOptions, encodeBanded } from './banded.js';
import type { Responses } from './responses.js';
import { meanOverFolds } from './scores.js';

/** As many sets as 2^bands - 1 are fitted. */
const kMostBands = 5;

export interface VariancePartition {
  /** Sets of bands as bit masks, 1 to 2^B - 1: band b is in set s when bit b of s is 1. */
  sets: number;
  targets: number;
  /** [sets, t] held-out R2 of banded ridge on the bands of a set (set s at row s - 1), mean over folds. */
  r2: Float64Array;
  /** [sets, t] variance explained by exactly the bands of a set together: unique for one band, shared by all of them for more. Sums to the R2 of all. */
  parts: Float64Array;
}

/**
 * Fits banded ridge on every set of bands, and splits the R2 of all by inclusion and exclusion (de Heer, Huth, Griffiths, Gallant & Theunissen
 * 2017, J Neurosci 37, 6539): the variance that the bands outside of a set do not explain and the set's bands share. Parts may be below 0 by noise,
 * or where bands suppress each other.
 *
 * @param features [n, p]. @param responses [n, t]. @param options those of `encodeBanded`; 2 to 5 bands.
 * @throws what `encodeBanded` throws.
 */
export async function partitionVariance(
  features: Tensor,
  responses: Responses,
  options: BandedOptions,
): Promise<VariancePartition> {
  const bands = options.sizes.length;
  if (bands < 2 || bands > kMostBands) throw expected('sizes', `2 to ${kMostBands} bands`, options.sizes);
  const [n, p] = [features.shape[0]!, features.shape[1]!];
  const total = options.sizes.reduce((sum, size) => sum + size, 0);
  if (features.shape.length !== 2 || total !== p)
    throw expected('sizes', `columns of each band that add up to the ${p} of the features`, options.sizes);
  const sets = 2 ** bands - 1;
  const r2: Float64Array[] = [];
  for (let set = 1; set <= sets; set++) {
    using chosen = columnsOf(features.toArray(), n, p, options.sizes, set);
    const sizes = options.sizes.filter((_, b) => set & (1 << b));
    // One band has no weights to search.
    const search = sizes.length === 1 ? { gammas: [[1]], refine: 0 } : {};
    const found = await encodeBanded(chosen, responses, {
      ...options,
      ...reporting(options, set - 1, sets),
      sizes,
      ...search,
    });
    r2.push(Float64Array.from({ length: found.targets }, (_, t) => meanOverFolds(found, found.r2, 0, t)));
  }
  const targets = r2[0]!.length;
  const parts = new Float64Array(sets * targets);
  for (let t = 0; t < targets; t++)
    for (let set = 1; set <= sets; set++)
      parts[(set - 1) * targets + t] = variancePart(set, sets, (s) => r2[s - 1]![t]!);
  return { sets, targets, r2: Float64Array.from(r2.flatMap((row) => [...row])), parts };
}

/**
 * Variance that exactly the bands of `set` share: the sum over the sets w within it of (-1)^(|w| + 1) R2(w and all bands outside of the set),
 * less R2 of those outside. Sets are bit masks, `all` that of all bands; `r2` gives the R2 of a set.
 */
export function variancePart(set: number, all: number, r2: (set: number) => number): number {
  const outside = all & ~set;
  const value = (s: number) => (s === 0 ? 0 : r2(s));
  let sum = -value(outside);
  for (let within = set; within > 0; within = (within - 1) & set)
    sum += (bits(within) % 2 === 1 ? 1 : -1) * value(within | outside);
  return sum;
}

function bits(set: number): number {
  return set === 0 ? 0 : (set & 1) + bits(set >> 1);
}

function columnsOf(values: Float32Array, n: number, p: number, sizes: readonly number[], set: number): Tensor {
  const starts = sizes.map((_, b) => sizes.slice(0, b).reduce((sum, size) => sum + size, 0));
  const kept = sizes.flatMap((size, b) =>
    set & (1 << b) ? Array.from({ length: size }, (_, i) => starts[b]! + i) : [],
  );
  const out = new Float32Array(n * kept.length);
  for (let row = 0; row < n; row++)
    for (const [i, column] of kept.entries()) out[row * kept.length + i] = values[row * p + column]!;
  return Tensor.from(out, [n, kept.length]);
}

function reporting({ onProgress }: JobOptions, done: number, sets: number): JobOptions {
  if (!onProgress) return {};
  return { onProgress: (p) => onProgress({ ...p, done: done * p.total + p.done, total: p.total * sets }) };
}
