/** Reading a data set's stimuli: words with their times, or texts; of one file, or a file a run. */
import { dirname, extname, isAbsolute, join, relative } from 'node:path';
import { CortuneError, show } from '../errors.js';
import { decodeText, readBytes } from './formats/bytes.js';
import { parseCaptions } from './formats/captions.js';
import { isNifti, parseTable, readTexts } from './formats/index.js';
import { readNifti } from './formats/nifti.js';
import { checkField, kRecordKinds, readRecords } from './formats/records.js';
import { parseTextGrid, tierNamed } from './formats/textgrid.js';
import { type DataFile, dataFile } from './paths.js';
import type { DatasetDescription } from './schema.js';
import type { Stimuli, Word } from './types.js';
import { rowsWhere, tableWords, type Where } from './word-tables.js';

type Described = NonNullable<DatasetDescription['stimuli']>;

/** Stimuli with the run of each row, where there are runs. */
export interface ReadStimuli {
  stimuli: Stimuli;
  groups?: string[];
  files: DataFile[];
  notes: string[];
  /** Rows of the file that were taken, in order, where not all of them were: those of the responses, too. */
  taken?: { rows: number[]; of: number };
}

/** The runs in order, the rows of the responses in each, and seconds per volume. */
interface Recorded {
  runs: readonly string[] | undefined;
  runRows: readonly number[];
  tr: number;
}

/** Reads the stimuli of all runs. @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, ERR_DATA; ERR_CONFIG for columns of a file that has none. */
export async function readStimuli(
  root: string,
  described: Described,
  values: Record<string, string>,
  recorded: Recorded,
): Promise<ReadStimuli> {
  const { runs } = recorded;
  const perRun = described.file[0]!.includes('{run}') && runs !== undefined;
  const files = perRun
    ? runs.map((run) => dataFile(root, described.file, { ...values, run }))
    : [dataFile(root, described.file, values)];
  const where = filledValues(described.where, values);
  const read =
    described.kind === 'trials'
      ? await readTrials({ ...described, where }, files, recorded, values)
      : await readWords({ ...described, where }, files, perRun, recorded);
  // What decides the time of volumes belongs to the data, too.
  const sidecar = described.kind === 'words' && described.tr === undefined && described.sidecar;
  return { ...read, files: sidecar ? [...files, dataFile(root, [sidecar], values)] : files };
}

function filledValues(where: Where, values: Record<string, string>): Where {
  if (where === undefined) return undefined;
  const filled = (value: string) => value.replace(/\{variant\}/g, values.variant ?? '{variant}');
  return Object.fromEntries(Object.entries(where).map(([column, wanted]) => [column, wanted.map(filled)]));
}

/**
 * Seconds per volume: those of the description, of its sidecar, or of the responses' NIfTI header.
 * @throws ERR_CONFIG when none of them says it.
 */
export async function volumeTime(
  root: string,
  described: Described & { kind: 'words' },
  values: Record<string, string>,
  responses: DataFile,
): Promise<number> {
  if (described.tr !== undefined) return described.tr;
  if (described.sidecar !== undefined) {
    const file = dataFile(root, [described.sidecar], values);
    return repetitionTime(decodeText(await readBytes(file.path)), file.name);
  }
  const tr = isNifti(responses.name) ? (await readNifti(responses.path, responses.name)).tr : undefined;
  if (tr !== undefined) return tr;
  throw new CortuneError(
    'ERR_CONFIG',
    `Expected \`stimuli.tr\`, the seconds per volume, as neither a \`sidecar\` nor the header of ${responses.name} says it, got none.`,
  );
}

function repetitionTime(content: string, name: string): number {
  let sidecar: unknown;
  try {
    sidecar = JSON.parse(content);
  } catch (cause) {
    throw new CortuneError('ERR_FORMAT', `${name}: Expected JSON, got: ${(cause as Error).message}.`, { cause });
  }
  const seconds = (sidecar as { RepetitionTime?: unknown } | null)?.RepetitionTime;
  if (typeof seconds === 'number' && seconds > 0) return seconds;
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected \`RepetitionTime\` to be a number of seconds above 0, got ${show(seconds)}.`,
  );
}

async function readWords(
  described: Described & { kind: 'words' },
  files: readonly DataFile[],
  perRun: boolean,
  { runs, runRows, tr }: Recorded,
): Promise<Omit<ReadStimuli, 'files'>> {
  const { start } = described;
  const notes: string[] = [];
  const all: Word[] = [];
  let before = 0;
  for (const [i, { path, name }] of files.entries()) {
    const words = parseWords(described, await readBytes(path), name);
    if (words.length === 0) throw new CortuneError('ERR_DATA', `${name}: Expected words, got none.`);
    if (!perRun) {
      all.push(...words);
      break;
    }
    // Runs follow one another: the words of each are moved behind the volumes of those before, and none may reach into another run.
    const rows = runRows[i]!;
    const shift = before * tr;
    const inside = words.filter(({ onset, offset }) => {
      const middle = (onset + offset) / 2;
      return middle >= start && middle < start + rows * tr;
    });
    if (inside.length < words.length)
      notes.push(
        `${name}: ${words.length - inside.length} of ${words.length} words lie outside of the run's volumes and are not used.`,
      );
    for (const word of inside) all.push({ ...word, onset: word.onset + shift, offset: word.offset + shift });
    before += rows;
  }
  const groups =
    runs && runRows.length === runs.length ? runs.flatMap((run, i) => Array<string>(runRows[i]!).fill(run)) : undefined;
  if (perRun && groups)
    notes.push(
      'Runs follow one another in time: the first volumes of a run see words of the run before through the delays (`trim` leaves them out of the score).',
    );
  return { stimuli: { kind: 'words', words: all, tr, start }, ...(groups && { groups }), notes };
}

function parseWords(described: Described & { kind: 'words' }, bytes: Uint8Array, name: string): Word[] {
  const spoken = ({ text }: Word) => text !== '' && !described.skip.includes(text);
  const kind = extname(name).toLowerCase();
  if (kind === '.textgrid') {
    const tier = tierNamed(parseTextGrid(decodeText(bytes), name), described.tier, name);
    return tier.intervals
      .map(({ start, end, text }) => ({ text: text.trim(), onset: start, offset: end }))
      .filter(spoken);
  }
  if (kind === '.vtt' || kind === '.srt') return parseCaptions(decodeText(bytes), name).filter(spoken);
  return tableWords(described, parseTable(bytes, name), name)
    .filter(spoken)
    .sort((a, b) => a.onset - b.onset);
}

async function readTrials(
  described: Described & { kind: 'trials' },
  files: readonly DataFile[],
  { runs, runRows }: Recorded,
  values: Record<string, string>,
): Promise<Omit<ReadStimuli, 'files'>> {
  const texts: string[] = [];
  const passages: string[] = [];
  const groups: string[] = [];
  const several = files.length > 1;
  for (const [i, file] of files.entries()) {
    const found = await readTexts(file.path, { column: described.text });
    texts.push(...found);
    // A passage of one run is another than that of the same name in the next.
    const own = await column(file, described.passage);
    passages.push(...(several ? own.map((passage) => `${runs![i]}/${passage}`) : own));
    groups.push(
      ...(described.group === undefined && several ? found.map(() => runs![i]!) : await column(file, described.group)),
    );
  }
  const recorded = runs?.length === runRows.length && !several ? runs : undefined;
  if (described.group === undefined && recorded)
    groups.push(...recorded.flatMap((run, i) => Array<string>(runRows[i]!).fill(run)));
  const rows = await takenRows(described, files, texts.length);
  const some = (labels: string[]) => (rows ? rows.map((row) => labels[row]!) : labels);
  const pictures = described.pictures ? some(texts).map((name) => picturePath(described, files[0]!, name, values)) : [];
  return {
    stimuli: {
      kind: 'trials',
      texts: some(texts),
      ...(passages.length > 0 && { passages: some(passages) }),
      ...(pictures.length > 0 && { pictures }),
    },
    ...(groups.length > 0 && { groups: some(groups) }),
    notes: [],
    ...(rows && { taken: { rows, of: texts.length } }),
  };
}

/** Where a picture is. Names in a data set cannot reach out of its folder. */
function picturePath(
  described: Described & { kind: 'trials' },
  file: DataFile,
  name: string,
  values: Record<string, string>,
): string {
  const folder = described.folder?.replace(/\{variant\}/g, values.variant ?? '{variant}');
  const root = file.path.slice(0, file.path.length - file.name.length);
  const below = folder === undefined ? dirname(file.path) : join(root, folder);
  const path = join(below, name);
  if (!isAbsolute(name) && !relative(below, path).startsWith('..')) return path;
  throw new CortuneError(
    'ERR_DATA',
    `${file.name}: Expected names of pictures below ${below}, got ${show(name)}, which lies outside.`,
  );
}

/** Rows by `where`, in the order of `order`; undefined when all are taken as they are. */
async function takenRows(
  { where, order }: Described & { kind: 'trials' },
  files: readonly DataFile[],
  count: number,
): Promise<number[] | undefined> {
  if (where === undefined && order === undefined) return undefined;
  if (files.length > 1)
    throw new CortuneError(
      'ERR_CONFIG',
      `${files[0]!.name}: Expected one file of stimuli to take rows by \`where\` or \`order\`, got one a run.`,
    );
  const columns = async (names: readonly string[]) => Promise.all(names.map((name) => column(files[0]!, name)));
  const rows = rowsWhere(where ?? {}, await columns(Object.keys(where ?? {})), count, files[0]!.name);
  const keys = await columns(order ?? []);
  const compare = new Intl.Collator('en', { numeric: true }).compare;
  return rows.sort((a, b) => keys.reduce((before, key) => before || compare(key[a]!, key[b]!), 0) || a - b);
}

/** A column beside the texts; nothing when none is wanted. */
async function column({ path, name }: DataFile, wanted: string | undefined): Promise<string[]> {
  if (wanted === undefined) return [];
  if (!kRecordKinds.includes(extname(name).toLowerCase()))
    throw new CortuneError(
      'ERR_CONFIG',
      `${name}: Expected a .csv or .tsv file to take column \`${wanted}\` from. Save the texts as a table.`,
    );
  const records = await readRecords(path);
  const field = checkField(records, wanted);
  return records.rows.map((row) => String(row[field] ?? ''));
}
