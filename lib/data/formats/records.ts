/** Records of named fields (rows of .csv, .tsv, .parquet; lines of .jsonl; cells of .mat; coordinates of .nc), with the place of each in its file for messages. */
import { basename, extname } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { CortuneError, show } from '../../errors.js';
import { decodeText, readBytes } from './bytes.js';
import { readMatRecords } from './mat-records.js';
import { readNetcdfRecords } from './netcdf.js';
import { readParquetRecords } from './parquet.js';
import { parseDelimited } from './table.js';

/** Records of one file; all fields are there in every one, cells of tables as text. */
export interface Records {
  name: string;
  fields: string[];
  rows: Record<string, unknown>[];
  /** Of each row: 'line 3', or 'item 3' where there are no lines. */
  places: string[];
}

/** Names a column of text may have when none is given. */
export const kTextColumns = ['text', 'sentence', 'stimulus'];

/** How records are read, by the file's extension. */
const kReaders: Record<string, (path: string, name: string) => Promise<Records>> = {
  '.jsonl': async (path, name) => jsonl(await readBytes(path), name),
  '.csv': async (path, name) => table(await readBytes(path), name, ','),
  '.tsv': async (path, name) => table(await readBytes(path), name, '\t'),
  '.parquet': (path) => readParquetRecords(path),
  '.mat': (path) => readMatRecords(path),
  '.nc': (path) => readNetcdfRecords(path),
};

export const kRecordKinds = Object.keys(kReaders);

/**
 * Reads the records of a file.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT (a broken file), ERR_DATA (no records).
 */
export async function readRecords(path: string): Promise<Records> {
  const name = basename(path);
  const kind = extname(path).toLowerCase();
  const read = kReaders[kind];
  if (read === undefined)
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected records in a file ending in ${kRecordKinds.join(', ')}, got \`${kind || 'no extension'}\`.`,
    );
  const records = await read(path, name);
  if (records.rows.length === 0)
    throw new CortuneError('ERR_DATA', `${name}: Expected at least one item, got an empty file.`);
  return records;
}

/** The named field of every record. @throws ERR_DATA naming the file and the fields there are. */
export function checkField(records: Records, field: string): string {
  if (records.fields.includes(field)) return field;
  const shown = records.fields
    .slice(0, 12)
    .map((one) => `\`${one}\``)
    .join(', ');
  const hint = records.fields.length > 0 ? ` (did you mean \`${closest(field, records.fields)}\`?)` : '';
  throw new CortuneError(
    'ERR_DATA',
    `${records.name}: Expected a column \`${field}\`${hint}, it has ${shown || 'none'}.`,
  );
}

/** The field of the texts when nobody said which. */
export function textField({ fields }: Records): string {
  return kTextColumns.find((name) => fields.includes(name)) ?? (fields.length === 1 ? fields[0]! : kTextColumns[0]!);
}

/** The texts in a field; empty ones where `mayBeEmpty`. @throws ERR_DATA naming the file and the place of one that is none. */
export function recordTexts(records: Records, field: string, mayBeEmpty = false): string[] {
  return records.rows.map((row, i) => {
    const value = row[field];
    if (typeof value === 'string' && (mayBeEmpty || value.trim() !== '')) return value;
    const got = typeof value === 'string' ? 'an empty one' : show(value);
    throw new CortuneError(
      'ERR_DATA',
      `${records.name}: Expected a text in \`${field}\` of ${records.places[i]}, got ${got}.`,
    );
  });
}

function table(bytes: Uint8Array, name: string, sign: ',' | '\t'): Records {
  const { rows, lines } = parseDelimited(decodeText(bytes), name, sign);
  const fields = rows[0] ?? [];
  return {
    name,
    fields,
    rows: rows.slice(1).map((row) => Object.fromEntries(fields.map((field, i) => [field, row[i]]))),
    places: lines.slice(1).map((line) => `line ${line}`),
  };
}

function jsonl(bytes: Uint8Array, name: string): Records {
  const records: Records = { name, fields: [], rows: [], places: [] };
  for (const [i, line] of decodeText(bytes).split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new CortuneError('ERR_FORMAT', `${name}: Expected JSON in line ${i + 1}, got \`${line.slice(0, 40)}\`.`, {
        cause,
      });
    }
    // A line that is a text is a record of one field.
    const row = typeof value === 'string' ? { text: value } : value;
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new CortuneError(
        'ERR_FORMAT',
        `${name}: Expected an object or a text in line ${i + 1}, got \`${line.slice(0, 40)}\`.`,
      );
    records.rows.push(row as Record<string, unknown>);
    records.places.push(`line ${i + 1}`);
  }
  records.fields = [...new Set(records.rows.flatMap((row) => Object.keys(row)))];
  return records;
}
