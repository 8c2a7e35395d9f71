/** Encoding scores under permuted responses, fitted anew for every permutation in one native call. */
import { expected } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { RefitMatch } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { type EncodeOptions, encodeSettings, oneOf } from './options.js';
import { checkRows, type Responses, responsesArgument, responsesShape } from './responses.js';
import type { FoldScores } from './scores.js';

export interface RefitPermutedOptions
  extends Pick<
    EncodeOptions,
    | 'folds'
    | 'innerFolds'
    | 'trim'
    | 'gap'
    | 'groups'
    | 'alphas'
    | 'alphaPer'
    | 'standardize'
    | 'precision'
    | 'signal'
    | 'onProgress'
  > {
  /**
   * What takes the place of the responses in each permutation: other orders of their rows, or the same with other phases (`phases`).
   * [P, n]: `orders[p * n + i]` is the row of the responses that takes the place of row i. Any permutation will do: of blocks, circular shifts,
   * within runs (lib/analysis/surrogates makes them).
   */
  orders?: Int32Array | undefined;
  /** Shifts of the Fourier phases of each run, the same for all targets, instead of orders. */
  phases?: PhaseShifts | undefined;
  /** Which layer of the features; default 0. */
  layer?: number | undefined;
  /**
   * Scores that `encode` gave for the same data, folds and alphas: their chosen alphas are kept for every permutation. Without it alphas are
   * chosen anew for each, by the inner folds; for each target, or (`alphaPer` shared) one for all.
   */
  chosen?: FoldScores | undefined;
  /** 'greater' (default) counts r at least as large as observed, 'two-sided' |r|. */
  alternative?: 'greater' | 'two-sided' | undefined;
  /** 2v2 accuracy as the score (lib/analysis/match), of rows made of so many targets side by side, instead of r of each. Single precision. */
  match?: RefitMatch | undefined;
  /** Keep every score [P, t]; dispose it. Default false: memory does not grow with permutations times targets. */
  keep?: boolean | undefined;
}

export interface PhaseShifts {
  /** Rows of each run in the order of time; every row is in one. */
  runs: readonly Int32Array[];
  /** [P, sum over runs of floor(m / 2) + 1], in radians. */
  values: Float64Array;
}

/** Of t targets; with `match` of t / columns rows of targets. */
export interface RefitPermutedScores {
  /** [t] mean over folds of held-out Pearson r, of the responses as they are; NaN for a target without score. */
  observed: Float64Array;
  /** [t] how many permutations score at least as much: p is (1 + reached) / (1 + P). */
  reached: Float64Array;
  /** [P] the largest score over targets in each permutation, for p-values corrected by the maximum. */
  largest: Float64Array;
  /** [P, t] */
  scores?: Tensor;
}

/**
 * Scores of one layer under permutations of the responses' rows, training rows among them: for every permutation ridge is fitted again in each
 * fold and the held-out rows are scored. Features are factored once; with `chosen` a permutation then costs one matrix product a fold, for all
 * targets. Products are in float32 from 2,000 targets on (`precision`); scores have the same bits for any number of threads.
 *
 * @param features [L, n, p], or [n, p]. @param responses [n, t].
 * @throws RangeError or TypeError (ERR_ARGUMENT) for options and orders that are no permutations; ERR_DATA for mismatched rows and values that are
 * not finite; ERR_CANCELLED.
 */
export async function refitPermuted(
  features: Tensor,
  responses: Responses,
  options: RefitPermutedOptions,
): Promise<RefitPermutedScores> {
  const [n, t] = responsesShape(responses);
  checkRows(features.shape.at(-2) ?? 0, responses);
  const { phases, chosen, layer = 0, keep = false, match } = options;
  if ((options.orders === undefined) === (phases === undefined))
    throw expected('orders', 'given, or `phases`, and not both', options.orders);
  const orders = options.orders ?? new Int32Array();
  const alternative = oneOf('alternative', options.alternative, ['greater', 'two-sided']);
  if (!(orders instanceof Int32Array) || orders.length % n !== 0)
    throw expected('orders', `an Int32Array of ${n} rows for each permutation`, orders);
  const { folds, alphas, alphaPer, standardize, precision } = encodeSettings(n, features.shape.at(-1) ?? 0, t, {
    ...options,
    ...(match && { precision: 'single' }),
  });
  using one = features.shape.length === 3 ? undefined : Tensor.from(features.toArray(), [1, ...features.shape]);
  const { argument, dispose } = responsesArgument(
    responses,
    Array.from({ length: t }, (_, i) => String(i)),
  );
  const { scores, ...rest } = await runJob(
    (onProgress) =>
      native().refitPermuted(
        {
          features: (one ?? features).handle,
          layer,
          ...argument,
          folds,
          alphas,
          chosen: chosen && chosenNumbers(chosen, alphas, layer, folds.length, t),
          orders,
          runs: (phases?.runs ?? []).map((rows) => ({ rows })),
          phases: phases?.values ?? new Float64Array(),
          alphaPer,
          standardize,
          precision,
          twoSided: alternative === 'two-sided',
          keep,
          match,
        },
        onProgress,
      ),
    options,
  ).finally(dispose);
  return { ...rest, ...(scores && { scores: new Tensor(scores) }) };
}

/** Numbers in the grid of one layer's alphas [F, t]; -1 where there is none. */
function chosenNumbers(scores: FoldScores, alphas: Float64Array, layer: number, F: number, t: number): Int32Array {
  if (scores.folds !== F || scores.targets !== t || layer >= scores.layers)
    throw expected(
      'chosen',
      `scores of ${F} folds and ${t} targets`,
      `${scores.folds} folds, ${scores.targets} targets`,
    );
  const places = new Map(Array.from(alphas, (alpha, i) => [alpha, i]));
  return Int32Array.from(scores.alpha.subarray(layer * F * t, (layer + 1) * F * t), (alpha) => {
    const place = Number.isNaN(alpha) ? -1 : places.get(alpha);
    if (place === undefined) throw expected('chosen', 'alphas of the given grid', alpha);
    return place;
  });
}
