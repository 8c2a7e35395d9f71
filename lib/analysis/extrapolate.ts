/** The noise ceiling extrapolated from growing pools of subjects, as Brain-Score does. */
import { pearson } from '../data/ceiling.js';
import { zscore } from '../data/detrend.js';
import { expected } from '../errors.js';
import { Random } from '../random.js';
import { type Courses, checkCourses, meanCourse } from './courses.js';
import { count } from './resample.js';

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
