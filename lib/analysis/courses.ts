/** Courses of one region: one of n rows for each subject or repetition. */
import { meanPairwiseR } from '../data/ceiling.js';
import { CortuneError, expected } from '../errors.js';

export type Courses = readonly ArrayLike<number>[];

/** Mean of some of the courses. */
export function meanCourse(courses: Courses, which: readonly number[]): Float64Array {
  const sum = new Float64Array(courses[0]!.length);
  for (const s of which) for (let i = 0; i < sum.length; i++) sum[i]! += courses[s]![i]!;
  return sum.map((value) => value / which.length);
}

/** Throws a RangeError for fewer courses than `least`, ERR_DATA for different lengths and for courses that do not vary. */
export function checkCourses(courses: Courses, least: number): void {
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
