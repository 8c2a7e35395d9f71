/** Loads a data set from its description: stimuli, responses, targets, ceilings, notes and a content hash. */
import { createHash, type Hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { closest } from 'fastest-levenshtein';
import { readDescription } from '../config.js';
import { CortuneError, expected } from '../errors.js';
import type { SubjectResponses } from './courses.js';
import { parseDetrend } from './detrend.js';
import { hashFile } from './formats/bytes.js';
import { dataFolder, descriptionPath, findValues } from './paths.js';
import { prepareResponses, subjectLabel } from './responses.js';
import { type DatasetDescription, kDatasetSchema, kSubjectModes, type SubjectMode } from './schema.js';
import { spacesOf } from './space.js';
import { readStimuli, volumeTime } from './stimuli.js';
import { chooseRuns, type ReadSubject, readSubject } from './subjects.js';
import type { Dataset, Stimuli } from './types.js';

/** Each overrides what the description says. */
export interface LoadOptions {
  /** The data folder. */
  root?: string | undefined;
  /** One of the description's `variants`. */
  variant?: string | undefined;
  subjects?: SubjectMode | undefined;
  /** Subjects to read. */
  include?: readonly string[] | undefined;
  /** Regions (response columns) to keep. */
  rois?: readonly string[] | undefined;
  /** 'none', 'linear', 'legendre:ORDER' or 'highpass:SECONDS'. */
  detrend?: string | undefined;
}

/**
 * Loads a data set.
 * @param nameOrPath a name known to the project (`alice`), a description file, or a folder with a dataset.yaml.
 * @returns stimuli, responses [n, t] with their targets and ceilings; `notes` says what was left out and why.
 * @throws ERR_NOT_FOUND, ERR_IO; ERR_CONFIG for the description, with line and key; ERR_FORMAT for a broken file; ERR_DATA
 * when nothing usable is left, or rows and stimuli do not match; ERR_ARGUMENT for options.
 */
export async function loadDataset(nameOrPath: string, options: LoadOptions = {}): Promise<Dataset> {
  const file = descriptionPath(nameOrPath);
  const { value: description, text } = await readDescription(file, kDatasetSchema);
  const variant = chooseVariant(description, options.variant);
  const mode = options.subjects ?? description.responses.subjects;
  if (!kSubjectModes.includes(mode)) throw expected('subjects', "'mean', 'each' or 'both'", mode);
  const detrend = options.detrend ?? description.responses.detrend;
  const form = parseDetrend(detrend);
  if (description.stimuli === undefined)
    throw new CortuneError(
      'ERR_CONFIG',
      `${file}: Expected \`stimuli\` that are texts or words, this description has none. Give features of your own and the responses to \`cortune encode\`.`,
    );

  const root = dataFolder(description, file, options.root);
  const { include, rois } = options;
  const digest = createHash('sha256').update(text).update(JSON.stringify({ variant, mode, detrend, include, rois }));
  const values: Record<string, string> = variant === undefined ? {} : { variant };
  const { subjects, notes } = chooseSubjects(root, description, values, include);
  const runs = chooseRuns(root, description, { ...values, subject: subjects[0]! });
  const { responses } = description;
  const read: ReadSubject[] = [];
  for (const subject of subjects) read.push(await readSubject(root, responses, { ...values, subject }, runs, rois));
  const runRows = read[0]!.runRows;
  checkRuns(read, runRows);

  const first = read[0]!.files[0]!;
  const tr = description.stimuli.kind === 'words' ? await volumeTime(root, description.stimuli, values, first) : 1;
  const {
    stimuli,
    groups,
    files,
    taken,
    notes: left,
  } = await readStimuli(root, description.stimuli, values, { runs, runRows, tr });
  for (const each of [...files, ...read.flatMap((one) => one.files)])
    digest.update(`\0${each.name}\0${await hashFile(each.path)}`);
  if (stimuli.kind === 'trials' && stimuli.pictures) await hashPictures(digest, stimuli.pictures);
  const { zscore, per_run: perRun, file: templates } = responses;
  if (perRun && !groups)
    throw new CortuneError(
      'ERR_CONFIG',
      `${file}: Expected \`stimuli.group\` to name the column of runs, as \`responses.per_run\` is true, got none.`,
    );
  const prepared = prepareResponses(
    read.flatMap((one) => one.subjects.map((subject) => (taken ? takeRows(subject, taken) : subject))),
    {
      subjects: mode,
      detrend: form,
      zscore,
      tr,
      labelled: perSubject(templates) || responses.coords?.subject !== undefined,
      runs: perRun ? groups : undefined,
    },
  );
  const spaces = spacesOf(read.flatMap((one) => one.subjects));
  const rowNotes = matchRows(stimuli, prepared.responses.rows, files[0]!.name);
  return {
    name: variant === undefined ? description.name : `${description.name} (${variant})`,
    simulated: description.simulated,
    citation: description.citation,
    licence: description.licence,
    hash: digest.digest('hex'),
    stimuli,
    ...prepared,
    ...(groups && { groups }),
    ...(spaces.length > 0 && { spaces }),
    notes: [...description.notes, ...notes, ...prepared.notes, ...left, ...rowNotes],
  };
}

/** What pictures show belongs to the data. Throws ERR_NOT_FOUND naming the number of one that is missing. */
async function hashPictures(digest: Hash, pictures: readonly string[]): Promise<void> {
  const sums = new Map<string, string>();
  for (const [i, path] of pictures.entries()) {
    if (!existsSync(path))
      throw new CortuneError('ERR_NOT_FOUND', `Expected a picture at ${path}, stimulus ${i + 1}, and there is none.`);
    if (!sums.has(path)) sums.set(path, await hashFile(path));
    digest.update(`\0${sums.get(path)}`);
  }
}

/** The rows of the responses that belong to the stimuli taken. */
function takeRows(subject: SubjectResponses, { rows, of }: { rows: readonly number[]; of: number }): SubjectResponses {
  const { data: from, rows: there, columns } = subject.matrix;
  if (there !== of)
    throw new CortuneError(
      'ERR_DATA',
      `${subject.name}: Expected a row for each of the ${of} stimuli of which \`where\` and \`order\` take some, got ${there}.`,
    );
  const data = new Float32Array(rows.length * columns);
  for (const [to, row] of rows.entries()) data.set(from.subarray(row * columns, (row + 1) * columns), to * columns);
  return { ...subject, matrix: { data, rows: rows.length, columns } };
}

function checkRuns(read: readonly ReadSubject[], runRows: readonly number[]): void {
  for (const { runRows: rows, files } of read) {
    const at = rows.findIndex((count, run) => count !== runRows[run]);
    if (at < 0 || rows.length === 1) continue; // one file a subject is compared later, and better
    throw new CortuneError(
      'ERR_DATA',
      `${files[at]!.name}: Expected ${runRows[at]} rows as in ${read[0]!.files[at]!.name}, got ${rows[at]}. Trim the files to the same rows, or exclude the subject.`,
    );
  }
}

function perSubject(files: readonly string[]): boolean {
  return files.some((file) => file.includes('{subject}'));
}

function chooseVariant({ name, variants = [] }: DatasetDescription, wanted: string | undefined): string | undefined {
  if (wanted === undefined || variants.includes(wanted)) return wanted ?? variants[0];
  if (variants.length === 0) throw expected('variant', `left out, as \`${name}\` has no variants`, wanted);
  throw expected('variant', `one of ${variants.join(', ')} (nearest: ${closest(wanted, variants)})`, wanted);
}

/** Subjects to read, and notes on those left out. One matrix counts as one subject. */
function chooseSubjects(
  root: string,
  { responses }: DatasetDescription,
  values: Record<string, string>,
  include: readonly string[] | undefined,
): { subjects: string[]; notes: string[] } {
  if (!perSubject(responses.file)) {
    if (include) throw expected('include', 'left out, as the responses are one file', include);
    return { subjects: ['1'], notes: [] };
  }
  const found = findValues(root, responses.file, 'subject', values);
  const wanted = include ?? responses.include ?? found;
  const missing = wanted.find((subject) => !found.includes(subject));
  if (missing !== undefined)
    throw new CortuneError(
      'ERR_NOT_FOUND',
      `Expected responses of subject ${missing}, found files of ${found.length} subjects: ${found.join(', ')}.`,
    );
  const subjects = wanted.filter((subject) => !(subject in responses.exclude));
  if (subjects.length === 0)
    throw new CortuneError('ERR_DATA', 'Expected at least one subject that is not excluded, got none.');
  const left = wanted.filter((subject) => subject in responses.exclude);
  return { subjects, notes: left.map((one) => `Left out ${subjectLabel(one)}: ${responses.exclude[one]}.`) };
}

/** Trials need a row each; words need to fall on the volumes, and those that do not are counted. */
function matchRows(stimuli: Stimuli, rows: number, name: string): string[] {
  if (stimuli.kind === 'trials') {
    if (stimuli.texts.length === rows) return [];
    throw new CortuneError(
      'ERR_DATA',
      `Expected one response row for each of the ${stimuli.texts.length} stimuli in ${name}, got ${rows} rows. Remove the extra ones.`,
    );
  }
  const { words, start, tr } = stimuli;
  const end = start + rows * tr;
  const outside = words.filter(
    ({ onset, offset }) => (onset + offset) / 2 < start || (onset + offset) / 2 >= end,
  ).length;
  if (outside === words.length)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected words between ${start} s and ${end} s, where the ${rows} volumes lie, got none of ${words.length}. Check \`start\` and \`tr\`.`,
    );
  return outside > 0 ? [`${outside} of ${words.length} words lie outside of the volumes and are not used.`] : [];
}
