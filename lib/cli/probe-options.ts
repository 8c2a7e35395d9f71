/** What the commands that look into models share: the model with its adapter, the items, and where pictures and tables go. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expected } from '../errors.js';
import { loadModel, type Model } from '../model/load.js';
import type { ProbeItem, ProbeOptions } from '../probe/items.js';
import { readItems } from '../probe/read-items.js';
import { ioError } from '../study/atomic.js';
import { loadAdapter } from '../tune/adapter.js';
import { kAdapterOption, kModelOption } from './model-options.js';
import type { CommandContext } from './output.js';

export interface ProbeCommand {
  model: string;
  items: string;
  where?: string[] | undefined;
  limit?: number | undefined;
  adapter?: string | undefined;
  seed: number;
  out?: string | undefined;
}

export const kProbeOptions = {
  model: kModelOption,
  items: {
    type: 'string',
    demandOption: true,
    describe:
      '.jsonl, .csv, .tsv or .parquet with columns prompt, completion and, where there are some, choices; others are variables',
  },
  where: {
    type: 'string',
    array: true,
    describe: 'Take items whose variable has this value: NAME=VALUE, several for all of them',
  },
  limit: { type: 'number', describe: 'Items to take at most, the first ones' },
  adapter: kAdapterOption,
  seed: { type: 'number', default: 0, describe: 'Of the random weights of an untrained model, and of what is drawn' },
  out: { type: 'string', describe: 'Folder to write tables (CSV, JSON) and pictures (SVG) into' },
} as const;

function conditions(where: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    where.map((text) => {
      const [, name, value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
      if (name === undefined || value === undefined) throw expected('where', 'NAME=VALUE', text);
      return [name, value];
    }),
  );
}

/** Reads items, loads model and adapter, calls `look`, and frees them. */
export async function withItems<T>(
  options: ProbeCommand,
  ctx: CommandContext,
  look: (model: Model, items: ProbeItem[], probe: ProbeOptions) => Promise<T>,
): Promise<T> {
  const items = await readItems(options.items, { where: conditions(options.where), limit: options.limit });
  const { signal, progress: onProgress } = ctx;
  using model = await loadModel(options.model, { seed: options.seed, signal, onProgress, note: ctx.note });
  ctx.note(model.source);
  const lanes = options.adapter === undefined ? undefined : await loadAdapter(model, options.adapter, { signal });
  try {
    return await look(model, items, { lanes, signal, onProgress });
  } finally {
    lanes?.dispose();
  }
}

const cell = (value: unknown) => {
  const text = value === undefined || value === null ? '' : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Rows with the same keys as CSV. */
export function csvOf(rows: readonly Record<string, unknown>[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return `${[names, ...rows.map((row) => names.map((name) => row[name]))].map((line) => line.map(cell).join(',')).join('\n')}\n`;
}

/** Writes files into `--out`, where it is given. @returns their paths. @throws ERR_IO. */
export async function writeFiles(out: string | undefined, files: Record<string, string>): Promise<string[]> {
  if (out === undefined) return [];
  const folder = resolve(out);
  try {
    await mkdir(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  } catch (error) {
    throw ioError(error, `write into ${folder}`);
  }
  return Object.keys(files).map((name) => join(folder, name));
}
