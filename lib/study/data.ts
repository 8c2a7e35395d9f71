/** The data of a study: real measurements read from their description, or a subject simulated from the study's first model. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadDataset } from '../data/dataset.js';
import { isSimulated, parseSimulated, simulatedStimuli } from '../data/simulate.js';
import type { Dataset, Stimuli } from '../data/types.js';
import { CortuneError, codeOf } from '../errors.js';
import { contentId } from './hash.js';
import type { DataSummary } from './records.js';
import type { Study } from './schema.js';
import type { DataEntry } from './schema-sections.js';

/** What the plan must know of the data. The responses of a simulated subject are made later, by the model planted in them. */
export interface StudyData {
  /** As the study names it. */
  entry: DataEntry;
  /** What tables call it. */
  name: string;
  hash: string;
  stimuli: Stimuli;
  rows: number;
  targets: number;
  simulated: boolean;
  /** The measured data set; undefined for a simulated subject. */
  measured?: Dataset;
}

/**
 * Finds the data, or what the study names in its place. `root` overrides the folder that the study or the description names.
 * Throws what `loadDataset` throws; RangeError for options of `simulated`.
 */
export async function studyData(
  study: Study,
  entry: DataEntry,
  models: ReadonlyMap<string, string>,
  root?: string,
): Promise<StudyData> {
  const { dataset, name, otherwise, prepare, ...options } = entry;
  if (isSimulated(dataset)) return simulatedData(study, entry, models);
  const loading = loadDataset(datasetPath(study, dataset), {
    ...options,
    root: root ?? (options.root === undefined ? undefined : resolve(study.folder, options.root)),
  });
  const measured = await loading.catch((error) => {
    if (codeOf(error) !== 'ERR_NOT_FOUND') throw error;
    if (otherwise === undefined) throw prepare === undefined ? error : notPrepared(dataset, prepare, error);
  });
  if (!measured)
    return studyData(study, { dataset: otherwise!, name: name ?? dataset, subjects: entry.subjects }, models);
  const { hash, stimuli, responses, targets } = measured;
  return {
    ...{ entry, name: name ?? measured.name, hash, stimuli, simulated: false, measured },
    ...{ rows: responses.rows, targets: targets.length },
  };
}

/** The study's author knows how to get the files: that is told first, and what was looked for after it. */
function notPrepared(dataset: string, prepare: string, error: Error): CortuneError {
  return new CortuneError(
    'ERR_NOT_FOUND',
    `Expected the files of \`${dataset}\`, and they are not all there. The study says how to get them: ${prepare}\n(${error.message})`,
    { cause: error },
  );
}

/** Paths in a study are relative to its file; names such as `alice` are known to the project. */
function datasetPath(study: Study, dataset: string): string {
  const path = resolve(study.folder, dataset);
  return /[./\\]/.test(dataset) || existsSync(path) ? path : dataset;
}

/** Everything that decides simulated responses: the story, the options, the planted model and its alignment. */
function simulatedData(study: Study, entry: DataEntry, models: ReadonlyMap<string, string>): StudyData {
  const options = parseSimulated(entry.dataset);
  const { stimuli, rows } = simulatedStimuli(options.kind);
  const mode = entry.subjects ?? 'mean';
  const perSubject = mode === 'mean' ? 1 : mode === 'each' ? options.subjects : options.subjects + 1;
  const planted = models.get(study.models[0]!.name) ?? '';
  const align = options.kind === 'words' ? study.align : null;
  const hash = contentId({
    options,
    mode,
    stimuli,
    planted,
    align,
    pool: study.embed.pool,
    context: study.embed.context,
  });
  const name = entry.name ?? entry.dataset;
  return { entry, name, hash, stimuli, rows, targets: options.targets * perSubject, simulated: true };
}

/** The text a model is tuned on: the stimuli's own, passage by passage. */
export function tuningTexts(stimuli: Stimuli): string[] {
  if (stimuli.kind === 'words') return [stimuli.words.map((word) => word.text).join(' ')];
  const { texts, passages } = stimuli;
  if (!passages) return [...texts];
  const joined: string[] = [];
  for (const [i, text] of texts.entries())
    if (i > 0 && passages[i] === passages[i - 1]) joined[joined.length - 1] += ` ${text}`;
    else joined.push(text);
  return joined;
}

/** For records and reports: what was read, from where, said plainly. */
export function summarizeData(data: StudyData, dataset: Dataset): DataSummary {
  const { name, citation, licence, notes, responses } = dataset;
  const subjects = new Set(dataset.targets.map((target) => target.subject));
  subjects.delete('mean');
  const standIn = !data.simulated && dataset.simulated;
  const source = standIn
    ? `SIMULATED responses in the files of a data set, no measurement: ${name}, ${responses.rows} rows, ${responses.columns} targets.`
    : data.simulated
      ? `A simulated subject, no measurement. ${notes.join(' ')}`
      : `Real measurements: ${name}${subjects.size > 1 ? `, ${subjects.size} subjects` : ''}, ${responses.rows} rows, ${responses.columns} targets.`;
  return {
    name,
    simulated: dataset.simulated || data.simulated,
    citation,
    licence,
    hash: data.hash,
    rows: responses.rows,
    notes,
    source,
  };
}
