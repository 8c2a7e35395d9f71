/** Permutation tests that fit everything again: penalties are chosen anew for every permutation of the responses. */
import type { Matrix } from '../data/types.js';
import { type EncodeOptions, encode } from '../encode/encode.js';
import { expected } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { groupNumbers } from './match.js';
import { adjustFdr, adjustMaximum } from './multiple.js';
import { count, type PermutationOptions } from './resample.js';
import type { Significance } from './significance.js';
import { parseExchange, rowOrders } from './surrogates.js';

/** Scores this close are the same: with thousands of permuted targets products are in single precision (see `encode`). */
const kSame = 1e-5;
/** Permuted targets that are fitted in one call; memory grows with it, results do not change. */
const kTargets = 20_000;

export type RefitOptions = Omit<EncodeOptions, 'predictions' | 'names'> &
  Pick<PermutationOptions, 'exchange' | 'permutations' | 'seed' | 'alternative'>;

/**
 * As `permutationTest`, but of the whole procedure: rows of the responses are exchanged within runs (`groups`, else the whole recording),
 * training rows among them, and every permutation is fitted and its penalties chosen as the measured responses were. It costs a fit a permutation,
 * all of them targets of the same few calls of `encode`, so that features are factored once a call; it also covers what
 * `permutationTest` cannot see, that the fit itself is drawn to the autocorrelation of its training rows.
 *
 * @param features [L, n, p] or [n, p]. @param responses [n, t].
 * @param options those of `encode`, and of the permutations: `exchange` `block:ROWS` (default `block:10`), `circular` or `rows`.
 * @returns arrays [L, t]; no intervals.
 * @throws what `encode` throws; RangeError (ERR_ARGUMENT) for `phase`, which is no exchange of rows.
 */
export async function refitTest(
  features: Tensor,
  responses: Matrix,
  options: RefitOptions = {},
): Promise<Omit<Significance, 'lower' | 'upper'>> {
  const { permutations = 1000, seed = 0, alternative = 'greater', exchange = 'block:10', onProgress } = options;
  count('permutations', permutations);
  if (alternative !== 'greater' && alternative !== 'two-sided')
    throw expected('alternative', '`greater` or `two-sided`', alternative);
  const how = typeof exchange === 'object' ? exchange : parseExchange(exchange);
  const { rows: n, columns: t } = responses;
  const orders = rowOrders(how, n, groupNumbers(options.groups, n), permutations, seed);
  const score = async (data: Float32Array, columns: number, done: number) => {
    const progress = onProgress && {
      onProgress: (p: Parameters<typeof onProgress>[0]) =>
        onProgress({
          done: done * p.total + p.done * (columns / t),
          total: p.total * permutations,
          stage: 'permutations',
        }),
    };
    const { layers } = await encode(features, { data, rows: n, columns }, { ...options, ...progress });
    return layers.map(({ targets }) => targets.map(({ r }) => r));
  };
  const observed = (await score(responses.data, t, 0)).flat();
  const size = alternative === 'two-sided' ? Math.abs : (r: number) => r;
  const reached = new Float64Array(observed.length);
  const maximum = new Float64Array(permutations).fill(Number.NEGATIVE_INFINITY);
  const batch = Math.max(1, Math.floor(kTargets / t));
  for (let from = 0; from < permutations; from += batch) {
    const some = Math.min(batch, permutations - from);
    const data = new Float32Array(n * some * t);
    for (let k = 0; k < some; k++)
      for (let row = 0; row < n; row++) {
        const source = orders[(from + k) * n + row]! * t;
        data.set(responses.data.subarray(source, source + t), (row * some + k) * t);
      }
    for (const [l, layer] of (await score(data, some * t, from)).entries())
      for (const [column, r] of layer.entries()) {
        const [k, c] = [from + Math.floor(column / t), column % t];
        if (size(r) >= size(observed[l * t + c]!) - kSame) reached[l * t + c]!++;
        if (size(r) > maximum[k]!) maximum[k] = size(r);
      }
  }
  const p = reached.map((value, i) => (Number.isNaN(observed[i]!) ? Number.NaN : (1 + value) / (1 + permutations)));
  return {
    r: Float64Array.from(observed),
    p,
    fdr: adjustFdr(p),
    pMax: adjustMaximum(observed.map(size), maximum),
  };
}
