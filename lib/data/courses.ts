/** Measured columns, cleaned in the place where they were read: without drift, z-scored, those that say nothing left out. */
import { type Detrend, driftBasis, removeDrift, zscore } from './detrend.js';
import type { NamedMatrix } from './formats/index.js';
import type { Matrix } from './types.js';

/** The responses of one subject, as read. */
export interface SubjectResponses extends NamedMatrix {
  subject: string;
  /** How messages call the file. */
  name: string;
}

/** How columns are cleaned. */
export interface CleanOptions {
  detrend: Detrend;
  zscore: boolean;
  /** Run of each row, to remove drift and z-score within runs; over all rows by default. */
  runs?: readonly (string | number)[] | undefined;
  /** Seconds between rows, for high-pass filters; 1 for trials. */
  tr: number;
}

/** One subject's column: where it lies. There may be 200,000 of them, which are never all held twice. */
export interface Course {
  subject: string;
  /** Name of the column, and its region, which is the column where there is no other. */
  column: string;
  roi: string;
  matrix: Matrix;
  at: number;
}

export function valuesOf({ matrix: { data, rows, columns }, at }: Course): Float32Array {
  const values = new Float32Array(rows);
  for (let row = 0; row < rows; row++) values[row] = data[row * columns + at]!;
  return values;
}

/** Removes drift from a course and z-scores it, run by run where there are runs. */
export function cleaner(
  { detrend, tr, runs, zscore: scaled }: CleanOptions,
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

/** As many names of columns are told in a note. */
const kNamed = 12;

/** Cleaned columns that vary and are finite; the others become a note. */
export function usableCourses(
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
