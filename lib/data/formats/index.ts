/** Data files by their extension: matrices of numbers, and texts. */
import { basename, extname } from 'node:path';
import { CortuneError } from '../../errors.js';
import type { Matrix } from '../types.js';
import { decodeText, readBytes } from './bytes.js';
import { matMatrix, parseMat } from './mat.js';
import { parseNpy } from './npy.js';
import { parseNpz } from './npz.js';
import { checkField, kTextColumns, readRecords, recordTexts, textField } from './records.js';
import { readTensorMatrix } from './safetensors.js';
import {
  type ColumnName,
  columnIndices,
  parseBlanks,
  parseDelimited,
  type Table,
  textColumns,
  toMatrix,
} from './table.js';

export { readTensor } from './safetensors.js';
export type { ColumnName } from './table.js';

export interface MatrixOptions {
  /** Columns to keep, in this order, by header or by number from 0; all by default. */
  columns?: readonly ColumnName[] | undefined;
  /** Array of a .npz, variable of a .mat or tensor of a .safetensors; may be left out when the file holds one. */
  key?: string | undefined;
}

export interface NamedMatrix {
  matrix: Matrix;
  /** Name of each column: its header, else its number, from "0". */
  columns: string[];
}

const kMatrixKinds = '.npy, .npz, .mat, .csv, .tsv, .txt, .dat or .safetensors';
const kTextKinds = '.txt, .csv, .tsv, .jsonl or .parquet';

/**
 * Reads a matrix of numbers as float32: .npy, .npz, .mat (MATLAB 5), .csv, .tsv, .safetensors, or columns separated by blanks (.txt, .dat).
 * Values may be NaN or infinite; who uses them decides.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT (broken file), ERR_DATA (no such column, a cell that is no number).
 */
export async function readMatrix(path: string, options: MatrixOptions = {}): Promise<NamedMatrix> {
  if (extname(path).toLowerCase() === '.safetensors')
    return select(await readTensorMatrix(path, options.key), basename(path), options.columns);
  return parseMatrix(await readBytes(path), path, options);
}

/** As readMatrix, of bytes already read; `path` tells the kind. Not for .safetensors. */
export function parseMatrix(bytes: Uint8Array, path: string, options: MatrixOptions = {}): NamedMatrix {
  const name = basename(path);
  switch (extname(path).toLowerCase()) {
    case '.npy':
      return select(parseNpy(bytes, name), name, options.columns);
    case '.npz':
      return select(parseNpz(bytes, name, options.key), name, options.columns);
    case '.mat':
      return select(matMatrix(parseMat(bytes, name), name, options.key), name, options.columns);
    case '.csv':
    case '.tsv':
    case '.txt':
    case '.dat':
      return toMatrix(parseTable(bytes, path), options.columns);
    default:
      throw unknownKind(path, 'a matrix', kMatrixKinds);
  }
}

/** The cells of a .csv, .tsv, .txt or .dat file. */
export function parseTable(bytes: Uint8Array, path: string): Table {
  const text = decodeText(bytes);
  const kind = extname(path).toLowerCase();
  if (kind === '.csv') return parseDelimited(text, basename(path), ',');
  if (kind === '.tsv') return parseDelimited(text, basename(path), '\t');
  if (kind === '.txt' || kind === '.dat') return parseBlanks(text, basename(path));
  throw unknownKind(path, 'a table', '.csv, .tsv, .txt or .dat');
}

function select(matrix: Matrix, name: string, wanted?: readonly ColumnName[]): NamedMatrix {
  const columns = Array.from({ length: matrix.columns }, (_, i) => String(i));
  return pickColumns({ matrix, columns }, wanted, name);
}

/** Some of the columns, in the order asked for; all when none are asked for. @throws ERR_DATA for a missing one. */
export function pickColumns(all: NamedMatrix, wanted: readonly ColumnName[] | undefined, name: string): NamedMatrix {
  if (wanted === undefined) return all;
  const { data: from, rows, columns } = all.matrix;
  const places = columnIndices(name, all.columns, wanted);
  const data = new Float32Array(rows * places.length);
  for (let row = 0; row < rows; row++)
    for (const [i, place] of places.entries()) data[row * places.length + i] = from[row * columns + place]!;
  return { matrix: { data, rows, columns: places.length }, columns: places.map((place) => all.columns[place]!) };
}

/**
 * Reads stimuli: .txt (one a line; empty lines at the end are passed over), a column of a .csv or .tsv with a header or of a .parquet, or a
 * field of each line of a .jsonl.
 * @param options.column the column or field; by default `text`, `sentence` or `stimulus`, or the only one.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, and ERR_DATA naming the line of an empty stimulus.
 */
export async function readTexts(path: string, options: { column?: ColumnName | undefined } = {}): Promise<string[]> {
  if (extname(path).toLowerCase() === '.parquet') return parquetTexts(path, options.column);
  return parseTexts(await readBytes(path), path, options);
}

async function parquetTexts(path: string, column: ColumnName | undefined): Promise<string[]> {
  const records = await readRecords(path);
  const field = typeof column === 'number' ? records.fields[column] : column;
  return recordTexts(records, checkField(records, field ?? textField(records)));
}

/** As readTexts, of bytes already read; `path` tells the kind. */
export function parseTexts(
  bytes: Uint8Array,
  path: string,
  options: { column?: ColumnName | undefined } = {},
): string[] {
  const name = basename(path);
  const found = textsOf(bytes, path, options.column);
  if (found.texts.length === 0)
    throw new CortuneError('ERR_DATA', `${name}: Expected at least one stimulus, got an empty file.`);
  for (const [i, text] of found.texts.entries())
    if (text.trim() === '')
      throw new CortuneError(
        'ERR_DATA',
        `${name}: Expected a stimulus in line ${found.lines[i]}, got an empty one. Remove it, and its row of the responses.`,
      );
  return found.texts;
}

function textsOf(
  bytes: Uint8Array,
  path: string,
  column: ColumnName | undefined,
): { texts: string[]; lines: number[] } {
  switch (extname(path).toLowerCase()) {
    case '.txt': {
      const texts = decodeText(bytes).split(/\r\n|\r|\n/);
      while (texts.length > 0 && texts.at(-1)!.trim() === '') texts.pop();
      return { texts, lines: texts.map((_, i) => i + 1) };
    }
    case '.csv':
    case '.tsv': {
      const table = parseTable(bytes, path);
      const { cells, lines } = textColumns(table, [column ?? defaultColumn(table)]);
      return { texts: cells[0]!, lines };
    }
    case '.jsonl':
      return jsonLines(decodeText(bytes), basename(path), column);
    default:
      throw unknownKind(path, 'texts', kTextKinds);
  }
}

/** The column that is text when nobody said which. */
export function defaultColumn(table: Table): string {
  const header = table.rows[0] ?? [];
  return kTextColumns.find((one) => header.includes(one)) ?? (header.length === 1 ? header[0]! : kTextColumns[0]!);
}

function jsonLines(
  content: string,
  name: string,
  column: ColumnName | undefined,
): { texts: string[]; lines: number[] } {
  const texts: string[] = [];
  const lines: number[] = [];
  for (const [i, line] of content.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    texts.push(jsonText(line, `${name}: `, i + 1, column));
    lines.push(i + 1);
  }
  return { texts, lines };
}

function jsonText(line: string, prefix: string, number: number, column: ColumnName | undefined): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new CortuneError('ERR_FORMAT', `${prefix}Expected JSON in line ${number}, got \`${line.slice(0, 40)}\`.`, {
      cause,
    });
  }
  if (typeof value === 'string') return value;
  const record = (value ?? {}) as Record<string, unknown>;
  const field = column === undefined ? kTextColumns.find((one) => one in record) : String(column);
  const text = field === undefined ? undefined : record[field];
  if (typeof text === 'string') return text;
  const keys = Object.keys(record)
    .map((key) => `\`${key}\``)
    .join(', ');
  throw new CortuneError(
    'ERR_DATA',
    `${prefix}Expected a text in field \`${field ?? kTextColumns[0]}\` of line ${number}, it has ${keys || 'no fields'}.`,
  );
}

function unknownKind(path: string, what: string, kinds: string): CortuneError {
  return new CortuneError(
    'ERR_FORMAT',
    `${basename(path)}: Expected ${what} in a file ending in ${kinds}, got \`${extname(path) || 'no extension'}\`.`,
  );
}
