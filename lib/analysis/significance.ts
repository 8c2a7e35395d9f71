/** Every layer's scores with what they are worth: permutation p-values over all layers and targets, intervals. */
import type { Matrix } from '../data/types.js';
import { expected } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import type { FoldRows } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { adjustFdr, adjustMaximum } from './multiple.js';
import { type BootstrapOptions, count, type PermutationOptions, permutations, resampling } from './resample.js';

export interface SignificanceOptions
  extends Pick<PermutationOptions, 'exchange' | 'groups' | 'alternative' | 'seed'>,
    Pick<BootstrapOptions, 'block' | 'level'>,
    JobOptions {
  /** Permutations; default 1000, 0 for no tests. */
  permutations?: number | undefined;
  /** Resamples of the bootstrap; default 1000, 0 for no intervals. */
  resamples?: number | undefined;
}

/** Arrays [L, t], row-major; NaN where a target has no score, or nothing was asked for. */
export interface Significance {
  r: Float64Array;
  /** Of the layer and target alone. */
  p: Float64Array;
  /** Benjamini-Hochberg over all layers and targets. */
  fdr: Float64Array;
  /** Corrected for all layers and targets together by the largest r of each permutation. */
  pMax: Float64Array;
  /** Percentile interval over resampled rows. */
  lower: Float64Array;
  upper: Float64Array;
}

/**
 * Tests and intervals of held-out predictions, as `encode` keeps them. Responses are exchanged in the same way in every layer, so the
 * correction for the largest r takes the likeness of neighbouring layers into account.
 *
 * @param predictions [L, n, t].
 * @param responses [n, t].
 * @param folds whose test rows are the parts in which r is taken and responses are exchanged.
 */
export async function significance(
  predictions: Tensor,
  responses: Matrix | Tensor,
  folds: readonly Pick<FoldRows, 'test'>[],
  options: SignificanceOptions = {},
): Promise<Significance> {
  const { permutations: wanted = 1000, resamples = 1000, onProgress } = options;
  const [L, n, t] = predictions.shape as [number, number, number];
  if (predictions.shape.length !== 3) throw expected('predictions', 'a tensor [L, n, t]', [...predictions.shape]);
  for (const [name, value] of Object.entries({ permutations: wanted, resamples })) if (value !== 0) count(name, value);
  const empty = () => new Float64Array(L * t).fill(Number.NaN);
  const out = { r: empty(), p: empty(), fdr: empty(), pMax: empty(), lower: empty(), upper: empty() };
  const test = wanted > 0 ? permutations(folds, { ...options, permutations: wanted }) : undefined;
  const interval = resamples > 0 ? resampling(folds, { ...options, resamples }) : undefined;
  const maximum = new Float64Array(wanted).fill(Number.NEGATIVE_INFINITY);
  const values = predictions.toArray();
  using made = responses instanceof Tensor ? undefined : Tensor.from(responses.data, [n, t]);
  const measured = made ?? (responses as Tensor);
  for (let l = 0; l < L; l++) {
    using layer = Tensor.from(values.subarray(l * n * t, (l + 1) * n * t), [n, t]);
    const job = { signal: options.signal, ...(onProgress && { onProgress: staged(onProgress, l, L) }) };
    if (test) {
      const tested = await test(layer, measured, job);
      out.r.set(tested.r, l * t);
      out.p.set(tested.p, l * t);
      for (const [k, value] of tested.maximum.entries()) maximum[k] = Math.max(maximum[k]!, value);
    }
    if (!interval) continue;
    const { r, lower, upper } = await interval(layer, measured, job);
    out.r.set(r, l * t);
    out.lower.set(lower, l * t);
    out.upper.set(upper, l * t);
  }
  if (!test) return out;
  const size = options.alternative === 'two-sided' ? Math.abs : (r: number) => r;
  return { ...out, fdr: adjustFdr(out.p), pMax: adjustMaximum(out.r.map(size), maximum) };
}

/** Progress of one layer as a share of all. */
export function staged(
  onProgress: NonNullable<JobOptions['onProgress']>,
  l: number,
  L: number,
): JobOptions['onProgress'] {
  return ({ done, total, stage }) => onProgress({ done: l * total + done, total: L * total, stage });
}
