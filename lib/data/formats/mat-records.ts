/** MATLAB files as records: the variables that are texts, one a row (cell arrays of texts, or a char matrix of one row). */
import { basename } from 'node:path';
import { readBytes } from './bytes.js';
import { isHdf5 } from './hdf5.js';
import { type MatValue, parseMat } from './mat.js';
import { readMat73Texts } from './mat73.js';
import type { Records } from './records.js';

/**
 * Cell arrays of texts of one length, as fields of records. Variables of another length, and of another kind, are passed over.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT.
 */
export async function readMatRecords(path: string): Promise<Records> {
  const name = basename(path);
  const found = (await isHdf5(path)) ? await readMat73Texts(path) : fiveTexts(parseMat(await readBytes(path), name));
  // One file may hold texts of trials and of other things; the longest are those of the rows.
  const length = Math.max(0, ...[...found.values()].map((texts) => texts.length));
  const fields = [...found].filter(([, texts]) => texts.length === length);
  const rows = Array.from({ length }, (_, i) => Object.fromEntries(fields.map(([field, texts]) => [field, texts[i]!])));
  return { name, fields: fields.map(([field]) => field), rows, places: rows.map((_, i) => `cell ${i + 1}`) };
}

function fiveTexts(variables: ReadonlyMap<string, MatValue>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [variable, value] of variables) {
    if (value.kind !== 'cell') continue;
    const texts = value.cells.map(textOf);
    if (texts.every((text) => text !== undefined)) found.set(variable, texts);
  }
  return found;
}

/** A text, or a cell of one text: some programs wrap twice. */
function textOf(value: MatValue): string | undefined {
  if (value.kind === 'text') return value.text;
  if (value.kind === 'numbers' && value.values.length === 0) return '';
  return value.kind === 'cell' && value.cells.length === 1 ? textOf(value.cells[0]!) : undefined;
}
