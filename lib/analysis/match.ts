/** Matching decoded rows with true ones: 2v2 accuracy, rank accuracy, identification. */

import { expected } from '../errors.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { meanOfKnown } from '../numbers.js';
import type { Tensor } from '../tensor.js';
import { type Exchange, parseExchange, rowOrders } from './surrogates.js';

export interface MatchOptions extends JobOptions {
  /** How alike two rows are: Pearson correlation (default) or cosine. */
  metric?: 'correlation' | 'cosine' | undefined;
  /** Group of each row (fold, run, category): rows are compared within their group only. All with all by default. */
  groups?: readonly (string | number)[] | undefined;
  /** Exchanges of the true rows (within groups) for the chance level and the p-value; default 0. */
  permutations?: number | undefined;
  /** What is exchanged: `rows` (default; trials in random order), `block:ROWS` or `circular` (time courses); see surrogates.ts. */
  exchange?: string | Exchange | undefined;
  /** Of the exchanges; default 0. */
  seed?: number | undefined;
}

/** How well one layer's predicted rows find their own true rows. */
export interface MatchScore {
  /** Share of pairs told apart, 0.5 by chance. */
  twoVsTwo: number;
  /** Number of pairs compared. */
  pairs: number;
  /** Mean over rows of the share of other rows that are less alike than the own one, 0.5 by chance. */
  rankAccuracy: number;
  /** Share of rows whose own true row is the most alike of all. */
  identification: number;
  /** Rank of the own row for each row, from 1; ties count half; NaN for rows without direction (constant or zero). */
  ranks: Float64Array;
  /** 2v2 accuracy of each shuffle. */
  baseline: Float64Array;
  /** (1 + shuffles at least as good) / (1 + shuffles); NaN without shuffles. */
  p: number;
}

/**
 * 2v2 accuracy, rank accuracy and identification of predicted rows, layer by layer.
 *
 * 2v2: rows i and j are told apart when `s(Di, Zi) + s(Dj, Zj) > s(Di, Zj) + s(Dj, Zi)`, D the predicted and Z the true rows, over all
 * pairs (Mitchell et al. 2008, Science 320, 1191-1195). A tie, and a row without direction, is not told apart. Comparisons are those of
 * float64: results do not depend on how many layers or shuffles go into one call.
 *
 * @param predicted [n, p], or [L, n, p].
 * @param actual [n, p], or [L, n, p] with a layer for each of predicted's.
 * @returns one score a layer.
 * @throws RangeError or TypeError (ERR_ARGUMENT) for shapes and options; ERR_DATA for values that are not finite; ERR_CANCELLED.
 */
export async function matchRows(predicted: Tensor, actual: Tensor, options: MatchOptions = {}): Promise<MatchScore[]> {
  const { metric = 'correlation', permutations = 0, seed = 0 } = options;
  if (metric !== 'correlation' && metric !== 'cosine') throw expected('metric', '`correlation` or `cosine`', metric);
  const how = typeof options.exchange === 'object' ? options.exchange : parseExchange(options.exchange ?? 'rows');
  if (!Number.isInteger(permutations) || permutations < 0)
    throw expected('permutations', 'a whole number of shuffles, 0 or more', permutations);
  const shape = predicted.shape.length === 2 ? [1, ...predicted.shape] : predicted.shape;
  const [layers, n, width] = shape;
  if (shape.length !== 3 || n! < 2)
    throw expected('predicted', 'a tensor [n, p] or [L, n, p], n of 2 or more', [...predicted.shape]);
  const fits = actual.shape.at(-1) === width && actual.shape.at(-2) === n;
  if (!fits || !(actual.shape.length === 2 || (actual.shape.length === 3 && actual.shape[0] === layers)))
    throw expected('actual', `a tensor [${n}, ${width}] or [${layers}, ${n}, ${width}]`, [...actual.shape]);
  const groups = groupNumbers(options.groups, n!);
  const found = await runJob(
    (onProgress) =>
      native().matchRows(
        {
          predicted: predicted.handle,
          actual: actual.handle,
          metric,
          groups,
          orders: rowOrders(how, n!, groups, permutations, seed),
        },
        onProgress,
      ),
    options,
  );
  const sizes = groupSizes(groups, n!);
  return Array.from({ length: layers! }, (_, l) => {
    const ranks = found.ranks.slice(l * n!, (l + 1) * n!);
    const baseline = found.baseline.slice(l * permutations, (l + 1) * permutations);
    const twoVsTwo = found.wins[l]! / found.pairs[l]!;
    return {
      twoVsTwo,
      pairs: found.pairs[l]!,
      rankAccuracy: meanOfKnown(
        ranks.map((rank, i) => (sizes[i]! > 1 ? 1 - (rank - 1) / (sizes[i]! - 1) : Number.NaN)),
      ),
      identification: meanOfKnown(ranks.map((rank) => (Number.isNaN(rank) ? rank : rank === 1 ? 1 : 0))),
      ranks,
      baseline,
      p: permutations === 0 ? Number.NaN : pValue(twoVsTwo, baseline),
    };
  });
}

/** Share of the null at least as large as the observed value, the observed one counted with it (Phipson & Smyth 2010). */
export function pValue(observed: number, null_: ArrayLike<number>): number {
  if (Number.isNaN(observed)) return Number.NaN;
  let atLeast = 0;
  // A shuffle that gives the observed value again may differ in its last digits.
  const bar = observed - 1e-12 * Math.abs(observed);
  for (let i = 0; i < null_.length; i++) if (null_[i]! >= bar) atLeast++;
  return (1 + atLeast) / (1 + null_.length);
}

/** Labels as numbers from 0, in the order in which they are first met; empty for none. */
export function groupNumbers(groups: readonly (string | number)[] | undefined, rows: number): Int32Array {
  if (groups === undefined) return new Int32Array();
  if (groups.length !== rows) throw expected('groups', `one for each of the ${rows} rows`, groups.length);
  const numbers = new Map<string | number, number>();
  return Int32Array.from(groups, (label) => {
    if (!numbers.has(label)) numbers.set(label, numbers.size);
    return numbers.get(label)!;
  });
}

function groupSizes(groups: Int32Array, n: number): number[] {
  if (groups.length === 0) return new Array<number>(n).fill(n);
  const counts = new Map<number, number>();
  for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  return Array.from(groups, (group) => counts.get(group)!);
}
