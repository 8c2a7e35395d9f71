/** Noise ceilings: the highest Pearson r a perfect model could reach, estimated from how well subjects agree. */

import { CortuneError, expected } from '../errors.js';
import { mean } from '../numbers.js';
import { zscore } from './detrend.js';

/**
 * Pearson correlation of two equally long series, in float64. NaN where either is constant or not finite.
 * @throws RangeError (ERR_ARGUMENT) when the lengths differ.
 */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw expected('b', `as long as \`a\`, ${a.length} values`, b.length);
  const meanA = mean(a);
  const meanB = mean(b);
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const da = a[i]! - meanA;
    const db = b[i]! - meanB;
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  // A constant series in float64 can keep a rounding residue, so "constant" is judged against the size of its mean.
  if (aa <= flat(meanA, a.length) || bb <= flat(meanB, b.length)) return Number.NaN;
  return Math.max(-1, Math.min(1, ab / Math.sqrt(aa * bb)));
}

/**
 * Ceiling of each subject's own time course: r of the subject with the mean of the other subjects' z-scored courses
 * (leave-one-subject-out inter-subject correlation). It is a lower bound of the noise ceiling: the others' mean still holds
 * noise, and what is special to one subject is not in it, so a score divided by it may pass 1.
 *
 * Source: Hasson, Nir, Levy, Fuhrmann & Malach (2004), Science 303, 1634-1640; Nili et al. (2014), PLoS Computational
 * Biology 10, e1003553 (lower bound).
 *
 * @param courses one course of n volumes per subject, of one region.
 * @returns one value per subject in (0, 1]; NaN with fewer than two usable subjects, for a constant course, and where r is
 * not positive (there is nothing to explain, and no ratio would mean anything).
 */
export function interSubjectCeilings(courses: readonly ArrayLike<number>[]): Float64Array {
  sameLength(courses);
  if (courses.length < 2) return new Float64Array(courses.length).fill(Number.NaN);
  const scored = courses.map(zscore);
  const total = new Float64Array(courses[0]?.length ?? 0);
  for (const course of scored.filter(usable)) for (let i = 0; i < total.length; i++) total[i]! += course[i]!;
  return Float64Array.from(scored, (course) => {
    if (!usable(course)) return Number.NaN;
    return positive(
      pearson(
        course,
        total.map((sum, i) => sum - course[i]!),
      ),
    );
  });
}

/**
 * Ceiling of the mean over N subjects: `sqrt(N rho / (1 + (N - 1) rho))`, with rho the mean Pearson r over all pairs of
 * subjects. The fraction is the Spearman-Brown reliability of a mean of N; its square root is the highest correlation that
 * anything can have with a measure of that reliability.
 *
 * Source: Spearman (1910), British Journal of Psychology 3, 271-295; Brown (1910), ibid., 296-322; the square root is
 * Spearman's (1904) correction for attenuation, American Journal of Psychology 15, 72-101.
 *
 * @param courses one course of n volumes per subject, of one region.
 * @returns a value in (0, 1]; NaN with fewer than two usable subjects or when rho is not positive.
 */
export function groupCeiling(courses: readonly ArrayLike<number>[]): number {
  const { rho, subjects } = meanPairwiseR(courses);
  if (subjects < 2 || !(rho > 0)) return Number.NaN;
  return Math.sqrt((subjects * rho) / (1 + (subjects - 1) * rho));
}

/**
 * Mean Pearson r over all pairs of subjects, and the number of subjects that count (constant courses do not).
 * Uses `|sum of z|^2 = N n + 2 n * sum of r over pairs`, so it costs N n and not N^2 n.
 */
export function meanPairwiseR(courses: readonly ArrayLike<number>[]): { rho: number; subjects: number } {
  sameLength(courses);
  const scored = courses.length < 2 ? [] : courses.map(zscore).filter(usable);
  const subjects = scored.length;
  if (subjects < 2) return { rho: Number.NaN, subjects };
  const rows = scored[0]!.length;
  let squares = 0;
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (const course of scored) sum += course[i]!;
    squares += sum * sum;
  }
  return { rho: (squares / rows - subjects) / (subjects * (subjects - 1)), subjects };
}

/** Sum of squares below which n values around `centre` are one repeated number. */
function flat(centre: number, n: number): number {
  return n * (centre * 1e-12) ** 2;
}

/** z-scores of a constant or non-finite course are NaN throughout. */
function usable(scores: Float64Array): boolean {
  return !Number.isNaN(scores[0] ?? Number.NaN);
}

function positive(r: number): number {
  return r > 0 ? r : Number.NaN;
}

function sameLength(courses: readonly ArrayLike<number>[]): void {
  const rows = courses[0]?.length;
  for (const [i, course] of courses.entries()) {
    if (course.length === rows) continue;
    throw new CortuneError(
      'ERR_DATA',
      `Expected every subject to have ${rows} volumes as the first has, got ${course.length} for subject number ${i + 1}. Trim the courses to the same volumes.`,
    );
  }
}
