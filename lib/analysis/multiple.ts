/** Many tests at once: the false discovery rate, and the largest statistic. */

/**
 * Benjamini and Hochberg's adjusted p-values: the smallest false discovery rate at which each is called (1995, Journal of the Royal
 * Statistical Society B 57, 289-300). NaN stays NaN and does not count as a test.
 */
export function adjustFdr(p: ArrayLike<number>): Float64Array {
  const adjusted = Float64Array.from(p);
  const order = Array.from(adjusted.keys())
    .filter((i) => !Number.isNaN(adjusted[i]!))
    .sort((a, b) => adjusted[b]! - adjusted[a]!);
  let least = 1;
  for (const [above, i] of order.entries()) {
    least = Math.min(least, (adjusted[i]! * order.length) / (order.length - above));
    adjusted[i] = least;
  }
  return adjusted;
}

/**
 * p-values that hold for all targets together: the share of permutations whose largest statistic of any target reaches the observed one
 * (Westfall & Young 1993; Nichols & Holmes 2002, Human Brain Mapping 15, 1-25).
 * @param maximum the largest statistic of each permutation.
 */
export function adjustMaximum(observed: ArrayLike<number>, maximum: ArrayLike<number>): Float64Array {
  const sorted = Float64Array.from(maximum).sort();
  return Float64Array.from(observed, (value) => {
    if (Number.isNaN(value)) return Number.NaN;
    return (1 + sorted.length - firstAtLeast(sorted, value - 1e-12)) / (1 + sorted.length);
  });
}

/** Place of the first value that is at least `bar`, by halving. */
function firstAtLeast(sorted: Float64Array, bar: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! >= bar) high = middle;
    else low = middle + 1;
  }
  return low;
}
