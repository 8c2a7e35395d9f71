/** Loads a data set from its description: stimuli, responses, targets, ceilings, notes and a content hash. */
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { readDescription } from '../config.js';
import { CortuneError, expected } from '../errors.js';
import { parseDetrend } from './detrend.js';
import { readBytes } from './formats/bytes.js';
import { type NamedMatrix, parseMatrix, pickColumns, readMatrix } from './formats/index.js';
import { type DataFile, dataFile, dataFolder, descriptionPath, findSubjects } from './paths.js';
import { prepareResponses, type SubjectResponses, subjectLabel } from './responses.js';
import { type DatasetDescription, kDatasetSchema, kSubjectModes, type SubjectMode } from './schema.js';
import { parseStimuli } from './stimuli.js';
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

type Hash = (file: DataFile, bytes: Uint8Array) => void;

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

  const root = dataFolder(description, file, options.root);
  const { include, rois } = options;
  const digest = createHash('sha256').update(text).update(JSON.stringify({ variant, mode, detrend, include, rois }));
  const hash: Hash = ({ name }, bytes) => {
    digest.update(`\0${name}\0${createHash('sha256').update(bytes).digest('hex')}`);
  };
  const values: Record<string, string> = variant === undefined ? {} : { variant };
  const stimulusFile = dataFile(root, description.stimuli.file, values);
  const stimulusBytes = await readBytes(stimulusFile.path);
  hash(stimulusFile, stimulusBytes);
  const { stimuli, groups } = parseStimuli(description.stimuli, stimulusBytes, stimulusFile.name);
  const { subjects, notes } = chooseSubjects(root, description, values, include);
  const read: SubjectResponses[] = [];
  for (const subject of subjects) read.push(await readSubject(root, description, values, subject, rois, hash));
  const tr = stimuli.kind === 'words' ? stimuli.tr : 1;
  const { zscore, per_run: perRun, file: templates } = description.responses;
  if (perRun && !groups)
    throw new CortuneError(
      'ERR_CONFIG',
      `${file}: Expected \`stimuli.group\` to name the column of runs, as \`responses.per_run\` is true, got none.`,
    );
  const labelled = perSubject(templates);
  const prepared = prepareResponses(read, {
    subjects: mode,
    detrend: form,
    zscore,
    tr,
    labelled,
    runs: perRun ? groups : undefined,
  });
  const rowNotes = matchRows(stimuli, prepared.responses.rows, stimulusFile.name);
  return {
    name: variant === undefined ? description.name : `${description.name} (${variant})`,
    simulated: false,
    citation: description.citation,
    licence: description.licence,
    hash: digest.digest('hex'),
    stimuli,
    ...prepared,
    ...(groups && { groups }),
    notes: [...description.notes, ...notes, ...prepared.notes, ...rowNotes],
  };
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
  const found = findSubjects(root, responses.file, values);
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

async function readSubject(
  root: string,
  { responses }: DatasetDescription,
  values: Record<string, string>,
  subject: string,
  rois: readonly string[] | undefined,
  hash: Hash,
): Promise<SubjectResponses> {
  const file = dataFile(root, responses.file, { ...values, subject });
  const bytes = await readBytes(file.path);
  hash(file, bytes);
  const { key } = responses;
  const isTensor = extname(file.name).toLowerCase() === '.safetensors';
  const all = isTensor ? await readMatrix(file.path, { key }) : parseMatrix(bytes, file.name, { key });
  return { ...pickColumns(named(all, responses.columns, file.name), rois, file.name), subject, name: file.name };
}

/** Columns under the description's names: by position for a file without header, by header otherwise. */
function named(all: NamedMatrix, columns: readonly string[] | undefined, name: string): NamedMatrix {
  if (columns === undefined) return all;
  const headless = all.columns.every((column, i) => column === String(i));
  if (!headless) return pickColumns(all, columns, name);
  if (columns.length === all.columns.length) return { matrix: all.matrix, columns: [...columns] };
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected ${columns.length} columns, as many as \`responses.columns\` names, got ${all.columns.length}.`,
  );
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
