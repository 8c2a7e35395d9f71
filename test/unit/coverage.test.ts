/**
 * Ceilings and intervals on many simulated studies: estimates lie around what was simulated, 95 % intervals hold it about as often as they say.
 *
 * Percentile intervals of few resamples, few subjects or autocorrelated rows are a little narrow: they hold the truth in 90 to 95 % of studies.
 * The bounds are the binomial interval below the one and above the other.
 */
import { describe, expect, it } from 'vitest';
import {
  type CeilingEstimator,
  ceilingOverRows,
  groupCeilingOverSubjects,
  kCeilings,
} from '../../lib/analysis/ceilings.js';
import { extrapolatedCeiling } from '../../lib/analysis/extrapolate.js';
import { bootstrapMean } from '../../lib/analysis/paired.js';
import { Random } from '../../lib/random.js';
import { autoregressive, binomialBounds } from '../helpers/series.js';

/** Courses of one autocorrelated signal and noise of their own; the signal has `shares[i]` of the variance. */
function courses(shares: readonly number[], rows: number, phi: number, random: Random) {
  const signal = autoregressive(rows, phi, random);
  return shares.map((share) => {
    const own = autoregressive(rows, phi, random);
    return signal.map((value, row) => Math.sqrt(share) * value + Math.sqrt(1 - share) * own[row]!);
  });
}

/** Share of studies whose interval holds the truth, and the mean estimate. */
function studies(
  count: number,
  truth: number,
  study: (s: number) => { value: number; lower: number; upper: number },
): { covered: number; mean: number } {
  let [covered, sum] = [0, 0];
  for (let s = 0; s < count; s++) {
    const { value, lower, upper } = study(s);
    if (lower <= truth && truth <= upper) covered++;
    sum += value;
  }
  return { covered: covered / count, mean: sum / count };
}

function expectCovered(covered: number, count: number): void {
  expect(covered).toBeGreaterThan(binomialBounds(count, 0.9).from);
  expect(covered).toBeLessThan(binomialBounds(count, 0.95).to);
}

/** r of the mean of k courses with the signal they share. */
const attenuated = (k: number, rho: number) => Math.sqrt((k * rho) / (1 + (k - 1) * rho));

describe('ceilings of many simulated regions', () => {
  const rho = 0.4;
  const extrapolation: CeilingEstimator = (all) => extrapolatedCeiling(all, { draws: 3, curve: 'attenuation' }).ceiling;
  const kinds: [string, CeilingEstimator, number, number][] = [
    ['the group ceiling', kCeilings.group, attenuated(6, rho), 80],
    ['split halves', kCeilings['split-half'], attenuated(6, rho), 40],
    ['explainable variance', kCeilings.repetitions, attenuated(6, rho), 80],
    ['one subject against the others', kCeilings['inter-subject'], Math.sqrt(rho) * attenuated(5, rho), 80],
    ['extrapolation to endlessly many', extrapolation, Math.sqrt(rho), 30],
  ];

  it.each(kinds)('%s: recovered, and held by intervals over rows', (_, estimate, truth, kStudies) => {
    const { covered, mean } = studies(kStudies, truth, (s) => {
      const some = courses(new Array<number>(6).fill(rho), 300, 0.3, new Random(40 + s));
      return ceilingOverRows(some, estimate, { resamples: 100, block: 10, seed: s });
    });
    // The standard deviation of one estimate is below 0.06; three of the mean's are allowed.
    expect(Math.abs(mean - truth)).toBeLessThan((3 * 0.06) / Math.sqrt(kStudies));
    expectCovered(covered, kStudies);
  });

  it('of the group are held by intervals over subjects who differ', () => {
    // E sqrt(share) of a uniform one from 0.2 to 0.7.
    const root = ((2 / 3) * (0.7 ** 1.5 - 0.2 ** 1.5)) / 0.5;
    const truth = attenuated(20, root * root);
    const { covered, mean } = studies(150, truth, (s) => {
      const random = new Random(900 + s);
      const shares = Array.from({ length: 20 }, () => 0.2 + 0.5 * random.uniform());
      return groupCeilingOverSubjects(courses(shares, 1000, 0, random), { resamples: 200, seed: s });
    });
    expect(Math.abs(mean - truth)).toBeLessThan(0.01);
    expectCovered(covered, 150);
  });
});

describe('intervals of a mean difference over subjects', () => {
  it.each([
    ['normal', (random: Random) => random.normal()],
    ['skewed', (random: Random) => -Math.log(1 - random.uniform()) - 1],
  ])('hold the true one, differences %s', (_, draw) => {
    const { covered, mean } = studies(400, 0.3, (s) => {
      const random = new Random(200 + s);
      const differences = Float64Array.from({ length: 27 }, () => 0.3 + draw(random));
      return bootstrapMean(differences, { resamples: 500, seed: s });
    });
    expect(Math.abs(mean - 0.3)).toBeLessThan(0.04); // four standard errors
    expectCovered(covered, 400);
  });
});
