/** Whether a downloaded copy of a data set is what its description says: files found, missing, of another size, checksum or shape. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readDescription } from '../config.js';
import { codeOf } from '../errors.js';
import { loadDataset } from './dataset.js';
import { fileSize, hashFile } from './formats/bytes.js';
import { choosesColumns, readMatrix } from './formats/index.js';
import { parseDelimited } from './formats/table.js';
import { dataFolder, descriptionPath, type FoundFile, findFiles } from './paths.js';
import { type DatasetDescription, kDatasetSchema } from './schema.js';

/** Files larger than this are compared by size alone unless all checksums are asked for. */
const kQuickBytes = 64 * 2 ** 20;
/** Data larger than this is not read as a study would, to see whether it can be. */
const kReadBytes = 1024 * 2 ** 20;
/** Files of one kind that are told one by one. */
const kNamed = 5;

export type FileState =
  | 'found'
  | 'missing'
  | 'not here'
  | 'some'
  | 'wrong size'
  | 'wrong checksum'
  | 'wrong shape'
  | 'unreadable';

/** One file, or one kind of files. */
export interface CheckedFile {
  path: string;
  state: FileState;
  /** What was expected and what is there. */
  detail: string;
}

export interface DatasetCheck {
  name: string;
  description: string;
  root: string;
  tried: boolean | string;
  files: CheckedFile[];
  /** How the data reads, where it was read: rows, targets and stimuli; else why it was not. */
  reading: string;
  /** Nothing that is needed is missing or wrong. */
  ok: boolean;
  /** What to do about what is not as it should be. */
  advice: string[];
}

export interface CheckOptions {
  /** The folder of the copy; by default the one of the description. */
  root?: string | undefined;
  /** Compare the checksums of large files, too. */
  checksums?: boolean | undefined;
  variant?: string | undefined;
}

const kGood: readonly FileState[] = ['found', 'some', 'not here'];

/**
 * Checks a copy against a description: known by name, or a file, or a folder with a dataset.yaml.
 * @throws ERR_NOT_FOUND when there is no such description or folder; ERR_CONFIG for the description.
 */
export async function checkDataset(nameOrPath: string, options: CheckOptions = {}): Promise<DatasetCheck> {
  const file = descriptionPath(nameOrPath);
  const { value: described } = await readDescription(file, kDatasetSchema);
  const root = dataFolder(described, file, options.root);
  const files: CheckedFile[] = [];
  for (const published of described.files) files.push(...(await checkPublished(root, described, published)));
  if (described.sums)
    files.push(...(await checkSums(root, join(dirname(file), described.sums), options.checksums === true)));
  const broken = files.filter(({ state }) => !kGood.includes(state));
  const reading =
    broken.length > 0
      ? { text: 'Not read, as files are missing or not what they should be.', failed: false }
      : await tryReading(file, root, described, options.variant);
  return {
    name: described.name,
    description: file,
    root,
    tried: described.tried ?? false,
    files,
    reading: reading.text,
    ok: broken.length === 0 && !reading.failed,
    advice: adviceOn(files, described, reading.failed),
  };
}

type Published = DatasetDescription['files'][number];

async function checkPublished(
  root: string,
  described: DatasetDescription,
  published: Published,
): Promise<CheckedFile[]> {
  const { path, count, optional, about } = published;
  const found = findFiles(root, path);
  const what = about === undefined ? '' : ` (${about})`;
  if (found.length === 0)
    return [{ path, state: optional ? 'not here' : 'missing', detail: `none${count ? ` of ${count}` : ''}${what}` }];
  const wrong: CheckedFile[] = [];
  for (const each of found) wrong.push(...(await checkOne(each, described, published)));
  const right = found.length - wrong.length;
  const whole = count === undefined || right >= count;
  const detail = `${right}${count ? ` of ${count}` : ''}${what}`;
  const summary: CheckedFile[] = right > 0 ? [{ path, state: whole ? 'found' : 'some', detail }] : [];
  return [...summary, ...some(wrong, path)];
}

/** The first of a long list, and how many more there are. */
function some(list: readonly CheckedFile[], path: string): CheckedFile[] {
  if (list.length <= kNamed) return [...list];
  return [...list.slice(0, kNamed), { path, state: list[kNamed]!.state, detail: `and ${list.length - kNamed} more` }];
}

async function checkOne(
  { path, name }: FoundFile,
  { responses }: DatasetDescription,
  { bytes, sha1, rows, columns }: Published,
): Promise<CheckedFile[]> {
  const size = await fileSize(path);
  if (bytes !== undefined && size !== bytes)
    return [{ path: name, state: 'wrong size', detail: `expected ${bytes} bytes, got ${size}` }];
  if (sha1 !== undefined) {
    const got = await hashFile(path, 'sha1');
    if (got !== sha1) return [{ path: name, state: 'wrong checksum', detail: `expected SHA-1 ${sha1}, got ${got}` }];
  }
  if (rows === undefined && columns === undefined) return [];
  try {
    const { key } = responses;
    const { matrix } = await readMatrix(path, {
      key,
      columns: choosesColumns(path, {}) ? responses.columns : undefined,
    });
    if ((rows ?? matrix.rows) === matrix.rows && (columns ?? matrix.columns) === matrix.columns) return [];
    return [
      {
        path: name,
        state: 'wrong shape',
        detail: `expected [${rows ?? 'any'}, ${columns ?? 'any'}], got [${matrix.rows}, ${matrix.columns}]`,
      },
    ];
  } catch (error) {
    return [{ path: name, state: 'unreadable', detail: (error as Error).message }];
  }
}

/** Files of the table that are here: their sizes, and checksums of those that are small. */
async function checkSums(root: string, table: string, all: boolean): Promise<CheckedFile[]> {
  const { rows } = parseDelimited(await readFile(table, 'utf8'), basename(table), '\t');
  const wrong: CheckedFile[] = [];
  const absent: CheckedFile[] = [];
  let right = 0;
  let hashed = 0;
  for (const [path, bytes, md5] of rows.slice(1) as [string, string, string][]) {
    const size = await fileSize(join(root, path)).catch(() => undefined);
    if (size === undefined) {
      absent.push({ path, state: 'not here', detail: `${bytes} bytes` });
      continue;
    }
    if (size !== Number(bytes)) {
      wrong.push({ path, state: 'wrong size', detail: `expected ${bytes} bytes, got ${size}` });
      continue;
    }
    if (all || size <= kQuickBytes) {
      hashed++;
      const got = await hashFile(join(root, path), 'md5');
      if (got !== md5) {
        wrong.push({ path, state: 'wrong checksum', detail: `expected MD5 ${md5}, got ${got}` });
        continue;
      }
    }
    right++;
  }
  const listed = rows.length - 1;
  const compared = hashed < listed - absent.length && !all ? 'of small files; --checksums compares all' : 'compared';
  const detail = `${right} of the ${listed} files with known sizes and checksums (${hashed} checksums ${compared})`;
  const state: FileState = absent.length === listed ? 'missing' : absent.length > 0 ? 'some' : 'found';
  const name = basename(table);
  return [{ path: name, state, detail }, ...some(wrong, name), ...some(absent.length < listed ? absent : [], name)];
}

/** Reads the data as a study would, when that is soon done. */
async function tryReading(
  file: string,
  root: string,
  described: DatasetDescription,
  variant: string | undefined,
): Promise<{ text: string; failed: boolean }> {
  if (described.stimuli === undefined)
    return {
      text: 'Its stimuli are no texts: give features of your own and its responses to `cortune encode`.',
      failed: false,
    };
  const chosen = variant ?? described.variants?.[0];
  const values: Record<string, string> = chosen === undefined ? {} : { variant: chosen };
  const found =
    described.responses.file.map((path) => findFiles(root, path, values)).find((list) => list.length > 0) ?? [];
  let bytes = 0;
  for (const { path } of found) bytes += await fileSize(path);
  if (bytes > kReadBytes)
    return {
      text: `Not read: the responses have ${(bytes / 2 ** 30).toFixed(1)} GiB. A study reads them.`,
      failed: false,
    };
  try {
    const { responses, stimuli } = await loadDataset(file, { root, variant });
    const count = stimuli.kind === 'words' ? `${stimuli.words.length} words` : `${stimuli.texts.length} texts`;
    return { text: `Reads: ${responses.rows} rows, ${responses.columns} targets, ${count}.`, failed: false };
  } catch (error) {
    return { text: `Does not read: ${(error as Error).message} [${codeOf(error)}]`, failed: true };
  }
}

function adviceOn(files: readonly CheckedFile[], described: DatasetDescription, failed: boolean): string[] {
  const has = (...states: FileState[]) => files.some(({ state }) => states.includes(state));
  const advice: string[] = [];
  if (has('missing'))
    advice.push(
      `Get what is missing${described.source ? `: ${described.source}` : ' from where the data is published'}`,
    );
  if (has('wrong size', 'wrong checksum'))
    advice.push(
      'Files of another size or checksum were cut off or changed, or are of another release: download them again.',
    );
  if (has('wrong shape', 'unreadable'))
    advice.push('Files that do not read as they should: download them again, or tell us of the release you have.');
  if (failed) advice.push('Copy the description beside the data as dataset.yaml, and change what does not fit.');
  if (described.tried !== true && (failed || has('missing')))
    advice.push('This description was not tried on the real files: paths may differ from yours.');
  return advice;
}
