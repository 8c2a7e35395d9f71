/** Tables of text: CSV, TSV and columns separated by white space; their headers, cells and numbers. */
import { CsvError, parse } from 'csv-parse/sync';
import { closest } from 'fastest-levenshtein';
import { CortuneError } from '../../errors.js';
import type { Matrix } from '../types.js';

/** Cells as text, row by row, with the line of the file each row starts on. */
export interface Table {
  name: string;
  rows: string[][];
  lines: number[];
}

/** A column by its header, or by its number from 0. */
export type ColumnName = string | number;

/** Parses CSV (`,`) or TSV (tab) with quotes. @throws ERR_FORMAT naming the line. */
export function parseDelimited(text: string, name: string, delimiter: ',' | '\t'): Table {
  try {
    const records = parse(text, { delimiter, bom: true, info: true, skip_empty_lines: true, trim: true });
    const found = records as unknown as { record: string[]; info: { lines: number } }[];
    return {
      name,
      rows: found.map(({ record }) => record),
      // csv-parse counts the line a record ends on.
      lines: found.map(({ record, info }) => info.lines - record.join('').split('\n').length + 1),
    };
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new CortuneError('ERR_FORMAT', `${name}: Expected a table, got: ${cause.message.replace(/\.$/, '')}.`, {
      cause,
    });
  }
}

/** Parses columns separated by blanks, as numpy.savetxt writes them; `#` starts a comment. @throws ERR_FORMAT naming the line. */
export function parseBlanks(text: string, name: string): Table {
  const table: Table = { name, rows: [], lines: [] };
  for (const [i, line] of text.split(/\r\n|\r|\n/).entries()) {
    const cells = line.replace(/#.*/, '').trim();
    if (cells === '') continue;
    const row = cells.split(/\s+/);
    const width = table.rows[0]?.length ?? row.length;
    if (row.length !== width)
      throw new CortuneError(
        'ERR_FORMAT',
        `${name}: Expected ${width} columns as in line ${table.lines[0]}, got ${row.length} in line ${i + 1}.`,
      );
    table.rows.push(row);
    table.lines.push(i + 1);
  }
  return table;
}

const kMissing = new Set(['nan', 'na', 'n/a', 'null', '']);
const kNumber = /^[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf(?:inity)?)$/i;

/** The number in a cell; NaN for the usual marks of a missing value; undefined when it is no number. */
function toNumber(cell: string): number | undefined {
  if (kMissing.has(cell.toLowerCase())) return Number.NaN;
  if (!kNumber.test(cell)) return undefined;
  return /inf/i.test(cell) ? (cell.startsWith('-') ? -1 : 1) * Number.POSITIVE_INFINITY : Number(cell);
}

/** The first row is a header when one of its cells is text: not a number and not a missing value. */
export function hasHeader(table: Table): boolean {
  return table.rows[0]?.some((cell) => toNumber(cell) === undefined) ?? false;
}

/** Places of the wanted columns among the header's names; all of them when none are named. @throws ERR_DATA. */
export function columnIndices(name: string, header: string[], wanted?: readonly ColumnName[]): number[] {
  if (wanted === undefined) return header.map((_, i) => i);
  return wanted.map((column) => {
    // Headers first: a column may well be called "10".
    const named = header.indexOf(String(column).trim());
    if (named >= 0) return named;
    const index = typeof column === 'number' || /^\d+$/.test(column) ? Number(column) : -1;
    if (Number.isInteger(index) && index >= 0 && index < header.length) return index;
    throw missingColumn(name, header, column);
  });
}

function missingColumn(name: string, header: string[], column: ColumnName): CortuneError {
  const shown =
    header
      .slice(0, 12)
      .map((one) => `\`${one}\``)
      .join(', ') + (header.length > 12 ? ', ...' : '');
  const hint = typeof column === 'string' && header.length > 0 ? ` (did you mean \`${closest(column, header)}\`?)` : '';
  return new CortuneError('ERR_DATA', `${name}: Expected a column \`${column}\`${hint}, it has ${shown || 'none'}.`);
}

/**
 * The numbers of a table. Without a header, columns are named by their numbers, from "0".
 * @throws ERR_DATA naming row and column of a cell that is no number, or a column that is not there.
 */
export function toMatrix(table: Table, wanted?: readonly ColumnName[]): { matrix: Matrix; columns: string[] } {
  const skip = hasHeader(table) ? 1 : 0;
  const header = skip ? table.rows[0]! : (table.rows[0] ?? []).map((_, i) => String(i));
  const rows = table.rows.length - skip;
  if (rows < 1) throw new CortuneError('ERR_DATA', `${table.name}: Expected at least one row of numbers, got none.`);
  const places = columnIndices(table.name, header, wanted);
  const data = new Float32Array(rows * places.length);
  for (let row = 0; row < rows; row++) {
    for (const [to, from] of places.entries()) {
      const cell = table.rows[row + skip]![from]!;
      const value = toNumber(cell);
      if (value === undefined) throw notANumber(table, row + skip, header[from]!, cell);
      data[row * places.length + to] = value;
    }
  }
  return { matrix: { data, rows, columns: places.length }, columns: places.map((place) => header[place]!) };
}

function notANumber(table: Table, row: number, column: string, cell: string): CortuneError {
  const hint = /[,;\t]/.test(cell) ? ' Is the table separated by another sign than its name says?' : '';
  return new CortuneError(
    'ERR_DATA',
    `${table.name}: Expected a number in line ${table.lines[row]}, column \`${column}\`, got \`${cell.slice(0, 40)}\`.${hint}`,
  );
}

/** Columns of text, with the line of each row. The first row must be the header. @throws ERR_DATA for a missing column. */
export function textColumns(table: Table, wanted: readonly ColumnName[]): { cells: string[][]; lines: number[] } {
  const header = table.rows[0];
  if (!header || table.rows.length < 2)
    throw new CortuneError(
      'ERR_DATA',
      `${table.name}: Expected a header and at least one row below it, got ${table.rows.length} rows.`,
    );
  // Spreadsheets of many countries write `;` between the columns of a .csv file.
  if (header.length === 1 && /[;\t]/.test(header[0]!))
    throw new CortuneError(
      'ERR_FORMAT',
      `${table.name}: Expected columns separated as the name says (.csv by commas, .tsv by tabs), got one column \`${header[0]}\`. Save it with that sign.`,
    );
  const places = columnIndices(table.name, header, wanted);
  return {
    cells: places.map((place) => table.rows.slice(1).map((row) => row[place]!)),
    lines: table.lines.slice(1),
  };
}
