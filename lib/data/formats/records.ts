/** Records of named fields (rows of .csv, .tsv, .parquet; lines of .jsonl), with the place of each in its file for messages. */
import { basename, extname } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { CortuneError, show } from '../../errors.js';
import { decodeText, readBytes } from './bytes.js';
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

export const kRecordKinds = ['.jsonl', '.csv', '.tsv', '.parquet'];

/**
 * Reads the records of a file.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT (a broken file), ERR_DATA (no records).
 */
export async function readRecords(path: string): Promise<Records> {
  const bytes = await readBytes(path);
  const name = basename(path);
  const kind = extname(path).toLowerCase();
  const records =
    kind === '.parquet'
      ? await parquet(bytes, name)
      : kind === '.jsonl'
        ? jsonl(bytes, name)
        : table(bytes, name, kind);
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

function table(bytes: Uint8Array, name: string, kind: string): Records {
  if (kind !== '.csv' && kind !== '.tsv')
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected records in a file ending in ${kRecordKinds.join(', ')}, got \`${kind || 'no extension'}\`.`,
    );
  const { rows, lines } = parseDelimited(decodeText(bytes), name, kind === '.csv' ? ',' : '\t');
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

async function parquet(bytes: Uint8Array, name: string): Promise<Records> {
  // A copy that begins at 0: Node's small buffers are windows on a shared one.
  const file = new Uint8Array(bytes).buffer;
  try {
    const metadata = await parquetMetadataAsync(file);
    const fields = parquetSchema(metadata).children.map(({ element }) => element.name);
    const rows = await parquetReadObjects({ file, metadata, compressors });
    return { name, fields, rows: rows.map(plain), places: rows.map((_, i) => `item ${i + 1}`) };
  } catch (cause) {
    if (cause instanceof CortuneError) throw cause;
    throw new CortuneError('ERR_FORMAT', `${name}: Expected a Parquet file, but ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/** Parquet's 64-bit integers are bigints. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([field, value]) => [field, typeof value === 'bigint' ? Number(value) : value]),
  );
}
