/** Permutation tests that fit everything again, in every layer, with penalties kept or chosen anew. */
import type { Matrix } from '../data/types.js';
import { type EncodeOptions, encode } from '../encode/encode.js';
import { type PhaseShifts, type RefitPermutedOptions, refitPermuted } from '../encode/permute.js';
import { responsesShape } from '../encode/responses.js';
import type { FoldScores } from '../encode/scores.js';
import { expected } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import type { Tensor } from '../tensor.js';
import { groupNumbers } from './match.js';
import { adjustFdr, adjustMaximum } from './multiple.js';
import { count, type PermutationOptions } from './resample.js';
import { type Exchange, parseExchange, rowOrders, runsOf, surrogatePhases } from './surrogates.js';

export const kRefits = ['fixed', 'reselect'] as const;
/** Alphas of the measured responses are kept, or chosen anew for every permutation (slower, and the whole procedure). */
export type Refit = (typeof kRefits)[number];

/** What fits of permutations do not have: asking for it is an error, never passed over. */
const kNotRefitted = [
  'predictions',
  'weights',
  'scores',
  'selection',
  'kernel',
  'sampleWeights',
  'missing',
  'memory',
] as const;

export type RefitOptions = Omit<EncodeOptions, (typeof kNotRefitted)[number]> &
  Pick<PermutationOptions, 'exchange' | 'permutations' | 'seed' | 'alternative'> & {
    /** Default 'reselect'. */
    refit?: Refit | undefined;
    /** What `encode` gave for the same data, folds and alphas; without it (and alphas fixed) they are chosen first. */
    chosen?: FoldScores | undefined;
  };

/** Arrays [L, t], row-major; NaN where a target has no score. */
export interface RefitTest {
  r: Float64Array;
  /** Of the layer and target alone. */
  p: Float64Array;
  /** Benjamini-Hochberg over all layers and targets. */
  fdr: Float64Array;
  /** Corrected for all layers and targets together by the largest r of each permutation. */
  pMax: Float64Array;
}

/**
 * Does r exceed what autocorrelation alone gives? Rows of the responses are exchanged within runs (`groups`, else the whole recording),
 * training rows among them, and every permutation is fitted and scored as the measured responses were. Features are factored once, so with
 * alphas fixed a permutation costs one product a fold for all targets.
 *
 * @param features [L, n, p] or [n, p]. @param responses [n, t].
 * @param options those of `encode` (linear ridge, penalties by inner folds), and of the permutations: `exchange` `block:ROWS` (default
 * `block:10`), `circular`, `phase` or `rows`.
 * @returns arrays [L, t]; no intervals.
 * @throws what `encode` throws; RangeError (ERR_ARGUMENT) for other options of `encode`.
 */
export async function refitTest(
  features: Tensor,
  responses: Matrix | Tensor,
  options: RefitOptions = {},
): Promise<RefitTest> {
  const { permutations = 1000, seed = 0, exchange = 'block:10', refit = 'reselect', onProgress } = options;
  count('permutations', permutations);
  if (!kRefits.includes(refit)) throw expected('refit', '`fixed` or `reselect`', refit);
  for (const key of kNotRefitted)
    if ((options as EncodeOptions)[key] !== undefined)
      throw expected(key, 'left out: permutations are fitted by linear ridge alone', (options as EncodeOptions)[key]);
  const how = typeof exchange === 'object' ? exchange : parseExchange(exchange);
  const [n, t] = responsesShape(responses);
  const exchanged = exchanges(how, n, options.groups, permutations, seed);
  const chosen =
    refit === 'fixed'
      ? (options.chosen ?? (await encode(features, responses, { ...options, onProgress: undefined })).folds)
      : undefined;
  const L = features.shape.length === 3 ? features.shape[0]! : 1;
  const [r, p] = [new Float64Array(L * t), new Float64Array(L * t)];
  const maximum = new Float64Array(permutations).fill(Number.NEGATIVE_INFINITY);
  for (let layer = 0; layer < L; layer++) {
    const found = await refitPermuted(features, responses, {
      ...options,
      ...exchanged,
      layer,
      chosen,
      onProgress: onProgress && staged(onProgress, layer, L),
    });
    r.set(found.observed, layer * t);
    for (const [c, reached] of found.reached.entries())
      p[layer * t + c] = Number.isNaN(found.observed[c]!) ? Number.NaN : (1 + reached) / (1 + permutations);
    for (const [k, largest] of found.largest.entries()) maximum[k] = Math.max(maximum[k]!, largest);
  }
  const size = options.alternative === 'two-sided' ? Math.abs : (value: number) => value;
  return { r, p, fdr: adjustFdr(p), pMax: adjustMaximum(r.map(size), maximum) };
}

/** What takes the place of n rows in each permutation, within their runs (`groups`). @throws RangeError (ERR_ARGUMENT). */
export function exchanges(
  how: Exchange,
  n: number,
  groups: EncodeOptions['groups'],
  permutations: number,
  seed: number,
): Pick<RefitPermutedOptions, 'orders' | 'phases'> {
  const numbers = groupNumbers(groups, n);
  if (how.kind === 'phase') return { phases: shifts(runsOf(n, numbers), permutations, seed) };
  return { orders: rowOrders(how, n, numbers, permutations, seed) };
}

function shifts(runs: number[][], permutations: number, seed: number): PhaseShifts {
  const sizes = runs.map((run) => run.length);
  return { runs: runs.map((run) => Int32Array.from(run)), values: surrogatePhases(sizes, permutations, seed) };
}

/** Progress of one layer as a share of all. */
export function staged(
  onProgress: NonNullable<JobOptions['onProgress']>,
  l: number,
  L: number,
): JobOptions['onProgress'] {
  return ({ done, total, stage }) => onProgress({ done: l * total + done, total: L * total, stage });
}
