/** Is a store as it was written? Every run against its manifest, its own name, and the studies that ask for it. */
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CortuneError, stopIfAborted } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { contentId } from './hash.js';
import { filesBelow, hashFile, kManifest, type Manifest, readManifest } from './manifest.js';
import { decodeScores, type RunRecord } from './records.js';
import { kSpaces, readSpaces } from './spaces.js';
import { kRunName, Store } from './store.js';

/** Something in a store that is not as it was written. */
export interface Problem {
  /** The run's id; '' for what is no run. */
  run: string;
  /** Path in the results folder. */
  path: string;
  what: string;
}

export interface Verification {
  ok: boolean;
  runs: number;
  files: number;
  bytes: number;
  problems: Problem[];
  /** Runs that studies ask for and that are not there yet: no damage. */
  missing: number;
}

/**
 * Checks every file of every run against its checksum, every run's id against what it was computed from, and every study.
 * Reads all of the store once; memory stays small. Throws ERR_NOT_FOUND without a store, ERR_CANCELLED.
 */
export async function verifyStore(folder: string, options: JobOptions = {}): Promise<Verification> {
  const store = await Store.open(folder);
  const result: Verification = { ok: true, runs: 0, files: 0, bytes: 0, problems: [], missing: 0 };
  const names = (await readdir(join(folder, 'runs'))).filter((name) => !name.startsWith('.')).sort();
  for (const [i, name] of names.entries()) {
    stopIfAborted(options.signal);
    options.onProgress?.({ stage: 'verify', done: i, total: names.length });
    const say = (path: string, what: string) =>
      result.problems.push({ run: kRunName.test(name) ? name : '', path: join('runs', name, path), what });
    if (!kRunName.test(name)) {
      say('', 'this is no run: nothing of cortune has such a name');
      continue;
    }
    result.runs++;
    await verifyRun(store.path(name), name, result, say, options.signal);
  }
  await verifyStudies(folder, new Set(names), result);
  await verifySpaces(folder, result);
  result.ok = result.problems.length === 0;
  return result;
}

async function verifyRun(
  folder: string,
  id: string,
  result: Verification,
  say: (path: string, what: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  let manifest: Manifest;
  let there: { path: string; plain: boolean }[];
  try {
    manifest = await readManifest(folder);
    there = await filesBelow(folder);
  } catch (error) {
    say(kManifest, (error as Error).message);
    if ((error as { code?: string }).code === 'ERR_NOT_FOUND') await readable(folder, id, say);
    return;
  }
  const known = new Map(manifest.files.map((file) => [file.path, file]));
  const freed = new Set(manifest.freed.map(({ path }) => path));
  for (const { path, plain } of there) {
    const listed = known.get(path);
    known.delete(path);
    if (path === kManifest || freed.has(path)) continue;
    if (!plain) say(path, 'a link or device stands here, and runs hold plain files only');
    else if (!listed) say(path, 'the manifest does not know this file');
    else {
      const problem = await differs(join(folder, path), listed, result, signal);
      if (problem) say(path, problem);
      else if (path === 'run.json' || path === 'scores.json') {
        const wrong = await inconsistent(join(folder, path), path, id);
        if (wrong) say(path, wrong);
      }
    }
  }
  for (const path of known.keys()) say(path, 'it is not there');
}

/** Of a run without a manifest (an older cortune kept none) it can still be told whether it reads, and is the run of its name. */
async function readable(folder: string, id: string, say: (path: string, what: string) => void): Promise<void> {
  const there = await readdir(folder).catch((): string[] => []);
  for (const name of ['run.json', 'scores.json'].filter((each) => there.includes(each))) {
    const wrong = await inconsistent(join(folder, name), name, id);
    if (wrong) say(name, wrong);
  }
}

async function differs(
  path: string,
  { bytes, sha256 }: { bytes: number; sha256: string },
  result: Verification,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const size = (await lstat(path)).size;
  result.files++;
  result.bytes += size;
  if (size !== bytes) return `it has ${size} bytes instead of ${bytes}`;
  const found = await hashFile(path, signal);
  return found.sha256 === sha256 ? undefined : 'its content is not what was written (the checksum differs)';
}

/** Checksums fit, but is it the run of this name? */
async function inconsistent(path: string, name: string, id: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    if (name === 'scores.json') {
      decodeScores(text);
      return undefined;
    }
    const record = JSON.parse(text) as RunRecord;
    return record.id === id && contentId(record.key) === id
      ? undefined
      : 'the run was computed from something else than its name says';
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
}

async function verifyStudies(folder: string, runs: ReadonlySet<string>, result: Verification): Promise<void> {
  const studies = await readdir(join(folder, 'studies')).catch(() => []);
  for (const name of studies.filter((each) => each.endsWith('.json') && !each.startsWith('.')).sort()) {
    try {
      const study = JSON.parse(await readFile(join(folder, 'studies', name), 'utf8')) as { runs: string[] };
      result.missing += study.runs.filter((id) => !runs.has(id)).length;
    } catch {
      result.problems.push({ run: '', path: join('studies', name), what: 'it is not whole JSON; run the study again' });
    }
  }
}

/** What is written again by the next run. */
const kNotWhole = 'it is not as it was written; remove it and run the study again';

async function verifySpaces(folder: string, result: Verification): Promise<void> {
  const files = await readdir(join(folder, kSpaces)).catch(() => []);
  for (const name of files.filter((each) => !each.startsWith('.')).sort()) {
    const path = join(kSpaces, name);
    try {
      if (!/^[0-9a-f]{64}\.json$/.test(name)) throw new Error('nothing of cortune has such a name');
      await readSpaces(folder, name.slice(0, -5));
    } catch (error) {
      const what = (error as Error).message;
      result.problems.push({ run: '', path, what: error instanceof CortuneError ? kNotWhole : what });
    }
  }
}
