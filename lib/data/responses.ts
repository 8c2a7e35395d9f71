/** From measured columns to targets: detrended, z-scored, averaged over subjects, with ceilings. */

import { CortuneError } from '../errors.js';
import { groupCeiling, interSubjectCeilings } from './ceiling.js';
import { type CleanOptions, type Course, cleaner, type SubjectResponses, usableCourses, valuesOf } from './courses.js';
import type { SubjectMode } from './schema.js';
import type { Dataset, Matrix, Target } from './types.js';

export interface PrepareOptions extends CleanOptions {
  subjects: SubjectMode;
  /** Targets of single subjects are called `s18:LATL`; without labels (one matrix, subject unknown) `LATL`. */
  labelled: boolean;
}

export type Prepared = Pick<Dataset, 'responses' | 'targets' | 'ceilings' | 'notes'>;

/**
 * Responses as targets. Each subject's column is detrended and z-scored, in the place where it was read; the mean is over those. A column that
 * is constant or holds a value that is not finite is left out with a note.
 * @throws ERR_DATA when subjects differ in rows, or in columns where means are asked for, or when no usable column is left.
 */
export function prepareResponses(all: readonly SubjectResponses[], options: PrepareOptions): Prepared {
  const first = all[0]!;
  // The mean of one subject is the subject: once is enough.
  const mode = all.length === 1 && options.subjects === 'both' ? 'each' : options.subjects;
  const alike = all.every((one) => sameColumns(one, first));
  for (const one of all) checkShape(one, first, mode === 'each');
  const { rows } = first.matrix;
  const clean = cleaner(options, rows);
  const notes = all.flatMap((one) => one.notes ?? []);
  const courses = all.flatMap((one) => usableCourses(one, clean, notes));
  if (courses.length === 0)
    throw new CortuneError('ERR_DATA', `Expected a usable response column, got none: ${notes.join(' ')}`);
  const columns = [
    ...(mode === 'each' ? [] : means(courses, all.length)),
    ...(mode === 'mean' ? [] : singles(courses, options.labelled, alike)),
  ];
  return {
    responses: gather(columns, rows),
    targets: columns.map(({ target }) => target),
    ceilings: {
      values: Float64Array.from(columns, ({ ceiling }) => ceiling),
      method: alike ? ceilingMethod(mode, all.length) : 'none: the columns of the subjects are not the same places',
    },
    notes,
  };
}

/** The columns side by side; one subject's matrix as it is when they are all of it. */
function gather(columns: readonly Column[], rows: number): Matrix {
  const only = columns[0]!.members[0]!.matrix;
  const whole =
    columns.length === only.columns &&
    columns.every(({ members: [one, more] }, i) => more === undefined && one!.matrix === only && one!.at === i);
  if (whole) return only;
  const data = new Float32Array(rows * columns.length);
  for (const [c, { members }] of columns.entries()) {
    const values = meanOf(members.map(valuesOf));
    for (let row = 0; row < rows; row++) data[row * columns.length + c] = values[row]!;
  }
  return { data, rows, columns: columns.length };
}

function sameColumns(one: SubjectResponses, first: SubjectResponses): boolean {
  return one.columns.length === first.columns.length && one.columns.every((column, i) => column === first.columns[i]);
}

function checkShape(one: SubjectResponses, first: SubjectResponses, each: boolean): void {
  if (one.matrix.rows !== first.matrix.rows)
    throw new CortuneError(
      'ERR_DATA',
      `${one.name}: Expected ${first.matrix.rows} rows as in ${first.name}, got ${one.matrix.rows}. Trim the files to the same rows, or exclude subject ${one.subject}.`,
    );
  if (!each && !sameColumns(one, first))
    throw new CortuneError(
      'ERR_DATA',
      `${one.name}: Expected the ${first.columns.length} columns of ${first.name}, got ${one.columns.length} that differ. Name those to read in \`responses.columns\`, take means of regions (\`reduce: mean\`), or keep subjects apart (\`subjects: each\`).`,
    );
}

/** What one target is made of: the mean over its courses. */
interface Column {
  target: Target;
  members: Course[];
  ceiling: number;
}

/** Courses of each column, columns in the order in which they are first met. */
function byColumn(courses: Course[]): Course[][] {
  const found = new Map<string, Course[]>();
  for (const course of courses) {
    const members = found.get(course.column);
    if (members) members.push(course);
    else found.set(course.column, [course]);
  }
  return [...found.values()];
}

/** One target a column: the mean over the subjects that have it. */
function means(courses: Course[], subjects: number): Column[] {
  return byColumn(courses).map((members) => {
    const { column, roi } = members[0]!;
    const subject = subjects === 1 ? members[0]!.subject : 'mean';
    return {
      target: { name: column, subject, roi },
      members,
      ceiling: members.length > 1 ? groupCeiling(members.map(valuesOf)) : Number.NaN,
    };
  });
}

function meanOf(courses: Float32Array[]): Float32Array {
  if (courses.length === 1) return courses[0]!;
  return courses[0]!.map((_, row) => courses.reduce((sum, one) => sum + one[row]!, 0) / courses.length);
}

/** One target a subject and column, subjects outermost. `alike`: columns of one name are one place in all subjects. */
function singles(courses: Course[], labelled: boolean, alike: boolean): Column[] {
  const ceilings = new Map<Course, number>();
  const several = alike && courses.some(({ matrix }) => matrix !== courses[0]!.matrix);
  for (const members of several ? byColumn(courses) : [])
    for (const [i, ceiling] of interSubjectCeilings(members.map(valuesOf)).entries())
      ceilings.set(members[i]!, ceiling);
  return courses.map((course) => ({
    target: {
      name: labelled ? `${subjectLabel(course.subject)}:${course.column}` : course.column,
      subject: course.subject,
      roi: course.roi,
    },
    members: [course],
    ceiling: ceilings.get(course) ?? Number.NaN,
  }));
}

/** `s18` for 18; other names as they are. */
export function subjectLabel(subject: string): string {
  return /^\d+$/.test(subject) ? `s${subject}` : subject;
}

function ceilingMethod(mode: SubjectMode, subjects: number): string {
  if (subjects < 2) return 'none: a ceiling needs two subjects or more';
  const mean =
    'mean over subjects: square root of the Spearman-Brown reliability of the mean (from pairwise correlations)';
  const each = 'each subject: correlation with the mean of the other subjects (a lower bound)';
  if (mode === 'both') return `${mean}; ${each}`;
  return mode === 'mean' ? mean : each;
}
