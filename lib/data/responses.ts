/** From measured columns to targets: detrended, z-scored, averaged over subjects, with ceilings. */

import { CortuneError } from '../errors.js';
import { groupCeiling, interSubjectCeilings } from './ceiling.js';
import { type Detrend, driftBasis, removeDrift, zscore } from './detrend.js';
import type { NamedMatrix } from './formats/index.js';
import type { SubjectMode } from './schema.js';
import type { Dataset, Matrix, Target } from './types.js';

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

/** One subject's column: where it lies. There may be 200,000 of them, which are never all held twice. */
interface Course {
  subject: string;
  /** Name of the column, and its region, which is the column where there is no other. */
  column: string;
  roi: string;
  matrix: Matrix;
  at: number;
}

function valuesOf({ matrix: { data, rows, columns }, at }: Course): Float32Array {
  const values = new Float32Array(rows);
  for (let row = 0; row < rows; row++) values[row] = data[row * columns + at]!;
  return values;
}

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
      const course = new Float64Array(part.length);
      for (let i = 0; i < part.length; i++) course[i] = values[part[i]!]!;
      const rest = removeDrift(course, basis);
      // A run in which a column is constant says nothing about it: 0, the mean of the others.
      const cleaned = scaled ? zscore(rest) : rest;
      for (let i = 0; i < part.length; i++) out[part[i]!] = runs && Number.isNaN(cleaned[i]!) ? 0 : cleaned[i]!;
    }
    return out;
  };
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

/** As many names of columns are told in a note. */
const kNamed = 12;

/** Cleaned columns that vary and are finite; the others become a note. */
function usableCourses(
  { subject, name, matrix, columns, regions }: SubjectResponses,
  clean: (values: Float64Array) => Float32Array,
  notes: string[],
): Course[] {
  const courses: Course[] = [];
  const problems = new Map<string, string[]>();
  eachColumn(matrix, (values, at) => {
    const column = columns[at]!;
    const problem = problemOf(values);
    if (problem === undefined) {
      courses.push({ subject, column, roi: regions?.[at] || column, matrix, at });
      return clean(values);
    }
    const members = problems.get(problem);
    if (members) members.push(column);
    else problems.set(problem, [column]);
    return undefined;
  });
  for (const [problem, members] of problems) {
    const shown = members.length > kNamed ? `${members.slice(0, kNamed).join(', ')}, ...` : members.join(', ');
    const which =
      members.length === columns.length
        ? 'all columns'
        : members.length > kNamed
          ? `${members.length} of ${columns.length} columns (${shown})`
          : `${members.length > 1 ? 'columns' : 'column'} ${shown}`;
    notes.push(`${name}: left out ${which}: ${problem}.`);
  }
  return courses;
}

/** Columns that are copied together: neighbours lie in one line of the cache. */
const kBlock = 64;

/** Calls `change` with each column in turn; what it gives takes the column's place. */
function eachColumn(
  { data, rows, columns }: Matrix,
  change: (values: Float64Array, column: number) => Float32Array | undefined,
): void {
  const block = Array.from({ length: Math.min(kBlock, columns) }, () => new Float64Array(rows));
  for (let first = 0; first < columns; first += kBlock) {
    const width = Math.min(kBlock, columns - first);
    for (let row = 0; row < rows; row++)
      for (let c = 0; c < width; c++) block[c]![row] = data[row * columns + first + c]!;
    const changed = block.slice(0, width).map((values, c) => change(values, first + c));
    for (let row = 0; row < rows; row++)
      for (let c = 0; c < width; c++) {
        const value = changed[c]?.[row];
        if (value !== undefined) data[row * columns + first + c] = value;
      }
  }
}

function problemOf(values: Float64Array): string | undefined {
  let same = true;
  for (let row = 0; row < values.length; row++) {
    if (!Number.isFinite(values[row]!)) return `not finite, first in row ${row + 1}`;
    if (values[row] !== values[0]) same = false;
  }
  return same ? 'constant' : undefined;
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
