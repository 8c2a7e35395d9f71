/** From measured columns to targets: detrended, z-scored, averaged over subjects, with ceilings. */

import { CortuneError } from '../errors.js';
import { groupCeiling, interSubjectCeilings } from './ceiling.js';
import { type Detrend, driftBasis, removeDrift, zscore } from './detrend.js';
import type { NamedMatrix } from './formats/index.js';
import type { SubjectMode } from './schema.js';
import type { Dataset, Target } from './types.js';

/** The responses of one subject, as read. */
export interface SubjectResponses extends NamedMatrix {
  subject: string;
  /** How messages call the file. */
  name: string;
}

export interface PrepareOptions {
  subjects: SubjectMode;
  detrend: Detrend;
  zscore: boolean;
  /** Run of each row, to remove drift and z-score within runs; over all rows by default. */
  runs?: readonly (string | number)[] | undefined;
  /** Seconds between rows, for high-pass filters; 1 for trials. */
  tr: number;
  /** Targets of single subjects are called `s18:LATL`; without labels (one matrix, subject unknown) `LATL`. */
  labelled: boolean;
}

export type Prepared = Pick<Dataset, 'responses' | 'targets' | 'ceilings' | 'notes'>;

/** One subject's column; float32, as there may be 200,000 of them. */
interface Course {
  subject: string;
  roi: string;
  values: Float32Array;
}

/**
 * Responses as targets. Each subject's column is detrended and z-scored; the mean is over those. A column that is constant or
 * holds a value that is not finite is left out with a note.
 * @throws ERR_DATA when subjects differ in rows or columns, or when no usable column is left.
 */
export function prepareResponses(all: readonly SubjectResponses[], options: PrepareOptions): Prepared {
  const first = all[0]!;
  for (const one of all) sameShape(one, first);
  const { rows } = first.matrix;
  const clean = cleaner(options, rows);
  // The mean of one subject is the subject: once is enough.
  const mode = all.length === 1 && options.subjects === 'both' ? 'each' : options.subjects;
  const notes: string[] = [];
  const courses = all.flatMap((one) => usableCourses(one, clean, notes));
  if (courses.length === 0)
    throw new CortuneError('ERR_DATA', `Expected a usable response column, got none: ${notes.join(' ')}`);
  const columns = [
    ...(mode === 'each' ? [] : means(courses, all.length)),
    ...(mode === 'mean' ? [] : singles(courses, options.labelled)),
  ];
  const data = new Float32Array(rows * columns.length);
  for (const [c, { values }] of columns.entries())
    for (let row = 0; row < rows; row++) data[row * columns.length + c] = values[row]!;
  return {
    responses: { data, rows, columns: columns.length },
    targets: columns.map(({ target }) => target),
    ceilings: {
      values: Float64Array.from(columns, ({ ceiling }) => ceiling),
      method: ceilingMethod(mode, all.length),
    },
    notes,
  };
}

/** Removes drift from a course and z-scores it, run by run where there are runs. */
function cleaner(
  { detrend, tr, runs, zscore: scaled }: PrepareOptions,
  rows: number,
): (values: Float64Array) => Float32Array {
  const members = new Map<string | number, number[]>();
  for (let row = 0; row < rows; row++) {
    const list = members.get(runs?.[row] ?? '');
    if (list) list.push(row);
    else members.set(runs?.[row] ?? '', [row]);
  }
  const parts = [...members.values()].map((part) => ({ part, basis: driftBasis(detrend, part.length, tr) }));
  return (values) => {
    const out = new Float32Array(rows);
    for (const { part, basis } of parts) {
      const rest = removeDrift(
        Float64Array.from(part, (row) => values[row]!),
        basis,
      );
      // A run in which a column is constant says nothing about it: 0, the mean of the others.
      const cleaned = scaled ? zscore(rest) : rest;
      for (const [i, row] of part.entries()) out[row] = runs && Number.isNaN(cleaned[i]!) ? 0 : cleaned[i]!;
    }
    return out;
  };
}

function sameShape(one: SubjectResponses, first: SubjectResponses): void {
  if (one.matrix.rows !== first.matrix.rows)
    throw new CortuneError(
      'ERR_DATA',
      `${one.name}: Expected ${first.matrix.rows} rows as in ${first.name}, got ${one.matrix.rows}. Trim the files to the same rows, or exclude subject ${one.subject}.`,
    );
  if (one.columns.join('\t') !== first.columns.join('\t'))
    throw new CortuneError(
      'ERR_DATA',
      `${one.name}: Expected the ${first.columns.length} columns of ${first.name}, got ${one.columns.length} that differ. Name those to read in \`responses.columns\`.`,
    );
}

/** Cleaned columns that vary and are finite; the others become a note. */
function usableCourses(
  { subject, name, matrix, columns }: SubjectResponses,
  clean: (values: Float64Array) => Float32Array,
  notes: string[],
): Course[] {
  const courses: Course[] = [];
  const problems = new Map<string, string[]>();
  for (const [c, roi] of columns.entries()) {
    const values = new Float64Array(matrix.rows);
    for (let row = 0; row < matrix.rows; row++) values[row] = matrix.data[row * matrix.columns + c]!;
    const problem = problemOf(values);
    if (problem === undefined) courses.push({ subject, roi, values: clean(values) });
    else problems.set(problem, [...(problems.get(problem) ?? []), roi]);
  }
  for (const [problem, rois] of problems) {
    const which =
      rois.length === columns.length ? 'all columns' : `${rois.length > 1 ? 'columns' : 'column'} ${rois.join(', ')}`;
    notes.push(`${name}: left out ${which}: ${problem}.`);
  }
  return courses;
}

function problemOf(values: Float64Array): string | undefined {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) return `not finite, first in row ${bad + 1}`;
  return values.every((value) => value === values[0]) ? 'constant' : undefined;
}

interface Column {
  target: Target;
  values: Float32Array;
  ceiling: number;
}

/** Courses of each region, regions in the order in which they are first met. */
function byRegion(courses: Course[]): Map<string, Course[]> {
  const regions = new Map<string, Course[]>();
  for (const course of courses) {
    const members = regions.get(course.roi);
    if (members) members.push(course);
    else regions.set(course.roi, [course]);
  }
  return regions;
}

/** One column a region: the mean over the subjects that have it. */
function means(courses: Course[], subjects: number): Column[] {
  return [...byRegion(courses)].map(([roi, members]) => {
    const values = members.map((course) => course.values);
    const subject = subjects === 1 ? members[0]!.subject : 'mean';
    return { target: { name: roi, subject, roi }, values: meanOf(values), ceiling: groupCeiling(values) };
  });
}

function meanOf(courses: Float32Array[]): Float32Array {
  if (courses.length === 1) return courses[0]!;
  return courses[0]!.map((_, row) => courses.reduce((sum, one) => sum + one[row]!, 0) / courses.length);
}

/** One column a subject and region, subjects outermost. */
function singles(courses: Course[], labelled: boolean): Column[] {
  const ceilings = new Map<Course, number>();
  for (const members of byRegion(courses).values())
    for (const [i, ceiling] of interSubjectCeilings(members.map(({ values }) => values)).entries())
      ceilings.set(members[i]!, ceiling);
  return courses.map((course) => ({
    target: {
      name: labelled ? `${subjectLabel(course.subject)}:${course.roi}` : course.roi,
      subject: course.subject,
      roi: course.roi,
    },
    values: course.values,
    ceiling: ceilings.get(course)!,
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
