/** Noise ceilings against their definitions, and where there is none. */
import { describe, expect, it } from 'vitest';
import { groupCeiling, interSubjectCeilings, meanPairwiseR, pearson } from '../../lib/data/ceiling.js';
import { Random } from '../../lib/random.js';

function noisy(subjects: number, rows: number, snr: number, seed: number): Float64Array[] {
  const random = new Random(seed);
  const signal = Float64Array.from({ length: rows }, () => random.normal());
  return Array.from({ length: subjects }, () => signal.map((value) => value + random.normal() / Math.sqrt(snr)));
}

describe('pearson', () => {
  it('is the correlation', () => {
    expect(pearson([1, 2, 3, 4], [2, 1, 4, 3])).toBeCloseTo(0.6, 14);
    expect(pearson([1, 2, 3], [-2, -4, -6])).toBe(-1);
    expect(pearson([1, 2], [0.1, 0.1])).toBeNaN();
    expect(() => pearson([1], [1, 2])).toThrow(RangeError);
  });
});

describe('ceilings', () => {
  const courses = noisy(6, 50, 1, 3);

  it('average all pairs without forming them', () => {
    let sum = 0;
    for (let i = 0; i < 6; i++) for (let j = 0; j < i; j++) sum += pearson(courses[i]!, courses[j]!);
    const { rho, subjects } = meanPairwiseR(courses);
    expect(subjects).toBe(6);
    expect(rho).toBeCloseTo(sum / 15, 12);
    expect(groupCeiling(courses)).toBeCloseTo(Math.sqrt((6 * rho) / (1 + 5 * rho)), 14);
  });

  it('leave one subject out, whatever the scale of each', () => {
    const scaled = courses.map((course, i) => course.map((value) => value * 10 ** i + i));
    const z = (course: Float64Array) => {
      const mean = course.reduce((a, b) => a + b) / 50;
      const deviation = Math.sqrt(course.reduce((a, b) => a + (b - mean) ** 2, 0) / 50);
      return course.map((value) => (value - mean) / deviation);
    };
    const rest = courses.slice(1).map(z);
    const others = rest[0]!.map((_, row) => rest.reduce((sum, course) => sum + course[row]!, 0) / 5);
    expect(interSubjectCeilings(scaled)[0]).toBeCloseTo(pearson(courses[0]!, others), 10);
  });

  it('tend to what theory says', () => {
    // n = 20,000: the standard error of r is below 0.007.
    const many = noisy(8, 20_000, 0.5, 1);
    expect(groupCeiling(many)).toBeCloseTo(Math.sqrt((8 * 0.5) / (1 + 8 * 0.5)), 1.7);
    const one = Math.sqrt(0.5 / 1.5) * Math.sqrt((7 * 0.5) / (1 + 7 * 0.5));
    for (const r of interSubjectCeilings(many)) expect(Math.abs(r - one)).toBeLessThan(0.02);
  });

  it('are NaN without agreement, without company, and for constant courses', () => {
    const opposite = [Float64Array.of(1, 2, 3), Float64Array.of(3, 2, 1)];
    expect(groupCeiling(opposite)).toBeNaN();
    expect([...interSubjectCeilings(opposite)]).toEqual([Number.NaN, Number.NaN]);
    expect(groupCeiling([courses[0]!])).toBeNaN();
    expect([...interSubjectCeilings([courses[0]!])]).toEqual([Number.NaN]);
    expect(groupCeiling([])).toBeNaN();
    const withFlat = [...courses, new Float64Array(50).fill(7)];
    expect(groupCeiling(withFlat)).toBeCloseTo(groupCeiling(courses), 12);
    expect(interSubjectCeilings(withFlat)[6]).toBeNaN();
    expect(() => groupCeiling([Float64Array.of(1, 2), Float64Array.of(1)])).toThrow(
      expect.objectContaining({ code: 'ERR_DATA' }),
    );
  });
});
