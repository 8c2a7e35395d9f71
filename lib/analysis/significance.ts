/** Every layer's scores with what they are worth: permutation p-values over all layers and targets, intervals. */
import type { Matrix } from '../data/types.js';
import type { EncodeOptions } from '../encode/options.js';
import type { FoldScores } from '../encode/scores.js';
import { expected } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import type { FoldRows } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { adjustFdr, adjustMaximum } from './multiple.js';
import { type Refit, type RefitTest, refitTest, staged } from './refit.js';
import { type BootstrapOptions, count, type PermutationOptions, permutations, resampling } from './resample.js';

/** What the predictions came from: the features, the scores that `encode` gave, and its options that fits depend on. */
export interface Fits extends Pick<EncodeOptions, 'alphas' | 'alphaPer' | 'standardize'> {
  /** [L, n, p] */
  features: Tensor;
  scores: FoldScores;
}

export interface SignificanceOptions
  extends Pick<PermutationOptions, 'exchange' | 'groups' | 'alternative' | 'seed'>,
    Pick<BootstrapOptions, 'block' | 'level'>,
    JobOptions {
  /** Permutations; default 1000, 0 for no tests. */
  permutations?: number | undefined;
  /**
   * What a permutation is: 'fixed' (default), the responses of all rows exchanged and fitted again with the alphas that were chosen; 'reselect',
   * with alphas chosen anew by inner folds; 'none', held-out responses exchanged against the predictions as they are, which is right only where
   * these come from other responses (see `permutationTest`).
   */
  refit?: Refit | 'none' | undefined;
  /** Needed to fit again. */
  fits?: Fits | undefined;
  /** Resamples of the bootstrap; default 1000, 0 for no intervals. */
  resamples?: number | undefined;
}

/** Arrays [L, t], row-major; NaN where a target has no score, or nothing was asked for. */
export interface Significance extends RefitTest {
  /** Percentile interval over resampled rows. */
  lower: Float64Array;
  upper: Float64Array;
}

/**
 * Tests and intervals of held-out predictions, as `encode` keeps them. Responses are exchanged in the same way in every layer, so the
 * correction for the largest r takes the likeness of neighbouring layers into account. Targets with NaN responses have no p.
 *
 * @param predictions [L, n, t].
 * @param responses [n, t].
 * @param folds those of `encode`. r is taken in their test rows; these are the parts within which rows are drawn again, and (refit 'none')
 * responses are exchanged.
 */
export async function significance(
  predictions: Tensor,
  responses: Matrix | Tensor,
  folds: readonly FoldRows[],
  options: SignificanceOptions = {},
): Promise<Significance> {
  const { permutations: wanted = 1000, resamples = 1000, refit = 'fixed', fits } = options;
  const [, n, t] = predictions.shape as [number, number, number];
  if (predictions.shape.length !== 3) throw expected('predictions', 'a tensor [L, n, t]', [...predictions.shape]);
  for (const [name, value] of Object.entries({ permutations: wanted, resamples })) if (value !== 0) count(name, value);
  if (wanted > 0 && refit !== 'none' && fits === undefined)
    throw expected(
      'fits',
      'given, as every permutation is fitted again (refit `none` is for predictions made from other responses)',
      fits,
      'type',
    );
  using made = responses instanceof Tensor ? undefined : Tensor.from(responses.data, [n, t]);
  const measured = made ?? (responses as Tensor);
  const each = { ...options, permutations: wanted, resamples };
  const out = await intervals(predictions, measured, folds, each);
  if (wanted === 0) return out;
  const tested =
    refit === 'none'
      ? await heldOutTest(predictions, measured, folds, each)
      : await refitted(fits!, measured, folds, { ...each, refit });
  // Of the predictions where there are intervals; those of the fits are in single precision.
  return { ...out, ...tested, ...(resamples > 0 && { r: out.r }) };
}

type Settings = SignificanceOptions & { permutations: number; resamples: number };

/** Calls `work` with the predictions of each layer [n, t]. */
async function eachLayer(
  predictions: Tensor,
  { signal, onProgress }: JobOptions,
  work: (layer: Tensor, l: number, job: JobOptions) => Promise<void>,
): Promise<void> {
  const [L, n, t] = predictions.shape as [number, number, number];
  const values = predictions.toArray();
  for (let l = 0; l < L; l++) {
    using layer = Tensor.from(values.subarray(l * n * t, (l + 1) * n * t), [n, t]);
    await work(layer, l, { signal, ...(onProgress && { onProgress: staged(onProgress, l, L) }) });
  }
}

async function intervals(
  predictions: Tensor,
  responses: Tensor,
  folds: readonly FoldRows[],
  options: Settings,
): Promise<Significance> {
  const [L, , t] = predictions.shape as [number, number, number];
  const empty = () => new Float64Array(L * t).fill(Number.NaN);
  const out = { r: empty(), p: empty(), fdr: empty(), pMax: empty(), lower: empty(), upper: empty() };
  if (options.resamples === 0) return out;
  const interval = resampling(folds, options);
  await eachLayer(predictions, options, async (layer, l, job) => {
    const { r, lower, upper } = await interval(layer, responses, job);
    out.r.set(r, l * t);
    out.lower.set(lower, l * t);
    out.upper.set(upper, l * t);
  });
  return out;
}

async function heldOutTest(
  predictions: Tensor,
  responses: Tensor,
  folds: readonly FoldRows[],
  options: Settings,
): Promise<RefitTest> {
  const [L, , t] = predictions.shape as [number, number, number];
  const [r, p] = [new Float64Array(L * t), new Float64Array(L * t)];
  const maximum = new Float64Array(options.permutations).fill(Number.NEGATIVE_INFINITY);
  const test = permutations(folds, options);
  await eachLayer(predictions, options, async (layer, l, job) => {
    const tested = await test(layer, responses, job);
    r.set(tested.r, l * t);
    p.set(tested.p, l * t);
    for (const [k, value] of tested.maximum.entries()) maximum[k] = Math.max(maximum[k]!, value);
  });
  const size = options.alternative === 'two-sided' ? Math.abs : (value: number) => value;
  return { r, p, fdr: adjustFdr(p), pMax: adjustMaximum(r.map(size), maximum) };
}

/** Fits every permutation again, of the targets that have all responses. */
async function refitted(
  { features, scores, alphas, alphaPer, standardize }: Fits,
  responses: Tensor,
  folds: readonly FoldRows[],
  options: Settings & { refit: Refit },
): Promise<RefitTest> {
  const { exchange, groups, alternative, seed, permutations: made, refit, signal, onProgress } = options;
  const [n, t] = responses.shape as [number, number];
  const values = responses.toArray();
  const complete = Array.from({ length: t }, (_, c) => c).filter((c) => !hasNan(values, c, n, t));
  const empty = () => new Float64Array(scores.layers * t).fill(Number.NaN);
  const out = { r: empty(), p: empty(), fdr: empty(), pMax: empty() };
  if (complete.length === 0) return out;
  const data = new Float32Array(n * complete.length);
  for (let row = 0; row < n; row++)
    for (const [j, c] of complete.entries()) data[row * complete.length + j] = values[row * t + c]!;
  const leads = scores.layers * scores.folds;
  const alpha = Float64Array.from({ length: leads * complete.length }, (_, i) => {
    const lead = Math.floor(i / complete.length);
    return scores.alpha[lead * t + complete[i % complete.length]!]!;
  });
  const found = await refitTest(
    features,
    { data, rows: n, columns: complete.length },
    {
      ...{ alphas, alphaPer, standardize },
      ...{ exchange, groups, alternative, seed, permutations: made, refit, signal, onProgress },
      folds: [...folds],
      chosen: { ...scores, alpha, targets: complete.length },
      // Whether a permutation reaches r does not hang on its last digits.
      precision: 'single',
    },
  );
  for (const key of ['r', 'p', 'fdr', 'pMax'] as const)
    for (const [i, value] of found[key].entries())
      out[key][Math.floor(i / complete.length) * t + complete[i % complete.length]!] = value;
  return out;
}

function hasNan(values: Float32Array, column: number, n: number, t: number): boolean {
  for (let row = 0; row < n; row++) if (Number.isNaN(values[row * t + column]!)) return true;
  return false;
}
