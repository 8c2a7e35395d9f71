/** Inference on held-out predictions: permutation tests that respect autocorrelation, and bootstrap intervals. */
import type { Matrix } from '../data/types.js';
import { oneOf } from '../encode/options.js';
import { expected } from '../errors.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { FoldRows } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { adjustFdr, adjustMaximum } from './multiple.js';
import {
  bootstrapDraws,
  checkParts,
  type Exchange,
  parseExchange,
  stretches,
  surrogateOrders,
  surrogatePhases,
} from './surrogates.js';

export interface PermutationOptions extends JobOptions {
  /** `block:ROWS` (default `block:10`), `circular`, `phase` or `rows`; see surrogates.ts. */
  exchange?: string | Exchange | undefined;
  /** Run of each row: blocks and shifts then stay within the run, where a test fold holds several. */
  groups?: readonly (string | number)[] | undefined;
  /** Default 1000. */
  permutations?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
  /** 'greater' (default): is the score higher than by chance? 'two-sided': is it further from 0? */
  alternative?: 'greater' | 'two-sided' | undefined;
}

/** What each target's score is worth; arrays [t]. NaN for a target without a score. */
export interface PermutationTest {
  /** Mean over folds of the held-out Pearson r. */
  r: Float64Array;
  /** (1 + permutations that reach it) / (1 + permutations). */
  p: Float64Array;
  /** Benjamini-Hochberg over the targets. */
  fdr: Float64Array;
  /** Corrected for the targets together by the largest score of each permutation. */
  pMax: Float64Array;
  /** Mean and standard deviation of r under the null hypothesis. */
  nullMean: Float64Array;
  nullDeviation: Float64Array;
  /** `[permutations]`: the largest score of any target. */
  maximum: Float64Array;
}

/**
 * Does r exceed what autocorrelation alone gives, for predictions that were made from other responses: of another recording, another
 * person, or of one held-out part? Within each part, the measured responses are exchanged with others that resemble them in their
 * autocorrelation, the same exchange for all targets, and scored against the predictions as they are.
 *
 * Not for the predictions of a cross-validation with several folds. What two folds happen to have in common raises or lowers r in
 * both, as each is predicted from the other; the mean over folds then varies about sqrt(2) times as much as under this exchange, and one in
 * eight tests without an effect would be below 0.05. `refitTest` and `significance` fit again and keep the 5 %.
 *
 * @param predictions held-out predictions [n, t], as `encode` keeps them (one layer).
 * @param responses [n, t].
 * @param folds the test rows are the parts within which responses are exchanged, in the order of time.
 * @throws RangeError (ERR_ARGUMENT); ERR_CANCELLED.
 */
export async function permutationTest(
  predictions: Tensor,
  responses: Matrix | Tensor,
  folds: readonly Pick<FoldRows, 'test'>[],
  options: PermutationOptions = {},
): Promise<PermutationTest> {
  return permutations(folds, options)(predictions, responses, options);
}

/** A test of one layer; see permutationTest. */
export type LayerTest = (predictions: Tensor, responses: Matrix | Tensor, job: JobOptions) => Promise<PermutationTest>;

/** Makes the exchanges once, for any number of layers that share folds and responses. */
export function permutations(folds: readonly Pick<FoldRows, 'test'>[], options: PermutationOptions): LayerTest {
  const { permutations: made = 1000, seed = 0 } = options;
  const how = typeof options.exchange === 'object' ? options.exchange : parseExchange(options.exchange ?? 'block:10');
  count('permutations', made);
  const alternative = oneOf('alternative', options.alternative, ['greater', 'two-sided']);
  checkParts(partSizes(folds));
  const sizes = stretches(how, folds, options.groups);
  const orders = how.kind === 'phase' ? new Int32Array() : surrogateOrders(how, sizes, made, seed);
  const phases = how.kind === 'phase' ? surrogatePhases(sizes, made, seed) : new Float64Array();
  return async (predictions, responses, job) => {
    using tensor = tensorOf(responses);
    const scored = scoredArgs(predictions, tensor ?? (responses as Tensor), folds);
    checkHeld('permutations', made, Math.min(kHeldPermuted, predictions.shape[1]!));
    const found = await runJob(
      (onProgress) =>
        native().permutedScores({ ...scored, orders, phases, twoSided: alternative === 'two-sided' }, onProgress),
      job,
    );
    const p = found.exceed.map((exceed) => (1 + exceed) / (1 + made));
    const observed = alternative === 'two-sided' ? found.r.map(Math.abs) : found.r;
    return {
      r: found.r,
      p,
      fdr: adjustFdr(p),
      pMax: adjustMaximum(observed, found.maximum),
      nullMean: found.mean,
      nullDeviation: found.deviation,
      maximum: found.maximum,
    };
  };
}

export interface BootstrapOptions extends JobOptions {
  /** Resamples; default 1000. */
  resamples?: number | undefined;
  /** Neighbouring rows that are drawn together; default 1, for trials. For time courses about as long as their autocorrelation. */
  block?: number | undefined;
  /** Share of resamples inside the interval; default 0.95. */
  level?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
}

/** Intervals of each target's score, arrays [t], and of the mean over targets. */
export interface ScoreIntervals {
  r: Float64Array;
  lower: Float64Array;
  upper: Float64Array;
  /** Standard error: standard deviation over resamples. */
  error: Float64Array;
  mean: Interval;
}

export interface Interval {
  value: number;
  lower: number;
  upper: number;
}

/**
 * Percentile bootstrap of held-out scores over stimuli: rows of each test fold are drawn again with replacement, in blocks, and r is
 * taken in each fold as before. The models are not fitted again, so this is the uncertainty from the choice of test stimuli alone.
 * @throws RangeError (ERR_ARGUMENT); ERR_CANCELLED.
 */
export async function bootstrapScores(
  predictions: Tensor,
  responses: Matrix | Tensor,
  folds: readonly Pick<FoldRows, 'test'>[],
  options: BootstrapOptions = {},
): Promise<ScoreIntervals> {
  return resampling(folds, options)(predictions, responses, options);
}

/** Intervals of one layer; see bootstrapScores. */
export type LayerIntervals = (
  predictions: Tensor,
  responses: Matrix | Tensor,
  job: JobOptions,
) => Promise<ScoreIntervals>;

/** Makes the draws once, for any number of layers that share folds and responses. */
export function resampling(folds: readonly Pick<FoldRows, 'test'>[], options: BootstrapOptions): LayerIntervals {
  const { resamples = 1000, block = 1, level = 0.95, seed = 0 } = options;
  count('resamples', resamples);
  checkLevel(level);
  const draws = bootstrapDraws(partSizes(folds), block, resamples, seed);
  return async (predictions, responses, job) => {
    using tensor = tensorOf(responses);
    const scored = scoredArgs(predictions, tensor ?? (responses as Tensor), folds);
    checkHeld('resamples', resamples, 8 * Math.min(kHeldResampled, predictions.shape[1]!));
    const found = await runJob((onProgress) => native().resampledScores({ ...scored, draws, level }, onProgress), job);
    const known = found.r.filter((r) => !Number.isNaN(r));
    return {
      r: found.r,
      lower: found.lower,
      upper: found.upper,
      error: found.deviation,
      mean: { value: known.reduce((sum, r) => sum + r, 0) / known.length, ...percentiles(found.mean, level) },
    };
  };
}

/** Targets whose scores native code holds at a time (native/analysis/resample.cc), and scores held at most: 2 GB. */
const kHeldPermuted = 4096;
const kHeldResampled = 512;
const kMostHeld = 2.5e8;

function checkHeld(name: string, made: number, width: number): void {
  const most = Math.floor(kMostHeld / width);
  if (made > most) throw expected(name, `at most ${most} for so many targets`, made);
}

function partSizes(folds: readonly Pick<FoldRows, 'test'>[]): number[] {
  if (folds.length === 0) throw expected('folds', 'at least one', folds);
  return folds.map(({ test }) => test.length);
}

/** The middle `level` of values; NaN are passed over. Linear between neighbours, as numpy.quantile. */
export function percentiles(values: ArrayLike<number>, level: number): { lower: number; upper: number } {
  const sorted = Float64Array.from(values)
    .filter((value) => !Number.isNaN(value))
    .sort();
  const at = (share: number) => {
    if (sorted.length === 0) return Number.NaN;
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
  };
  return { lower: at((1 - level) / 2), upper: at((1 + level) / 2) };
}

export function checkLevel(level: number): void {
  if (!(level > 0 && level < 1)) throw expected('level', 'a share between 0 and 1, such as 0.95', level);
}

export function count(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1 || value > 1e6)
    throw expected(name, 'a whole number from 1 to 1,000,000', value);
}

function tensorOf(responses: Matrix | Tensor): Tensor | undefined {
  return responses instanceof Tensor ? undefined : Tensor.from(responses.data, [responses.rows, responses.columns]);
}

function scoredArgs(predictions: Tensor, responses: Tensor, folds: readonly Pick<FoldRows, 'test'>[]) {
  const [n, t] = predictions.shape;
  if (predictions.shape.length !== 2)
    throw expected('predictions', 'a tensor [rows, targets], of one layer', [...predictions.shape]);
  if (responses.shape.length !== 2 || responses.shape[0] !== n || responses.shape[1] !== t)
    throw expected('responses', `[${n}, ${t}] as the predictions`, [...responses.shape]);
  return {
    predictions: predictions.handle,
    responses: responses.handle,
    parts: folds.map(({ test }) => ({ rows: test })),
  };
}
