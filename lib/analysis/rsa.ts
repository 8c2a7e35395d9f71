/** How well a model's RDM fits the RDMs of subjects: mean likeness, its interval over stimuli, a permutation test, the ceiling. */
import { expected } from '../errors.js';
import { Random } from '../random.js';
import { pValue } from './match.js';
import { compareRdms, type Rdm, type RdmComparison, type RsaCeiling, rdmStimuli, rsaCeiling } from './rdm.js';
import { checkLevel, count, percentiles } from './resample.js';

export interface RsaOptions {
  /** Default 'spearman'. */
  comparison?: RdmComparison | undefined;
  /** Relabelings of the stimuli; default 1000, 0 for no test. */
  permutations?: number | undefined;
  /** Bootstrap resamples of the stimuli; default 1000, 0 for no interval. */
  resamples?: number | undefined;
  /** Default 0.95. */
  level?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
}

export interface RsaFit {
  /** Mean over subjects of the likeness of the model's RDM and the subject's. */
  similarity: number;
  /** Of each subject. */
  subjects: number[];
  /** Percentile interval of the mean over resampled stimuli; NaN without resamples. */
  lower: number;
  upper: number;
  /** Share of relabelings of the model's stimuli that fit as well; NaN without any. */
  p: number;
}

/**
 * Fits of several models (layers) to the RDMs of subjects.
 *
 * Test: the stimuli of the model are relabelled at random (rows and columns of its RDM together), the same way for all subjects. Interval:
 * stimuli are drawn again with replacement, pairs of a stimulus with itself left out (Nili et al. 2014, PLoS Computational
 * Biology 10, e1003553).
 *
 * @param models one RDM a model. @param subjects one RDM a subject, of the same stimuli.
 * @returns a fit for each model, and the ceiling (NaN with one subject).
 * @throws RangeError (ERR_ARGUMENT), ERR_DATA for RDMs of different sizes.
 */
export function fitRdms(
  models: readonly Rdm[],
  subjects: readonly ArrayLike<number>[],
  options: RsaOptions = {},
): { fits: RsaFit[]; ceiling: RsaCeiling } {
  const { comparison = 'spearman', permutations = 1000, resamples = 1000, level = 0.95, seed = 0 } = options;
  if (permutations !== 0) count('permutations', permutations);
  if (resamples !== 0) count('resamples', resamples);
  checkLevel(level);
  if (models.length === 0 || subjects.length === 0)
    throw expected('subjects', 'RDMs of at least one, beside one of a model', subjects.length);
  const n = rdmStimuli(subjects[0]!);
  for (const rdm of [...models, ...subjects])
    if (rdm.length !== subjects[0]!.length)
      throw expected('models', `RDMs of the same ${n} stimuli as the subjects`, `${rdmStimuli(rdm)} stimuli`);
  const random = new Random(seed);
  const orders = Array.from({ length: permutations }, () => random.permutation(n));
  const draws = Array.from({ length: resamples }, () =>
    Array.from({ length: n }, () => Math.floor(random.uniform() * n)),
  );
  const likeness = (model: ArrayLike<number>, rows?: number[], both = false) => {
    const moved = rows ? rearranged(model, n, rows) : model;
    const each = subjects.map((rdm) => compareRdms(moved, both ? rearranged(rdm, n, rows!) : rdm, comparison));
    return { each, mean: each.reduce((sum, value) => sum + value, 0) / each.length };
  };
  const fits = models.map((model) => {
    const { each, mean } = likeness(model);
    const null_ = orders.map((order) => likeness(model, order).mean);
    const again = draws.map((rows) => likeness(model, rows, true).mean);
    return {
      similarity: mean,
      subjects: each,
      ...percentiles(again, level),
      p: permutations === 0 ? Number.NaN : pValue(mean, null_),
    };
  });
  const ceiling = subjects.length > 1 ? rsaCeiling(subjects, comparison) : { lower: Number.NaN, upper: Number.NaN };
  return { fits, ceiling };
}

/** The RDM of stimuli `rows`, in that order; pairs of one stimulus with itself are left out. */
function rearranged(rdm: ArrayLike<number>, n: number, rows: readonly number[]): Float64Array {
  const out = new Float64Array((rows.length * (rows.length - 1)) / 2);
  let at = 0;
  for (let i = 0; i < rows.length; i++)
    for (let j = i + 1; j < rows.length; j++) {
      const [a, b] = rows[i]! < rows[j]! ? [rows[i]!, rows[j]!] : [rows[j]!, rows[i]!];
      if (a !== b) out[at++] = rdm[a * n - (a * (a + 1)) / 2 + b - a - 1]!;
    }
  return out.subarray(0, at);
}
