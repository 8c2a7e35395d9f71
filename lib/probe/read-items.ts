/** Items to look into a model with, from files: prompt, completion, choices; every other column is a variable. */
import { readRecords } from '../data/formats/records.js';
import { CortuneError, expected, show } from '../errors.js';
import type { ProbeItem } from './items.js';

export interface ReadItemsOptions {
  /** Take the items whose variables have these values. */
  where?: Readonly<Record<string, string>> | undefined;
  /** Items to take at most, the first ones; default all. */
  limit?: number | undefined;
}

/** Columns that are no variables. */
const kOwn = ['prompt', 'completion', 'choices', 'variables'];

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

function choicesIn(value: unknown, where: string): string[] | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  let list = value;
  if (typeof value === 'string')
    try {
      list = JSON.parse(value);
    } catch {}
  if (Array.isArray(list) && list.length >= 2 && list.every(isText)) return list;
  throw new CortuneError(
    'ERR_DATA',
    `${where}: Expected \`choices\` to be a list of at least two texts, got ${show(value)}.`,
  );
}

/** Numbers where a cell reads as one. */
function variableOf(value: unknown): string | number | undefined {
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  return Number.isFinite(Number(value)) ? Number(value) : value;
}

/** What a record says beside prompt, completion and choices. */
export function variablesOf(row: Readonly<Record<string, unknown>>): Record<string, string | number> {
  const own = Object.entries(row).filter(([key]) => !kOwn.includes(key));
  const nested = typeof row.variables === 'object' && row.variables !== null ? Object.entries(row.variables) : [];
  return Object.fromEntries(
    [...own, ...nested].flatMap(([key, value]) => {
      const read = variableOf(value);
      return read === undefined ? [] : [[key, read] as const];
    }),
  );
}

/**
 * Reads items from .jsonl, .csv, .tsv or .parquet with columns `prompt` and `completion`, and `choices` (a list) where there are some. In .jsonl the
 * variables may also lie in an object `variables`.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT; ERR_DATA naming the file and the item that lacks something, or a condition nothing meets.
 */
export async function readItems(path: string, options: ReadItemsOptions = {}): Promise<ProbeItem[]> {
  const { where = {}, limit = Number.POSITIVE_INFINITY } = options;
  if (!(limit >= 1)) throw expected('limit', 'an integer from 1', limit);
  const { rows, places, name } = await readRecords(path);
  const items = rows.map((row, i): ProbeItem => {
    const place = `${name}, ${places[i]}`;
    for (const field of ['prompt', 'completion'] as const)
      if (!isText(row[field]))
        throw new CortuneError('ERR_DATA', `${place}: Expected a text in \`${field}\`, got ${show(row[field])}.`);
    const choices = choicesIn(row.choices, place);
    return {
      prompt: row.prompt as string,
      completion: row.completion as string,
      ...(choices && { choices }),
      variables: variablesOf(row),
    };
  });
  const kept = items.filter(({ variables }) =>
    Object.entries(where).every(([key, value]) => String(variables?.[key]) === value),
  );
  if (kept.length === 0)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected items where ${Object.entries(where)
        .map(([key, value]) => `${key} is ${value}`)
        .join(' and ')}, got none of ${items.length}.`,
    );
  return kept.slice(0, limit);
}
