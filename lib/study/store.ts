/**
 * The store: a folder that holds one folder a run, named by its content hash.
 *
 *     DIR/runs/ID/       run.json, scores.json, quality.json, probe.json, losses.jsonl, adapter/, manifest.json   a complete run; see manifest.ts
 *     DIR/studies/NAME.json   the study file as it was read, and the runs it asks for
 *     DIR/claims/ID      a run that a live process is computing
 *
 * A lane batch is committed as one: its runs are written into `.writing-OWNER/`, flushed, and the folder renamed to
 * `.ready-OWNER/`. That rename is the moment at which the batch exists. Its runs are then moved to `runs/` one by one; when the
 * process dies in between, whoever opens the store next goes on with the moves. What a dead process was still writing is removed.
 */
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CortuneError } from '../errors.js';
import { flushFolder, flushTree, ioError, isDead, ownedName, ownerOf, replaceFile, writeFlushed } from './atomic.js';
import { kExpiry } from './claims.js';
import { contentId } from './hash.js';
import { writeManifest } from './manifest.js';
import type { Probed } from './probe.js';
import type { QualityRow, RunRecord, Scores, StudyRecord } from './records.js';
import { decodeQuality, decodeScores, encodeQuality, encodeScores } from './records.js';

/** Records that are read before others get their turn. */
const kAtOnce = 512;

/** How the folders of runs are called. */
export const kRunName = /^[0-9a-f]{20}$/;

/** A run to be written: its record, and what belongs beside it. */
export interface NewRun {
  record: RunRecord;
  scores?: Scores | undefined;
  /** One loss a step; NaN after a divergence. */
  losses?: readonly number[] | undefined;
  /** How well it does its tasks, where they have held-out items. */
  quality?: readonly QualityRow[] | undefined;
  /** What was looked into, where the study asks for it. */
  probe?: Probed | undefined;
  /** Writes the adapter into a new folder `adapter/` at this path. */
  saveAdapter?: ((folder: string) => Promise<void>) | undefined;
  /** Writes the features into a new folder at this path. */
  saveFeatures?: ((folder: string) => Promise<void>) | undefined;
}

export class Store {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * Opens a store, finishing or removing what dead processes left. `create` makes the folder when it is not there.
   * Throws ERR_NOT_FOUND without `create`, ERR_CONFIG for a folder that holds other things, ERR_IO.
   */
  static async open(folder: string, options: { create?: boolean } = {}): Promise<Store> {
    const store = new Store(folder);
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw ioError(error, `open the results folder ${folder}`);
    });
    const known = names?.some((name) => name === 'runs');
    if (!known && !options.create)
      throw new CortuneError(
        'ERR_NOT_FOUND',
        `Expected results in ${folder}, and there are none. \`cortune run STUDY --out ${folder}\` makes them.`,
      );
    if (!known && names?.some((name) => !name.startsWith('.')))
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected ${folder} to be empty or a results folder, and it holds other files (${names[0]}). Choose another with --out.`,
      );
    try {
      for (const part of ['runs', 'studies', 'claims']) await mkdir(join(folder, part), { recursive: true });
    } catch (error) {
      if (!known) throw ioError(error, `make the results folder ${folder}`);
    }
    await store.#recover();
    return store;
  }

  /**
   * The records of runs, done or failed, without their scores: of these ids, or of all, sorted by id. Read synchronously, some at a time: for
   * thousands of small files that takes about a third of the time.
   */
  async runs(ids?: readonly string[]): Promise<RunRecord[]> {
    const records: RunRecord[] = [];
    for (const [i, id] of (ids ?? (await this.ids())).entries()) {
      if (i % kAtOnce === kAtOnce - 1) await nextTurn();
      const path = this.path(id, 'run.json');
      const content = unlessGone(path, () => readFileSync(path, 'utf8'));
      if (content !== undefined) records.push(parseRecord<RunRecord>(content, path));
    }
    return records;
  }

  /** Ids of all runs that are there, sorted. */
  async ids(): Promise<string[]> {
    return (await readdir(join(this.folder, 'runs'))).filter((name) => kRunName.test(name)).sort();
  }

  /** One run's record; undefined when it is not there. Throws ERR_FORMAT for a record that is not ours. */
  async run(id: string): Promise<RunRecord | undefined> {
    return (await this.runs([id]))[0];
  }

  /** The scores of a run that is done; read synchronously, as records are. */
  async scores(id: string): Promise<Scores> {
    const path = this.path(id, 'scores.json');
    try {
      return decodeScores(readFileSync(path, 'utf8'));
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  /** Loss of each step (NaN where it was not finite); empty for a run that was not tuned. */
  async losses(id: string): Promise<number[]> {
    const path = this.path(id, 'losses.jsonl');
    const content = unlessGone(path, () => readFileSync(path, 'utf8')) ?? '';
    const lines = content.split('\n').filter((line) => line !== '');
    try {
      return lines.map((line) => (JSON.parse(line) as { loss: number | null }).loss ?? Number.NaN);
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  /** How well a run does its tasks; empty where none has held-out items. */
  async quality(id: string): Promise<QualityRow[]> {
    const path = this.path(id, 'quality.json');
    const content = await readFile(path, 'utf8').catch(() => undefined);
    try {
      return content === undefined ? [] : decodeQuality(content);
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  /** What was looked into; undefined where the study did not ask for it. */
  async probe(id: string): Promise<Probed | undefined> {
    const path = this.path(id, 'probe.json');
    const content = await readFile(path, 'utf8').catch(() => undefined);
    try {
      return content === undefined ? undefined : (JSON.parse(content) as Probed);
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  path(id: string, ...rest: string[]): string {
    return join(this.folder, 'runs', id, ...rest);
  }

  /**
   * Writes the runs of one lane batch, all or none. A run that is already there is kept, unless it had failed or `replace` is set.
   * Throws ERR_IO when the disk is full; nothing of the batch is there then.
   */
  async commit(runs: readonly NewRun[], options: { replace?: boolean } = {}): Promise<void> {
    const writing = join(this.folder, ownedName('writing'));
    const ready = join(this.folder, ownedName(options.replace ? 'replace' : 'ready'));
    try {
      await mkdir(writing);
      for (const run of runs) await writeRun(join(writing, run.record.id), run);
      await flushTree(writing);
      await rename(writing, ready);
      await flushFolder(this.folder);
    } catch (error) {
      await rm(writing, { recursive: true, force: true }).catch(() => {});
      throw ioError(error, `write results into ${this.folder}`);
    }
    await this.#publish(ready, options.replace ?? false);
  }

  /** Remembers a study: its text and which runs it asks for. */
  async saveStudy(study: StudyRecord): Promise<void> {
    await replaceFile(
      join(this.folder, 'studies', `${fileName(study.name)}.json`),
      `${JSON.stringify(study, null, 1)}\n`,
    );
  }

  /** The studies that were run in this store, by name. */
  async studies(): Promise<StudyRecord[]> {
    const folder = join(this.folder, 'studies');
    const names = (await readdir(folder).catch(() => [])).filter((name) => /^[^.].*\.json$/.test(name)).sort();
    return Promise.all(
      names.map(async (name) =>
        parseRecord<StudyRecord>(await readFile(join(folder, name), 'utf8'), join(folder, name)),
      ),
    );
  }

  /** Moves a committed batch's runs to their places. Every step may be repeated, by any process. */
  async #publish(ready: string, replace: boolean): Promise<void> {
    for (const id of await readdir(ready).catch(() => [])) {
      if (await this.#place(join(ready, id), id, replace)) continue;
      await rm(join(ready, id), { recursive: true, force: true });
    }
    await flushFolder(join(this.folder, 'runs'));
    await rmdir(ready).catch(() => {});
  }

  /** True when the run is at its place now (or another process has moved it); false when an older one stays. */
  async #place(from: string, id: string, replace: boolean): Promise<boolean> {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await rename(from, this.path(id));
        return true;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'ENOENT') return true;
        if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw ioError(error, `move a run into ${this.folder}/runs`);
      }
      if (!replace && (await this.run(id))?.status === 'done') return false;
      const old = join(this.folder, ownedName('old'));
      await rename(this.path(id), old).catch(() => {});
      await rm(old, { recursive: true, force: true });
    }
    return false;
  }

  async #recover(): Promise<void> {
    const places = [this.folder, join(this.folder, 'claims'), join(this.folder, 'studies')];
    for (const place of places) {
      for (const name of await readdir(place).catch(() => [])) {
        const kind = /^\.(writing|ready|replace|old|expired|tmp)-/.exec(name)?.[1];
        const owner = kind && ownerOf(name, kind);
        if (!kind || !owner) continue;
        const path = join(place, name);
        const silent = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
        const committed = kind === 'ready' || kind === 'replace';
        if (!isDead(owner, silent, committed ? kExpiry : undefined)) continue;
        // A reader of a store it may not write to leaves things as they are.
        if (committed) await this.#publish(path, kind === 'replace').catch(() => {});
        else await rm(path, { recursive: true, force: true }).catch(() => {});
      }
    }
  }
}

/** A study's name as that of a file; names that differ only in what a file's may not hold do not meet. */
function fileName(name: string): string {
  const safe = name
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+/, '_')
    .slice(0, 80);
  return safe === name ? safe : `${safe}-${contentId(name).slice(0, 8)}`;
}

async function writeRun(folder: string, run: NewRun): Promise<void> {
  await mkdir(folder);
  await writeFlushed(join(folder, 'run.json'), `${JSON.stringify(run.record, null, 1)}\n`);
  if (run.scores) await writeFlushed(join(folder, 'scores.json'), encodeScores(run.scores));
  if (run.quality?.length) await writeFlushed(join(folder, 'quality.json'), encodeQuality(run.quality));
  if (run.probe) await writeFlushed(join(folder, 'probe.json'), `${JSON.stringify(run.probe)}\n`);
  if (run.losses) await writeFlushed(join(folder, 'losses.jsonl'), lossLines(run.losses));
  await run.saveAdapter?.(join(folder, 'adapter'));
  await run.saveFeatures?.(join(folder, 'embeddings'));
  await writeManifest(folder);
}

function lossLines(losses: readonly number[]): string {
  return losses
    .map((loss, step) => `${JSON.stringify({ step, loss: Number.isFinite(loss) ? loss : null })}\n`)
    .join('');
}

function unlessGone<T>(path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw ioError(error, `read ${path}`);
  }
}

function parseRecord<T extends { format: number }>(content: string, path: string): T {
  try {
    return JSON.parse(content) as T;
  } catch (cause) {
    throw damaged(path, cause);
  }
}

function damaged(path: string, cause: unknown): CortuneError {
  return new CortuneError(
    'ERR_FORMAT',
    `Expected ${path} to be whole, and it is not. Remove the run's folder and run the study again.`,
    { cause },
  );
}
