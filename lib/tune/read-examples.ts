/** Examples to tune on from files: .txt (one text a line), .jsonl, .csv, .tsv or .parquet with named columns; pictures with labels. */
import { dirname, extname, resolve } from 'node:path';
import { readTexts } from '../data/formats/index.js';
import { kPictureColumn } from '../data/formats/parquet.js';
import { checkField, type Records, readRecords, recordTexts, textField } from '../data/formats/records.js';
import { CortuneError, expected, show } from '../errors.js';
import { holdsPictures, readLabelledPictures } from '../images/labelled.js';
import type { Example } from './examples.js';

export interface ReadExamplesOptions {
  /** Column of the texts. Default: `text`, `sentence` or `stimulus`, or the only one. */
  column?: string | undefined;
  /** Columns of prompts and completions, instead of texts. Default: `prompt` and `completion`, where a file has both and `column` is not given. */
  prompt?: string | undefined;
  completion?: string | undefined;
  /** Column of the labels of texts: numbers are values, all else classes. */
  label?: string | undefined;
  /** Completions to choose from, for metrics: a column of lists (or of their JSON), or the same list for all items. */
  choices?: string | readonly string[] | undefined;
  /** Answers that count as right, for metrics: a column of texts, of lists, or of their JSON. */
  references?: string | undefined;
  /** Items to read at most, the first ones. Default: all. */
  limit?: number | undefined;
}

/**
 * Reads examples.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT; ERR_DATA naming the file and the item that is empty or has no such field.
 */
export async function readExamples(path: string, options: ReadExamplesOptions = {}): Promise<Example[]> {
  const { column, prompt, label, choices, references, limit } = options;
  if (extname(path).toLowerCase() === '.txt') {
    for (const name of ['prompt', 'completion', 'label', 'choices'] as const)
      if (options[name] !== undefined)
        throw expected(name, 'left out for a .txt file, which has no columns', options[name]);
    return (await readTexts(path, { column })).slice(0, limit);
  }
  if (holdsPictures(path)) return (await readLabelledPictures(path)).slice(0, limit);
  const records = await readRecords(path);
  records.rows = records.rows.slice(0, limit);
  if (column === undefined && prompt === undefined && records.fields.includes(kPictureColumn))
    return pictures(records, path, label ?? 'label');
  const pair = pairOf(records, options);
  if (pair) {
    const [prompts, completions] = [recordTexts(records, pair[0], true), recordTexts(records, pair[1])];
    const lists = choices === undefined ? undefined : choicesOf(records, choices, completions);
    const golds = references === undefined ? undefined : referencesOf(records, references);
    return prompts.map((prompt, i) => ({
      prompt,
      completion: completions[i]!,
      ...(lists && { choices: lists[i]! }),
      ...(golds && { references: golds[i]! }),
    }));
  }
  if (choices !== undefined)
    throw expected('choices', 'left out where items have no prompt and completion to choose', choices);
  const texts = recordTexts(records, checkField(records, column ?? textField(records)));
  if (label === undefined) return texts;
  const labels = labelsOf(records, checkField(records, label));
  return texts.map((text, i) => ({ text, label: labels[i]! }));
}

/** Pictures in the column `image`: paths relative to the file, or the files themselves (Hugging Face data sets). */
function pictures(records: Records, path: string, label: string): Example[] {
  const labels = labelsOf(records, checkField(records, label));
  return records.rows.map((row, i) => {
    const value = row[kPictureColumn];
    const { bytes } = (value instanceof Uint8Array ? { bytes: value } : (value ?? {})) as { bytes?: unknown };
    if (typeof value === 'string' && value !== '')
      return { image: resolve(dirname(path), value), label: String(labels[i]!) };
    if (bytes instanceof Uint8Array) return { image: bytes, label: String(labels[i]!) };
    throw new CortuneError(
      'ERR_DATA',
      `${records.name}: Expected a picture in \`${kPictureColumn}\` of ${records.places[i]}, got ${show(value)}.`,
    );
  });
}

/** The columns of prompts and completions, if that is what the file is read for. */
function pairOf(
  records: Records,
  { column, prompt, completion, label }: ReadExamplesOptions,
): [string, string] | undefined {
  const asked = prompt !== undefined || completion !== undefined;
  if (asked && (column !== undefined || label !== undefined))
    throw expected(
      'prompt',
      'left out where `column` or `label` is given: an example is a text or a prompt with its completion',
      prompt,
    );
  const fits = ['prompt', 'completion'].every((field) => records.fields.includes(field));
  if (!asked && (column !== undefined || label !== undefined || !fits)) return undefined;
  return [checkField(records, prompt ?? 'prompt'), checkField(records, completion ?? 'completion')];
}

/** The choices of each item: at least two texts, the completion among them. @throws ERR_DATA naming file and place. */
function choicesOf(records: Records, choices: string | readonly string[], completions: readonly string[]): string[][] {
  const field = typeof choices === 'string' ? checkField(records, choices) : undefined;
  return records.rows.map((row, i) => {
    const list = field === undefined ? choices : listIn(row[field]);
    const where = `${records.name}: Expected`;
    const place = records.places[i];
    const isText = (value: unknown) => typeof value === 'string' && value.trim() !== '';
    if (!Array.isArray(list) || list.length < 2 || !list.every(isText))
      throw new CortuneError(
        'ERR_DATA',
        `${where} a list of at least two texts in \`${field ?? 'choices'}\` of ${place}, got ${show(field === undefined ? choices : row[field])}.`,
      );
    if (!list.includes(completions[i]!))
      throw new CortuneError(
        'ERR_DATA',
        `${where} the completion of ${place} among its choices ${list.map((choice) => `\`${choice}\``).join(', ')}, got \`${completions[i]}\`.`,
      );
    return list as string[];
  });
}

/** The answers of each item, at least one text. @throws ERR_DATA naming file and place. */
function referencesOf(records: Records, references: string): string[][] {
  const field = checkField(records, references);
  return records.rows.map((row, i) => {
    const found = listIn(row[field]);
    const list = Array.isArray(found) ? found : [found];
    if (list.length > 0 && list.every((value) => typeof value === 'string' && value.trim() !== ''))
      return list as string[];
    throw new CortuneError(
      'ERR_DATA',
      `${records.name}: Expected a text, or a list of texts, in \`${field}\` of ${records.places[i]}, got ${show(row[field])}.`,
    );
  });
}

/** A list, or the JSON of one (cells of tables are texts). */
function listIn(value: unknown): unknown {
  if (typeof value !== 'string' || !value.trim().startsWith('[')) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Numbers where all labels are numbers (in a table: read as such), else texts. */
function labelsOf(records: Records, field: string): (string | number)[] {
  const values = records.rows.map((row, i) => {
    const value = row[field];
    if (typeof value === 'number' || typeof value === 'boolean' || (typeof value === 'string' && value.trim() !== ''))
      return typeof value === 'boolean' ? String(value) : value;
    const got = typeof value === 'string' ? 'an empty one' : show(value);
    throw new CortuneError(
      'ERR_DATA',
      `${records.name}: Expected a label in \`${field}\` of ${records.places[i]}, got ${got}.`,
    );
  });
  const numbers = values.map(Number);
  return numbers.every((number) => Number.isFinite(number)) ? numbers : values.map(String);
}
