/** Paired comparisons: the same subjects (or targets) under two conditions, such as two ways of tuning. */

import { expected } from '../errors.js';
import { mean } from '../numbers.js';
import { Random } from '../random.js';
import { adjustFdr, adjustMaximum } from './multiple.js';
import { normalTail } from './normal.js';
import { ranks } from './ranks.js';
import { checkLevel, count, type Interval, percentiles } from './resample.js';

export type Alternative = 'two-sided' | 'greater' | 'less';

/** How large a paired difference is, beside whether it is there. */
export interface EffectSizes {
  /** Pairs that count (both values are numbers). */
  n: number;
  mean: number;
  median: number;
  /** Cohen's dz: the mean difference over the standard deviation of differences. */
  dz: number;
  /** dz times Hedges' correction for few pairs, 1 - 3 / (4 (n - 1) - 1). */
  hedges: number;
  /** Matched-pairs rank-biserial correlation: (rank sum of gains - of losses) / all ranks (Kerby 2014). */
  rankBiserial: number;
  /** Share of pairs with a gain, ties counted half. */
  gains: number;
}

/** Effect sizes of differences; NaN differences are passed over. */
export function effectSizes(differences: ArrayLike<number>): EffectSizes {
  const d = finite(differences);
  const n = d.length;
  const centre = mean(d);
  const deviation = Math.sqrt(d.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (n - 1));
  const dz = n > 1 && deviation > 0 ? centre / deviation : Number.NaN;
  const { gain, loss } = rankSums(d);
  const sorted = Float64Array.from(d).sort();
  return {
    n,
    mean: centre,
    median: n === 0 ? Number.NaN : (sorted[(n - 1) >> 1]! + sorted[n >> 1]!) / 2,
    dz,
    hedges: n > 2 ? dz * (1 - 3 / (4 * (n - 1) - 1)) : Number.NaN,
    rankBiserial: (gain - loss) / (gain + loss),
    gains: d.reduce((sum, value) => sum + (value > 0 ? 1 : value === 0 ? 0.5 : 0), 0) / n,
  };
}

/** Rank sums of the sizes of positive and negative differences, zeros left out (Wilcoxon's way). */
function rankSums(d: ArrayLike<number>): { gain: number; loss: number; ranks: Float64Array } {
  const nonzero = Array.from(d).filter((value) => value !== 0);
  const sizes = ranks(nonzero.map(Math.abs));
  let [gain, loss] = [0, 0];
  for (const [i, value] of nonzero.entries()) {
    if (value > 0) gain += sizes[i]!;
    else loss += sizes[i]!;
  }
  return { gain, loss, ranks: sizes };
}

/** Pairs up to which Wilcoxon's distribution is counted out exactly. */
const kExact = 300;

/**
 * Wilcoxon's signed-rank test of differences around 0. Zeros are left out; ties share ranks. The distribution is counted out
 * exactly for up to 300 differences, given their ties; beyond, it is the normal one with its variance corrected for ties.
 *
 * Source: Wilcoxon (1945), Biometrics Bulletin 1, 80-83.
 * @returns the rank sum of positive differences and p; NaN when no difference is left.
 */
export function wilcoxon(
  differences: ArrayLike<number>,
  options: { alternative?: Alternative | undefined } = {},
): { statistic: number; p: number; n: number } {
  const { alternative = 'two-sided' } = options;
  checkAlternative(alternative);
  const { gain, ranks: sizes } = rankSums(finite(differences));
  const n = sizes.length;
  if (n === 0) return { statistic: Number.NaN, p: Number.NaN, n };
  const tails = n <= kExact ? exactTails(sizes, gain) : normalTails(sizes, gain);
  return { statistic: gain, p: ofTails(tails, alternative), n };
}

interface Tails {
  greater: number;
  less: number;
}

function ofTails({ greater, less }: Tails, alternative: Alternative): number {
  if (alternative === 'greater') return greater;
  return alternative === 'less' ? less : Math.min(1, 2 * Math.min(greater, less));
}

/** Every sign is as likely: the number of ways to each sum, built up rank by rank. Ranks are doubled, so ties are whole numbers. */
function exactTails(sizes: Float64Array, gain: number): Tails {
  const doubled = Array.from(sizes, (rank) => Math.round(2 * rank));
  const total = doubled.reduce((sum, rank) => sum + rank, 0);
  const ways = new Float64Array(total + 1); // as probabilities
  ways[0] = 1;
  let top = 0;
  for (const rank of doubled) {
    top += rank;
    for (let sum = top; sum >= 0; sum--) ways[sum] = (ways[sum]! + (sum >= rank ? ways[sum - rank]! : 0)) / 2;
  }
  const at = Math.round(2 * gain);
  let [greater, less] = [0, 0];
  for (let sum = 0; sum <= total; sum++) {
    if (sum >= at) greater += ways[sum]!;
    if (sum <= at) less += ways[sum]!;
  }
  return { greater, less };
}

function normalTails(sizes: Float64Array, gain: number): Tails {
  const n = sizes.length;
  const mean = (n * (n + 1)) / 4;
  // The sum of squared ranks holds the correction for ties.
  const deviation = Math.sqrt(sizes.reduce((sum, rank) => sum + rank * rank, 0) / 4);
  const z = (gain - mean) / deviation;
  return { greater: normalTail(z), less: normalTail(-z) };
}

export interface SignFlipOptions {
  alternative?: Alternative | undefined;
  /** Random sign flips when there are more than this many ways, all ways otherwise; default 10,000. */
  permutations?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
}

/** A paired permutation test of many measures at once; arrays over measures. */
export interface SignFlipTest {
  /** Mean difference. */
  mean: Float64Array;
  /** One-sample t of the differences, the statistic. */
  t: Float64Array;
  p: Float64Array;
  /** Benjamini-Hochberg over measures. */
  fdr: Float64Array;
  /** Corrected for the measures together by the largest t of each flip. */
  pMax: Float64Array;
  /** Flips that were made. */
  flips: number;
  /** Every way was counted: p is exact. */
  exact: boolean;
}

/**
 * Paired permutation test: under the null hypothesis the two conditions of a pair may change places, which flips the sign of its
 * difference. The signs of a pair are flipped in all measures together, so that correlations among measures stay (Nichols & Holmes 2002).
 * @param differences [pairs][measures], finite: for example subjects by regions, the score with one method less that with another.
 * @throws RangeError (ERR_ARGUMENT) for fewer than 2 pairs, rows of different lengths or values that are not finite.
 */
export function signFlipTest(differences: readonly ArrayLike<number>[], options: SignFlipOptions = {}): SignFlipTest {
  const { alternative = 'two-sided', permutations = 10_000, seed = 0 } = options;
  checkAlternative(alternative);
  count('permutations', permutations);
  const n = differences.length;
  const measures = differences[0]?.length ?? 0;
  if (n < 2 || measures === 0) throw expected('differences', 'at least 2 pairs of at least one measure', n);
  for (const row of differences)
    if (row.length !== measures || Array.from(row).some((value) => !Number.isFinite(value)))
      throw expected('differences', `rows of ${measures} finite numbers`, Array.from(row).slice(0, 8));
  const exact = n <= 24 && 2 ** n <= permutations;
  const flips = exact ? 2 ** n : permutations;
  const random = new Random(seed);
  const squares = sumsOver(differences, (value) => value * value);
  const statistic = (sign: (i: number) => number) => tValues(differences, squares, sign);
  const size = (t: number) => (alternative === 'two-sided' ? Math.abs(t) : alternative === 'less' ? -t : t);
  const observed = statistic(() => 1);
  const reached = new Float64Array(measures);
  const maximum = new Float64Array(flips);
  for (let k = 0; k < flips; k++) {
    const signs = Array.from({ length: n }, (_, i) => (exact ? ((k >> i) & 1 ? -1 : 1) : random.uint32() & 1 ? -1 : 1));
    const t = statistic((i) => signs[i]!);
    maximum[k] = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < measures; c++) {
      const value = size(t[c]!);
      if (value >= size(observed[c]!) - 1e-9 * Math.abs(observed[c]!)) reached[c]!++;
      if (value > maximum[k]!) maximum[k] = value;
    }
  }
  // All ways hold the observed one; random ones do not, so it is added.
  const p = reached.map((value, c) =>
    Number.isNaN(observed[c]!) ? Number.NaN : exact ? value / flips : (1 + value) / (1 + flips),
  );
  const together = adjustMaximum(observed.map(size), maximum);
  return {
    mean: sumsOver(differences, (value) => value).map((sum) => sum / n),
    t: observed,
    p,
    fdr: adjustFdr(p),
    pMax: exact ? together.map((value) => (value * (1 + flips) - 1) / flips) : together,
    flips,
    exact,
  };
}

function sumsOver(rows: readonly ArrayLike<number>[], map: (value: number) => number): Float64Array {
  const sums = new Float64Array(rows[0]!.length);
  for (const row of rows) for (let c = 0; c < sums.length; c++) sums[c]! += map(row[c]!);
  return sums;
}

/** t of each measure: flips change the mean and leave the squares. NaN where all differences are 0. */
function tValues(rows: readonly ArrayLike<number>[], squares: Float64Array, sign: (i: number) => number): Float64Array {
  const n = rows.length;
  const sums = new Float64Array(squares.length);
  for (let i = 0; i < n; i++) for (let c = 0; c < sums.length; c++) sums[c]! += sign(i) * rows[i]![c]!;
  return sums.map((sum, c) => {
    const variance = (squares[c]! - (sum * sum) / n) / (n - 1);
    return sum / n / Math.sqrt(Math.max(variance, 1e-15 * squares[c]!) / n);
  });
}

/** Percentile bootstrap of the mean difference over pairs (subjects). */
export function bootstrapMean(
  differences: ArrayLike<number>,
  options: { resamples?: number | undefined; level?: number | undefined; seed?: number | undefined } = {},
): Interval {
  const { resamples = 10_000, level = 0.95, seed = 0 } = options;
  count('resamples', resamples);
  checkLevel(level);
  const d = finite(differences);
  const random = new Random(seed);
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < d.length; i++) sum += d[Math.floor(random.uniform() * d.length)]!;
    return sum / d.length;
  });
  return { value: mean(d), ...percentiles(means, level) };
}

function checkAlternative(alternative: Alternative): void {
  if (!['two-sided', 'greater', 'less'].includes(alternative))
    throw expected('alternative', '`two-sided`, `greater` or `less`', alternative);
}

function finite(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values).filter(Number.isFinite);
}
