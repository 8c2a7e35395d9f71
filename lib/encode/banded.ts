/** Banded ridge: groups of features with penalties of their own, found by random search over the simplex and refinement. */
import { expected } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { Random } from '../random.js';
import type { Tensor } from '../tensor.js';
import { type EncodeOptions, encodeSettings } from './options.js';
import { checkRows, type Responses, responsesArgument, responsesShape } from './responses.js';

export interface BandedOptions
  extends Pick<
    EncodeOptions,
    | 'folds'
    | 'innerFolds'
    | 'trim'
    | 'gap'
    | 'groups'
    | 'alphas'
    | 'standardize'
    | 'precision'
    | 'names'
    | 'signal'
    | 'onProgress'
  > {
  /** As of `encode`; default 'nested'. */
  selection?: 'nested' | 'fixed' | undefined;
  /** Columns of each band, in their order; they add up to the columns of the features. */
  sizes: readonly number[];
  /** Weights of the bands to try: how many to draw (default 100), or the rows themselves. The first drawn are equal weights. */
  gammas?: number | readonly (readonly number[])[] | undefined;
  /** Of the draws; default 0. */
  seed?: number | undefined;
  /** Rounds that try weights next to those that most targets chose; default 2. */
  refine?: number | undefined;
}

export interface BandedScores {
  /** F: folds that are scored. */
  folds: number;
  targets: number;
  bands: number;
  /** [F, t] held-out Pearson r, and R2. NaN for a constant target. */
  r: Float64Array;
  r2: Float64Array;
  /** [F, B, t] each band's share of the explained variance; sums over bands to the explained variance of the joint prediction. */
  split: Float64Array;
  /** [outer folds, t] (fixed selection: one fold) the chosen penalty; band b is penalised by alpha / gamma_b. */
  alpha: Float64Array;
  /** [outer folds, t] mean over inner folds of the mean squared error with the chosen pair. */
  error: Float64Array;
  /** [outer folds, B, t] the chosen weights. */
  gamma: Float64Array;
}

/**
 * Cross-validated banded ridge: for every target the penalty alpha and weights gamma of the bands (on the simplex) with the least mean squared error
 * on inner folds, and its held-out scores. Weights are drawn from Dirichlet distributions of concentration 1 and 0.1 in turn (as himalaya's
 * MultipleKernelRidgeCV does: Dupre la Tour, Eickenberg, Nunez-Elizalde & Gallant 2022, NeuroImage 264, 119728), then refined. With gammas given and
 * refine 0 the choice is himalaya's.
 *
 * @param features [n, p]. @param responses [n, t].
 * @throws RangeError or TypeError (ERR_ARGUMENT) for options; ERR_DATA for mismatched rows and values that are not finite; ERR_CANCELLED.
 */
export async function encodeBanded(
  features: Tensor,
  responses: Responses,
  options: BandedOptions,
): Promise<BandedScores> {
  if (features.shape.length !== 2)
    throw expected('features', 'a tensor [rows, columns], of one layer', [...features.shape]);
  const [n, p] = [features.shape[0]!, features.shape[1]!];
  const [, t] = responsesShape(responses);
  checkRows(n, responses);
  const sizes = bandSizes(options.sizes, p);
  const gammas = bandWeights(options.gammas ?? 100, sizes.length, options.seed ?? 0);
  const refine = options.refine ?? 2;
  if (!Number.isInteger(refine) || refine < 0 || refine > 10)
    throw expected('refine', 'an integer from 0 to 10', refine);
  // Inner folds are needed even for one alpha: they choose the weights.
  const settings = encodeSettings(n, p, t, options);
  const folds =
    settings.folds[0]!.inner.length > 0
      ? settings.folds
      : encodeSettings(n, p, t, { ...options, alphas: [1, 2] }).folds;
  const names = options.names ?? Array.from({ length: t }, (_, i) => String(i));
  const { alphas, standardize, fixed, precision } = settings;
  const { argument, dispose } = responsesArgument(responses, names);
  const result = await runJob(
    (onProgress) =>
      native().encodeBanded(
        { features: features.handle, ...argument, folds, sizes, gammas, alphas, standardize, fixed, precision, refine },
        onProgress,
      ),
    options,
  ).finally(dispose);
  return { folds: fixed ? folds[0]!.inner.length : folds.length, targets: t, bands: sizes.length, ...result };
}

function bandSizes(sizes: readonly number[], columns: number): Int32Array {
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (sizes.length === 0 || sizes.some((size) => !Number.isInteger(size) || size < 1) || sum !== columns)
    throw expected('sizes', `columns of each band, at least 1, that add up to the ${columns} of the features`, sizes);
  return Int32Array.from(sizes);
}

function bandWeights(gammas: number | readonly (readonly number[])[], bands: number, seed: number): Float64Array {
  if (typeof gammas === 'number') {
    if (!Number.isInteger(gammas) || gammas < 1 || gammas > 100_000)
      throw expected('gammas', 'an integer from 1 to 100000, or rows of weights', gammas);
    return drawWeights(gammas, bands, seed);
  }
  const wrong = gammas.find(
    (row) =>
      row.length !== bands ||
      row.some((value) => !(value >= 0) || !Number.isFinite(value)) ||
      !row.some((value) => value > 0),
  );
  if (gammas.length === 0 || wrong !== undefined)
    throw expected('gammas', `rows of ${bands} weights that are not negative, and not all 0`, wrong ?? gammas);
  return Float64Array.from(gammas.flat());
}

/** Rows on the simplex: equal weights, then Dirichlet draws of concentration 1 and 0.1 in turn. */
export function drawWeights(count: number, bands: number, seed: number): Float64Array {
  const random = new Random(seed);
  const out = new Float64Array(count * bands).fill(1 / bands);
  for (let row = 1; row < count; row++) {
    // Logarithms: draws of a small concentration underflow.
    const logs = Array.from({ length: bands }, () => logGamma(random, row % 2 === 1 ? 1 : 0.1));
    const most = Math.max(...logs);
    const shares = logs.map((value) => Math.exp(value - most));
    const sum = shares.reduce((a, b) => a + b);
    out.set(
      shares.map((share) => share / sum),
      row * bands,
    );
  }
  return out;
}

/** Logarithm of a gamma variate: Marsaglia & Tsang (2000) for shape + 1, times uniform^(1 / shape). */
function logGamma(random: Random, shape: number): number {
  const d = shape + 1 - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    const u = 1 - random.uniform();
    if (v > 0 && Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v))
      return Math.log(d * v) + Math.log(1 - random.uniform()) / shape;
  }
}
