/** Noise ceilings beside those of lib/data/ceiling.ts: from repetitions, from halves, extrapolated to many subjects; and intervals. */
import { groupCeiling, interSubjectCeilings, meanPairwiseR, pearson } from '../data/ceiling.js';
import { zscore } from '../data/detrend.js';
import { CortuneError, expected } from '../errors.js';
import { Random } from '../random.js';
import { checkLevel, count, type Interval, percentiles } from './resample.js';

type Courses = readonly ArrayLike<number>[];

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

export const kCurves = ['exponential', 'attenuation'] as const;
/** How a score grows with the number of subjects k in the pool. */
export type Curve = (typeof kCurves)[number];

export interface Extrapolation {
  /** Where the curve ends: the ceiling for endlessly many subjects. */
  ceiling: number;
  /** The curve's second number: tau of 'exponential', rho of 'attenuation'. */
  shape: number;
  /** Mean score for each number of subjects in the pool, from 1. */
  pool: number[];
  score: number[];
}

/**
 * Brain-Score's ceiling: each subject is predicted from the mean of k others, for k = 1, 2, ...; a curve is fitted to the mean r over k, and
 * where it ends is the ceiling of a single subject's course (Schrimpf et al. 2021, PNAS 118, e2105646118, where subjects predict each other
 * by regression on many electrodes; one course a region leaves only the mean).
 * - 'exponential' (default): `v0 (1 - exp(-k / tau))`, Brain-Score's. Means of noisy courses grow more slowly than it does, so that it ends
 *   too low where subjects are few and noisy.
 * - 'attenuation': `v0 sqrt(k rho / (1 + (k - 1) rho))`, which is how r grows when subjects share one signal (Spearman 1910).
 * @param courses one course a subject of one region; 4 subjects or more.
 * @param options.draws pools drawn for each k and subject; default 50.
 */
export function extrapolatedCeiling(
  courses: Courses,
  options: { draws?: number | undefined; seed?: number | undefined; curve?: Curve | undefined } = {},
): Extrapolation {
  const { draws = 50, seed = 0, curve = 'exponential' } = options;
  if (!kCurves.includes(curve)) throw expected('curve', '`exponential` or `attenuation`', curve);
  count('draws', draws);
  checkCourses(courses, 4);
  const random = new Random(seed);
  const scored = courses.map(zscore);
  const pool = Array.from({ length: scored.length - 1 }, (_, k) => k + 1);
  const score = pool.map((k) => {
    const values: number[] = [];
    for (const [s, course] of scored.entries()) {
      const others = [...scored.keys()].filter((other) => other !== s);
      for (let d = 0; d < (k === others.length ? 1 : draws); d++) {
        const chosen = random.permutation(others.length).slice(0, k);
        values.push(
          pearson(
            course,
            meanCourse(
              scored,
              chosen.map((i) => others[i]!),
            ),
          ),
        );
      }
    }
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  });
  return { ...fitCurve(pool, score, curve), pool, score };
}

/**
 * Least squares of a curve that saturates: for a given shape the best v0 is linear, so only the shape is searched, by golden section (tau on
 * its logarithm, between a tenth of the smallest and ten times the largest x; rho from 0 to 1).
 */
export function fitCurve(x: readonly number[], y: readonly number[], curve: Curve): { ceiling: number; shape: number } {
  const exponential = curve === 'exponential';
  const at = (k: number, shape: number) =>
    exponential ? 1 - Math.exp(-k / Math.exp(shape)) : Math.sqrt((k * shape) / (1 + (k - 1) * shape));
  const best = (shape: number) => {
    const basis = x.map((value) => at(value, shape));
    const bb = basis.reduce((sum, b) => sum + b * b, 0);
    const ceiling = basis.reduce((sum, b, i) => sum + b * y[i]!, 0) / bb;
    const error = basis.reduce((sum, b, i) => sum + (y[i]! - ceiling * b) ** 2, 0);
    return { ceiling, error };
  };
  const golden = (Math.sqrt(5) - 1) / 2;
  let [low, high] = exponential ? [Math.log(Math.min(...x) / 10), Math.log(Math.max(...x) * 10)] : [1e-4, 1];
  for (let step = 0; step < 100; step++) {
    const [a, b] = [high - golden * (high - low), low + golden * (high - low)];
    if (best(a).error <= best(b).error) high = b;
    else low = a;
  }
  const shape = (low + high) / 2;
  return { ceiling: best(shape).ceiling, shape: exponential ? Math.exp(shape) : shape };
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
  'inter-subject': (courses: Courses) => meanOf(interSubjectCeilings(courses)),
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

function meanCourse(courses: Courses, which: readonly number[]): Float64Array {
  const sum = new Float64Array(courses[0]!.length);
  for (const s of which) for (let i = 0; i < sum.length; i++) sum[i]! += courses[s]![i]!;
  return sum.map((value) => value / which.length);
}

function meanOf(values: ArrayLike<number>): number {
  const known = Array.from(values).filter((value) => !Number.isNaN(value));
  return known.length === 0 ? Number.NaN : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function checkCourses(courses: Courses, least: number): void {
  if (courses.length < least)
    throw expected('courses', `at least ${least} of the same rows (subjects or repetitions)`, courses.length);
  // meanPairwiseR refuses courses of different lengths.
  const { subjects } = meanPairwiseR(courses);
  if (subjects < courses.length)
    throw new CortuneError(
      'ERR_DATA',
      `Expected courses that vary and are finite, got ${courses.length - subjects} of ${courses.length} that are constant or not finite. Leave them out.`,
    );
}
