/** Words and their times from a table: BIDS events, transcripts with or without a header; and rows of tables by their values. */
import { CortuneError } from '../errors.js';
import { type Table, textColumns } from './formats/table.js';
import type { DatasetDescription } from './schema.js';
import type { Word } from './types.js';

type Described = NonNullable<DatasetDescription['stimuli']>;

/** Values that columns have in the rows wanted. */
export type Where = Record<string, string[]> | undefined;

/** Words of a table: with their end, or how long they last. Words without an onset (a transcript that could not be aligned) are passed over. */
export function tableWords(described: Described & { kind: 'words' }, read: Table, name: string): Word[] {
  const { word, onset, offset, duration, where = {}, header } = described;
  const table = header ? { ...read, rows: [header, ...read.rows], lines: [0, ...read.lines] } : read;
  const lasts = !table.rows[0]?.includes(offset) && table.rows[0]?.includes(duration);
  const conditions = Object.keys(where);
  const { cells, lines } = textColumns(table, [word, onset, lasts ? duration : offset, ...conditions]);
  const [texts, onsets, ends, ...tested] = cells as [string[], string[], string[], ...string[][]];
  const rows = rowsWhere(where, tested, texts.length, name);
  return rows
    .filter((i) => !kUnknown.test(onsets[i]!))
    .map((i) => {
      const from = seconds(onsets[i]!, name, lines[i]!, onset);
      const end = lasts && kUnknown.test(ends[i]!) ? 0 : seconds(ends[i]!, name, lines[i]!, lasts ? duration : offset);
      const to = lasts ? from + end : end;
      if (to < from)
        throw new CortuneError(
          'ERR_DATA',
          `${name}: Expected the offset in line ${lines[i]} at or after its onset ${from}, got ${to}.`,
        );
      return { text: texts[i]!.trim(), onset: from, offset: to };
    });
}

/** As BIDS and others write that a time is not known. */
const kUnknown = /^\s*(n\/a)?\s*$/;

/** Rows in which every column has one of the values wanted. `cells` has a column for each of them. @throws ERR_DATA when there is none. */
export function rowsWhere(
  where: NonNullable<Where>,
  cells: readonly string[][],
  count: number,
  name: string,
): number[] {
  const conditions = Object.entries(where);
  const all = Array.from({ length: count }, (_, i) => i);
  const rows = all.filter((i) => conditions.every(([, values], c) => values.includes(cells[c]![i]!)));
  if (rows.length > 0 || count === 0) return rows;
  const wanted = conditions.map(
    ([column, values], c) =>
      `\`${column}\` is ${values.join(' or ')} (it holds ${[...new Set(cells[c])].slice(0, 6).join(', ')})`,
  );
  throw new CortuneError('ERR_DATA', `${name}: Expected rows where ${wanted.join(' and ')}, got none.`);
}

function seconds(cell: string, name: string, line: number, column: string): number {
  const value = cell.trim() === '' ? Number.NaN : Number(cell);
  if (Number.isFinite(value)) return value;
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected seconds in line ${line}, column \`${column}\`, got \`${cell.slice(0, 40)}\`.`,
  );
}
