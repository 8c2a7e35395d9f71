/** Frees what takes room and can be computed again (adapters, embeddings), by rule; never scores, records or losses. */
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expected, stopIfAborted } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { ioError } from './atomic.js';
import { type ManifestFile, readManifest, replaceManifest } from './manifest.js';
import { runTitle } from './plan.js';
import type { RunRecord } from './records.js';
import { readResults, summarize } from './results.js';
import { Store } from './store.js';

/** What can be freed, and where it lies in a run's folder. */
const kFreeable = { adapters: 'adapter/', embeddings: 'embeddings/' } as const;
export type Freeable = keyof typeof kFreeable;
export const kFreeables = Object.keys(kFreeable) as Freeable[];

export interface GcOptions extends JobOptions {
  /** What to free; default both. */
  what?: readonly Freeable[] | undefined;
  /** `best`: keep those of the best run (largest mean r at its best layer) of each data set, model and method; `none`: keep none. */
  keep?: 'best' | 'none' | undefined;
  /** Only of runs that were complete so many milliseconds ago. */
  olderThan?: number | undefined;
  /** Say what would be freed and change nothing. Default false. */
  dryRun?: boolean | undefined;
}

export interface Freed {
  run: string;
  title: string;
  bytes: number;
  files: string[];
}

/**
 * Frees files of runs by rule. The manifest is rewritten first, so a run is whole at every moment and `cortune verify` knows what is gone.
 * @returns what was freed (with `dryRun`, would be), largest first.
 * @throws RangeError (ERR_ARGUMENT) without a rule; ERR_NOT_FOUND, ERR_IO.
 */
export async function collectGarbage(folder: string, options: GcOptions): Promise<Freed[]> {
  const { what = kFreeables, keep, olderThan, dryRun = false } = options;
  if (keep === undefined && olderThan === undefined)
    throw expected('keep', '`best` or `none`, or else --older-than given: a rule for what may go', keep);
  const store = await Store.open(folder);
  const kept = keep === 'best' ? await bestRuns(folder) : new Set<string>();
  const before = olderThan === undefined ? Number.POSITIVE_INFINITY : Date.now() - olderThan;
  const freed: Freed[] = [];
  for (const record of await store.runs()) {
    stopIfAborted(options.signal);
    if (kept.has(record.id) || Date.parse(record.created) > before) continue;
    const files = await freeRun(store.path(record.id), what, dryRun);
    if (files.length === 0) continue;
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    freed.push({ run: record.id, title: runTitle(record.labels), bytes, files: files.map(({ path }) => path) });
  }
  return freed.sort((a, b) => b.bytes - a.bytes);
}

async function freeRun(folder: string, what: readonly Freeable[], dryRun: boolean): Promise<ManifestFile[]> {
  const manifest = await readManifest(folder).catch(() => undefined);
  // A damaged run is left as it is: `cortune verify` tells of it.
  if (!manifest) return [];
  const goes = ({ path }: ManifestFile) => what.some((name) => path.startsWith(kFreeable[name]));
  const gone = manifest.files.filter(goes);
  // What a killed process had marked as freed and not removed yet goes as well.
  const again = manifest.freed.filter(goes);
  if (dryRun) return gone;
  try {
    if (gone.length > 0)
      await replaceManifest(folder, {
        ...manifest,
        files: manifest.files.filter((file) => !goes(file)),
        freed: [...manifest.freed, ...gone],
      });
    for (const { path } of [...gone, ...again]) await rm(join(folder, path), { force: true });
    for (const path of new Set([...gone, ...again].map((file) => dirname(file.path))))
      if (path !== '.') await rmdir(join(folder, path)).catch(() => {});
  } catch (error) {
    throw ioError(error, `free files in ${folder}`);
  }
  return gone;
}

async function bestRuns(folder: string): Promise<Set<string>> {
  const results = await readResults(folder, { all: true });
  const best = new Map<string, { run: string; r: number }>();
  for (const [i, { run, bestR }] of summarize(results).rows.entries()) {
    const group = groupOf(results.runs[i]!.record);
    if (bestR > (best.get(group)?.r ?? Number.NEGATIVE_INFINITY)) best.set(group, { run, r: bestR });
  }
  return new Set([...best.values()].map(({ run }) => run));
}

function groupOf({ data, labels }: RunRecord): string {
  return JSON.stringify([data.hash, labels.model, labels.method]);
}
