/** Representational similarity analysis: dissimilarity matrices, how alike two of them are, and how alike they could be. */

import { pearson } from '../data/ceiling.js';
import { zscore } from '../data/detrend.js';
import { CortuneError, expected } from '../errors.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { mean } from '../numbers.js';
import { Tensor } from '../tensor.js';
import { cosine, kendallTauA, ranks, spearman } from './ranks.js';

/**
 * Dissimilarities of all pairs of n stimuli, n (n - 1) / 2 of them: (0, 1), (0, 2), ..., (1, 2), ... as scipy's `squareform` and
 * rsatoolbox's vectors have them.
 */
export type Rdm = Float64Array;

export const kDissimilarities = ['correlation', 'cosine', 'euclidean', 'sqeuclidean'] as const;
/** 1 - r, 1 - cosine, Euclidean distance, or its square (rsatoolbox's `euclidean` is the square over the number of columns). */
export type Dissimilarity = (typeof kDissimilarities)[number];

export const kRdmComparisons = ['spearman', 'tau-a', 'pearson', 'cosine'] as const;
/** How two RDMs are compared: Spearman's rho, Kendall's tau a (rewards models that predict ties no more), Pearson's r or the cosine. */
export type RdmComparison = (typeof kRdmComparisons)[number];

const kCompare: Record<RdmComparison, (a: ArrayLike<number>, b: ArrayLike<number>) => number> = {
  spearman,
  'tau-a': kendallTauA,
  pearson,
  cosine,
};

/**
 * The RDM of each layer.
 * @param features [L, n, p], or [n, p]; n of 2 or more.
 * @returns L RDMs in float64; NaN for pairs with a row that is constant (correlation) or zero (cosine).
 * @throws RangeError (ERR_ARGUMENT); ERR_DATA for values that are not finite; ERR_CANCELLED.
 */
export async function rdms(
  features: Tensor,
  options: JobOptions & { metric?: Dissimilarity | undefined } = {},
): Promise<Rdm[]> {
  const { metric = 'correlation' } = options;
  if (!kDissimilarities.includes(metric)) throw expected('metric', oneOf(kDissimilarities), metric);
  using made = features.shape.length === 2 ? Tensor.from(features.toArray(), [1, ...features.shape]) : undefined;
  const values = made ?? features;
  const n = values.shape[1]!;
  if (values.shape.length !== 3 || n < 2)
    throw expected('features', 'a tensor [n, p] or [L, n, p], n of 2 or more', [...features.shape]);
  const all = await runJob(
    (onProgress) => native().dissimilarities({ values: values.handle, metric }, onProgress),
    options,
  );
  const size = (n * (n - 1)) / 2;
  return Array.from({ length: values.shape[0]! }, (_, l) => all.slice(l * size, (l + 1) * size));
}

/** How alike two RDMs are. @throws RangeError (ERR_ARGUMENT) when they differ in size or the comparison is not known. */
export function compareRdms(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  comparison: RdmComparison = 'spearman',
): number {
  const compare = kCompare[comparison];
  if (!compare) throw expected('comparison', oneOf(kRdmComparisons), comparison);
  return compare(a, b);
}

export interface RsaCeiling {
  /** Mean over subjects of the likeness with the pooled RDM of the other subjects. */
  lower: number;
  /** Mean over subjects of the likeness with the pooled RDM of all, the subject among them. */
  upper: number;
}

/**
 * Between which bounds the best possible model lies (Nili et al. 2014, PLoS Computational Biology 10, e1003553). RDMs are pooled as fits
 * the comparison: ranks for Spearman and tau a, z-scores for Pearson, unit mean square for cosine, as rsatoolbox's
 * `boot_noise_ceiling` does.
 * @param subjects one RDM a subject, at least 2.
 */
export function rsaCeiling(subjects: readonly ArrayLike<number>[], comparison: RdmComparison = 'spearman'): RsaCeiling {
  sameSizes(subjects, 2);
  const scaled = subjects.map((rdm) => scaledFor(rdm, comparison));
  const total = new Float64Array(scaled[0]!.length);
  for (const rdm of scaled) for (let i = 0; i < total.length; i++) total[i]! += rdm[i]!;
  const count = subjects.length;
  const lower = subjects.map((rdm, s) => {
    const others = total.map((sum, i) => (sum - scaled[s]![i]!) / (count - 1));
    return compareRdms(rdm, others, comparison);
  });
  const upper = subjects.map((rdm) => compareRdms(rdm, total, comparison));
  return { lower: mean(lower), upper: mean(upper) };
}

/** Mean of the subjects' RDMs, each scaled as fits the comparison. */
export function pooledRdm(subjects: readonly ArrayLike<number>[], comparison: RdmComparison = 'spearman'): Rdm {
  sameSizes(subjects, 1);
  const scaled = subjects.map((rdm) => scaledFor(rdm, comparison));
  return scaled[0]!.map((_, i) => scaled.reduce((sum, rdm) => sum + rdm[i]!, 0) / scaled.length);
}

function scaledFor(rdm: ArrayLike<number>, comparison: RdmComparison): Float64Array {
  if (comparison === 'spearman' || comparison === 'tau-a') return ranks(rdm);
  if (comparison === 'pearson') return zscore(rdm);
  const values = Float64Array.from(rdm);
  const size = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  return values.map((value) => value / size);
}

/** Number of stimuli of an RDM. @throws ERR_DATA when no number has that many pairs. */
export function rdmStimuli(rdm: ArrayLike<number>): number {
  const n = Math.round((1 + Math.sqrt(1 + 8 * rdm.length)) / 2);
  if ((n * (n - 1)) / 2 === rdm.length && n > 1) return n;
  throw new CortuneError('ERR_DATA', `Expected an RDM of n (n - 1) / 2 pairs, got ${rdm.length}.`);
}

/** The RDM above the diagonal of a square matrix. @throws ERR_DATA when it is not square or not symmetric. */
export function rdmOfSquare(values: ArrayLike<number>, n: number): Rdm {
  if (values.length !== n * n)
    throw new CortuneError('ERR_DATA', `Expected ${n} x ${n} dissimilarities, got ${values.length}.`);
  const rdm = new Float64Array((n * (n - 1)) / 2);
  for (let i = 0, at = 0; i < n; i++)
    for (let j = i + 1; j < n; j++, at++) {
      rdm[at] = values[i * n + j]!;
      const apart = Math.abs(rdm[at]! - values[j * n + i]!);
      if (apart > 1e-6 * Math.max(1, Math.abs(rdm[at]!)))
        throw new CortuneError(
          'ERR_DATA',
          `Expected equal dissimilarities of ${i} and ${j} both ways, got ${apart} apart.`,
        );
    }
  return rdm;
}

function sameSizes(subjects: readonly ArrayLike<number>[], least: number): void {
  if (subjects.length < least) throw expected('subjects', `RDMs of at least ${least} subjects`, subjects.length);
  for (const [s, rdm] of subjects.entries())
    if (rdm.length !== subjects[0]!.length)
      throw new CortuneError(
        'ERR_DATA',
        `Expected RDMs of the same stimuli, ${subjects[0]!.length} pairs, got ${rdm.length} for subject number ${s + 1}.`,
      );
}

function oneOf(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(' or ');
}
