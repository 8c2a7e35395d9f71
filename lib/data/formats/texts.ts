/** Files of texts: lines, a column of a table, a field of records. */
import { basename, extname } from 'node:path';
import { CortuneError } from '../../errors.js';
import { decodeText, readBytes } from './bytes.js';
import { checkField, kTextColumns, readRecords, recordTexts, textField } from './records.js';
import { type ColumnName, type Table, textColumns } from './table.js';
import { parseTable, unknownKind } from './table-files.js';

const kTextKinds = '.txt, .csv, .tsv, .jsonl, .parquet, .mat or .nc';

/**
 * Reads stimuli: .txt (one a line; empty lines at the end are passed over), a column of a .csv or .tsv with a header or of a .parquet, a
 * field of each line of a .jsonl, a cell array of a .mat, or a coordinate of the rows of a .nc.
 * @param options.column the column, field, variable or coordinate; by default `text`, `sentence` or `stimulus`, or the only one.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, and ERR_DATA naming the line of an empty stimulus.
 */
export async function readTexts(path: string, options: { column?: ColumnName | undefined } = {}): Promise<string[]> {
  if (kBinaryRecords.includes(extname(path).toLowerCase())) return textsOfRecords(path, options.column);
  return parseTexts(await readBytes(path), path, options);
}

/** Kinds of files whose texts are fields of records and have no lines. */
const kBinaryRecords = ['.parquet', '.mat', '.nc'];

async function textsOfRecords(path: string, column: ColumnName | undefined): Promise<string[]> {
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
