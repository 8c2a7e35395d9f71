/** Reading a data set's stimuli: words with their times, or texts. */
import { extname } from 'node:path';
import { CortuneError } from '../errors.js';
import { decodeText } from './formats/bytes.js';
import { defaultColumn, parseTable, parseTexts } from './formats/index.js';
import { textColumns } from './formats/table.js';
import { parseTextGrid, tierNamed } from './formats/textgrid.js';
import type { DatasetDescription } from './schema.js';
import type { Stimuli, Word } from './types.js';

type Described = DatasetDescription['stimuli'];

/** Stimuli with the run of each text, when a column names it. */
export interface ReadStimuli {
  stimuli: Stimuli;
  groups?: string[];
}

/** Parses the bytes of the stimulus file. `name` ends in its extension and is how errors call it. */
export function parseStimuli(described: Described, bytes: Uint8Array, name: string): ReadStimuli {
  if (described.kind === 'trials') return parseTrials(described, bytes, name);
  const words = parseWords(described, bytes, name);
  if (words.length === 0) throw new CortuneError('ERR_DATA', `${name}: Expected words, got none.`);
  return { stimuli: { kind: 'words', words, tr: described.tr, start: described.start } };
}

function parseWords(described: Described & { kind: 'words' }, bytes: Uint8Array, name: string): Word[] {
  const spoken = (text: string) => text !== '' && !described.skip.includes(text);
  if (extname(name).toLowerCase() === '.textgrid') {
    const tier = tierNamed(parseTextGrid(decodeText(bytes), name), described.tier, name);
    return tier.intervals
      .map(({ start, end, text }) => ({ text: text.trim(), onset: start, offset: end }))
      .filter(({ text }) => spoken(text));
  }
  const { cells, lines } = textColumns(parseTable(bytes, name), [described.word, described.onset, described.offset]);
  const [texts, onsets, offsets] = cells as [string[], string[], string[]];
  return texts
    .map((text, i) => ({
      text: text.trim(),
      onset: seconds(onsets[i]!, name, lines[i]!, described.onset),
      offset: seconds(offsets[i]!, name, lines[i]!, described.offset),
    }))
    .filter(({ text, onset, offset }, i) => {
      if (offset < onset)
        throw new CortuneError(
          'ERR_DATA',
          `${name}: Expected the offset in line ${lines[i]} at or after its onset ${onset}, got ${offset}.`,
        );
      return spoken(text);
    })
    .sort((a, b) => a.onset - b.onset);
}

function seconds(cell: string, name: string, line: number, column: string): number {
  const value = cell.trim() === '' ? Number.NaN : Number(cell);
  if (Number.isFinite(value)) return value;
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected seconds in line ${line}, column \`${column}\`, got \`${cell.slice(0, 40)}\`.`,
  );
}

function parseTrials(described: Described & { kind: 'trials' }, bytes: Uint8Array, name: string): ReadStimuli {
  const texts = parseTexts(bytes, name, { column: described.text });
  const isTable = ['.csv', '.tsv'].includes(extname(name).toLowerCase());
  const column = (wanted: string | undefined): string[] | undefined => {
    if (wanted === undefined) return undefined;
    if (!isTable)
      throw new CortuneError(
        'ERR_CONFIG',
        `${name}: Expected a .csv or .tsv file to take column \`${wanted}\` from. Save the texts as a table.`,
      );
    const table = parseTable(bytes, name);
    return textColumns(table, [wanted, described.text ?? defaultColumn(table)]).cells[0]!;
  };
  const passages = column(described.passage);
  const groups = column(described.group);
  return { stimuli: { kind: 'trials', texts, ...(passages && { passages }) }, ...(groups && { groups }) };
}
