/** Noise ceilings beside those of lib/data/ceiling.ts: from repetitions, from halves, extrapolated to many subjects; and intervals. */

import { groupCeiling, interSubjectCeilings, pearson } from '../data/ceiling.js';
import { zscore } from '../data/detrend.js';
import { expected } from '../errors.js';
import { meanOfKnown } from '../numbers.js';
import { Random } from '../random.js';
import { type Courses, checkCourses, meanCourse } from './courses.js';
import { extrapolatedCeiling } from './extrapolate.js';
import { checkLevel, count, type Interval, percentiles } from './resample.js';

export interface SplitHalf {
  /** Mean Pearson r of the means of the two halves, over splits. */
  r: number;
  /** Spearman-Brown reliability of the mean of all: 2 r / (1 + r). */
  reliability: number;
  /** Highest r with the mean of all that anything can have: square root of the reliability; NaN when r is not positive. */
  ceiling: number;
  splits: number;
}

/**
 * Split-half reliability of the mean over repetitions (or subjects) of one region: halves at random, their means correlated, corrected to
 * the full length by Spearman and Brown's formula (1910). Every split is made when there are no more than `splits` of them.
 * @param courses 2 or more repetitions of n rows; of an odd number one is left out of each split.
 */
export function splitHalf(
  courses: Courses,
  options: { splits?: number | undefined; seed?: number | undefined } = {},
): SplitHalf {
  const { splits = 100, seed = 0 } = options;
  count('splits', splits);
  checkCourses(courses, 2);
  const random = new Random(seed);
  const half = Math.floor(courses.length / 2);
  const all = allSplits(courses.length, splits);
  const made = all ?? Array.from({ length: splits }, () => random.permutation(courses.length));
  const values = made.map((order) =>
    pearson(meanCourse(courses, order.slice(0, half)), meanCourse(courses, order.slice(half, 2 * half))),
  );
  const r = values.reduce((sum, value) => sum + value, 0) / values.length;
  const reliability = (2 * r) / (1 + r);
  return { r, reliability, ceiling: r > 0 ? Math.sqrt(reliability) : Number.NaN, splits: made.length };
}

/** All ways to halve an even number of courses, the first one always in the first half; undefined when they are more than `most`. */
function allSplits(courses: number, most: number): number[][] | undefined {
  if (courses % 2 || courses > 20) return undefined;
  const found: number[][] = [];
  for (let chosen = 1; chosen < 2 ** courses; chosen += 2) {
    const first = Array.from({ length: courses }, (_, i) => i).filter((i) => (chosen >> i) & 1);
    if (first.length !== courses / 2) continue;
    if (found.length === most) return undefined;
    found.push([...first, ...Array.from({ length: courses }, (_, i) => i).filter((i) => !((chosen >> i) & 1))]);
  }
  return found;
}

export interface ExplainableVariance {
  /** Share of the variance of one repetition that repeats; may fall below 0 by chance. */
  ev: number;
  /** Highest r with one repetition: square root of it; NaN when it is not positive. */
  ceiling: number;
  /** Highest r with the mean of all repetitions: sqrt(R ev / (1 + (R - 1) ev)). */
  ceilingOfMean: number;
}

/**
 * Explainable variance of repeated responses: repetitions are z-scored; of the residuals from their mean, `1 - var(residuals)` is the share
 * explained, corrected for the mean being of R repetitions: `ev - (1 - ev) / (R - 1)` (Schoppe et al. 2016, Frontiers in Computational
 * Neuroscience 10, 10; as the voxelwise modelling tutorials compute it).
 * @param courses R repetitions of n rows, 2 or more.
 */
export function explainableVariance(courses: Courses): ExplainableVariance {
  checkCourses(courses, 2);
  const R = courses.length;
  const scored = courses.map(zscore);
  const n = scored[0]!.length;
  const mean = meanCourse(scored, [...scored.keys()]);
  let residual = 0;
  for (const course of scored) for (let i = 0; i < n; i++) residual += (course[i]! - mean[i]!) ** 2;
  const biased = 1 - residual / (R * n);
  const ev = biased - (1 - biased) / (R - 1);
  const positive = ev > 0 ? ev : Number.NaN;
  return {
    ev,
    ceiling: Math.sqrt(positive),
    ceilingOfMean: Math.sqrt((R * positive) / (1 + (R - 1) * positive)),
  };
}

export interface CeilingOptions {
  /** Resamples; default 1000. */
  resamples?: number | undefined;
  /** Default 0.95. */
  level?: number | undefined;
  /** Neighbouring rows drawn together when rows are drawn; default 10. */
  block?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
}

/** An estimator of one region's ceiling from its courses. */
export type CeilingEstimator = (courses: Courses) => number;

/** The estimators by name: what one number each gives for the courses of a region. */
export const kCeilings = {
  /** Mean over subjects of the leave-one-out inter-subject correlation. */
  'inter-subject': (courses: Courses) => meanOfKnown(interSubjectCeilings(courses)),
  /** Of the mean over subjects, from pairwise correlations. */
  group: groupCeiling,
  'split-half': (courses: Courses) => splitHalf(courses).ceiling,
  repetitions: (courses: Courses) => explainableVariance(courses).ceilingOfMean,
  /** Of one subject, extrapolated to endlessly many others: by the curve that noise gives, and by Brain-Score's. */
  extrapolation: (courses: Courses) => extrapolatedCeiling(courses, { curve: 'attenuation' }).ceiling,
  'brain-score': (courses: Courses) => extrapolatedCeiling(courses).ceiling,
} satisfies Record<string, CeilingEstimator>;
export type CeilingKind = keyof typeof kCeilings;

/**
 * Percentile interval of a ceiling over stimuli: rows of all courses are drawn again together, in blocks that go round at the end, and the
 * ceiling is estimated anew. Resamples without a ceiling (no agreement) are passed over.
 */
export function ceilingOverRows(courses: Courses, estimate: CeilingEstimator, options: CeilingOptions = {}): Interval {
  const { resamples = 1000, level = 0.95, block = 10, seed = 0 } = options;
  count('resamples', resamples);
  checkLevel(level);
  checkCourses(courses, 2);
  const n = courses[0]!.length;
  if (!Number.isInteger(block) || block < 1 || block > n) throw expected('block', `rows from 1 to ${n}`, block);
  const random = new Random(seed);
  const values = Float64Array.from({ length: resamples }, () => {
    const rows = new Int32Array(n);
    for (let i = 0, start = 0; i < n; i++) {
      if (i % block === 0) start = Math.floor(random.uniform() * n);
      rows[i] = (start + (i % block)) % n;
    }
    return estimate(courses.map((course) => Float64Array.from(rows, (row) => course[row]!)));
  });
  return { value: estimate(courses), ...percentiles(values, level) };
}

/**
 * Percentile interval of the group ceiling over subjects: subjects are drawn again, and pairs of one subject with itself, whose
 * correlation is 1 by construction, are left out of the mean correlation.
 */
export function groupCeilingOverSubjects(courses: Courses, options: CeilingOptions = {}): Interval {
  const { resamples = 1000, level = 0.95, seed = 0 } = options;
  count('resamples', resamples);
  checkLevel(level);
  checkCourses(courses, 2);
  const N = courses.length;
  const r = courses.map((a) => courses.map((b) => pearson(a, b)));
  const random = new Random(seed);
  const values = Float64Array.from({ length: resamples }, () => {
    const drawn = Array.from({ length: N }, () => Math.floor(random.uniform() * N));
    let [sum, pairs] = [0, 0];
    for (const [i, a] of drawn.entries())
      for (const b of drawn.slice(0, i)) {
        if (a === b || Number.isNaN(r[a]![b]!)) continue;
        sum += r[a]![b]!;
        pairs++;
      }
    const rho = sum / pairs;
    return rho > 0 ? Math.sqrt((N * rho) / (1 + (N - 1) * rho)) : Number.NaN;
  });
  return { value: groupCeiling(courses), ...percentiles(values, level) };
}
