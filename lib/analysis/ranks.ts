/** Ranks, and the correlations of two series that comparisons of every kind use. */
import { pearson } from '../data/ceiling.js';
import { expected } from '../errors.js';

/** Ranks from 1, ties sharing the mean of theirs (scipy.stats.rankdata). */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = ascending(values);
  const found = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) found[order[i]!] = (from + to + 1) / 2;
    from = to;
  }
  return found;
}

/** Places of the values from the smallest to the largest; equal ones in their order. */
export function ascending(values: ArrayLike<number>): Uint32Array {
  return Uint32Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b);
}

/** Spearman's rank correlation: Pearson's of the ranks, ties sharing theirs. NaN where either is constant. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  sameLength(a, b);
  return pearson(ranks(a), ranks(b));
}

/** Cosine of the angle between two vectors; NaN where either is zero. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  sameLength(a, b);
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa) / Math.sqrt(bb);
}

/**
 * Kendall's tau a: pairs in the same order less pairs in opposite order, over all pairs; tied pairs count in neither.
 * Found in O(n log n) (Knight 1966, Journal of the American Statistical Association 61, 436-439).
 */
export function kendallTauA(a: ArrayLike<number>, b: ArrayLike<number>): number {
  sameLength(a, b);
  const n = a.length;
  const all = (n * (n - 1)) / 2;
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[i]! - a[j]! || b[i]! - b[j]!);
  const [x, y] = [order.map((i) => a[i]!), order.map((i) => b[i]!)];
  const tiedBoth = tiedPairs(n, (i) => x[i] === x[i - 1] && y[i] === y[i - 1]);
  const tiedX = tiedPairs(n, (i) => x[i] === x[i - 1]);
  const opposite = inversions(y); // sorts y
  const tiedY = tiedPairs(n, (i) => y[i] === y[i - 1]);
  return (all - tiedX - tiedY + tiedBoth - 2 * opposite) / all;
}

/** Pairs within runs of equal neighbours. */
function tiedPairs(n: number, equal: (i: number) => boolean): number {
  let [pairs, run] = [0, 0];
  for (let i = 1; i < n; i++) {
    run = equal(i) ? run + 1 : 0;
    pairs += run;
  }
  return pairs;
}

/** Pairs out of order; leaves `values` sorted (merge sort from below). */
function inversions(values: number[]): number {
  const n = values.length;
  let count = 0;
  const merged = new Array<number>(n);
  for (let width = 1; width < n; width *= 2) {
    for (let from = 0; from < n; from += 2 * width) {
      const middle = Math.min(n, from + width);
      const end = Math.min(n, from + 2 * width);
      let [i, j] = [from, middle];
      for (let k = from; k < end; k++) {
        const left = i < middle && (j >= end || values[i]! <= values[j]!);
        if (!left) count += middle - i;
        merged[k] = left ? values[i++]! : values[j++]!;
      }
    }
    for (let k = 0; k < n; k++) values[k] = merged[k]!;
  }
  return count;
}

function sameLength(a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length) throw expected('b', `as long as \`a\`, ${a.length} values`, b.length);
}
