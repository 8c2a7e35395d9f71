/** Tables of text by the extension of their file, and what is said of a file of another kind. */
import { basename, extname } from 'node:path';
import { CortuneError } from '../../errors.js';
import { decodeText } from './bytes.js';
import { parseBlanks, parseDelimited, type Table } from './table.js';

/** The cells of a .csv, .tsv, .txt or .dat file. */
export function parseTable(bytes: Uint8Array, path: string): Table {
  const text = decodeText(bytes);
  const kind = extname(path).toLowerCase();
  if (kind === '.csv') return parseDelimited(text, basename(path), ',');
  if (kind === '.tsv') return parseDelimited(text, basename(path), '\t');
  if (kind === '.txt' || kind === '.dat') return parseBlanks(text, basename(path));
  throw unknownKind(path, 'a table', '.csv, .tsv, .txt or .dat');
}

/** A file of a kind that is not read. */
export function unknownKind(path: string, what: string, kinds: string): CortuneError {
  return new CortuneError(
    'ERR_FORMAT',
    `${basename(path)}: Expected ${what} in a file ending in ${kinds}, got \`${extname(path) || 'no extension'}\`.`,
  );
}
