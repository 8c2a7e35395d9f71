/** A results folder from Node: its runs, scores and losses one by one, SQL over all of them, checks and clean-up. */
import { CortuneError, expected } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { collectGarbage, type Freed, type GcOptions } from './gc.js';
import { openQuery, type Query, type QueryOptions, type QueryValue } from './query.js';
import type { QualityRow, RunRecord, StudyRecord } from './records.js';
import { type ScoreRow, scoreRows } from './results.js';
import { kRunName, Store } from './store.js';
import { type Verification, verifyStore } from './verify.js';

/** Which runs: those of a study, those that pass a test. */
export interface RunFilter {
  /** Name of a study of the store. */
  study?: string | undefined;
  status?: 'done' | 'failed' | undefined;
  where?: ((run: RunRecord) => boolean) | undefined;
}

/** The answer to a query. */
export interface QueryResult {
  columns: string[];
  /** DuckDB's names of their types. */
  types: string[];
  /** One object a row, by the names of the columns. */
  rows: Record<string, QueryValue>[];
}

/** A store that is read. It holds no resources between calls; many may be open at once, also while a study runs. */
export class ResultStore {
  readonly #store: Store;

  /** @internal Use `openStore`. */
  constructor(store: Store) {
    this.#store = store;
  }

  get folder(): string {
    return this.#store.folder;
  }

  /** The studies that were run here, with their text and the ids of their runs. */
  studies(): Promise<StudyRecord[]> {
    return this.#store.studies();
  }

  /** Records of runs, done and failed, in the order of their ids; read one by one. @throws ERR_NOT_FOUND for an unknown study. */
  async *runs(filter: RunFilter = {}): AsyncGenerator<RunRecord, void, undefined> {
    const { study, status, where } = filter;
    const wanted = study === undefined ? undefined : await this.#runsOf(study);
    for (const id of await this.#store.ids()) {
      if (wanted && !wanted.has(id)) continue;
      const run = await this.#store.run(id);
      if (run && (status === undefined || run.status === status) && (!where || where(run))) yield run;
    }
  }

  /** One run; undefined when it is not there. @throws RangeError (ERR_ARGUMENT) for what cannot be an id. */
  async run(id: string): Promise<RunRecord | undefined> {
    return this.#store.run(checkId(id));
  }

  /** Every score of the runs that are done: a row a run, layer and target. */
  async *scores(filter: RunFilter = {}): AsyncGenerator<ScoreRow, void, undefined> {
    for await (const record of this.runs({ ...filter, status: 'done' }))
      yield* scoreRows({ runs: [{ record, scores: await this.#store.scores(record.id) }] });
  }

  /** Training loss of each update of a run (NaN after a divergence); empty for one that was not tuned. */
  async losses(id: string): Promise<number[]> {
    return this.#store.losses(checkId(id));
  }

  /** How well a run does its tasks on held-out items; empty where none has any. */
  async quality(id: string): Promise<QualityRow[]> {
    return this.#store.quality(checkId(id));
  }

  /**
   * SQL over the tables runs, scores, folds, losses, quality, decode, labels, rsa and studies, all rows at once.
   * @throws RangeError (ERR_ARGUMENT) for SQL that cannot be run, with the tables and columns there are; ERR_CANCELLED.
   */
  async query(sql: string, options: QueryOptions = {}): Promise<QueryResult> {
    const query = await openQuery(this.#store, sql, options);
    const { columns, types } = query;
    const rows: QueryResult['rows'] = [];
    for await (const row of query) rows.push(Object.fromEntries(columns.map((name, c) => [name, row[c]!])));
    return { columns, types, rows };
  }

  /** The same row by row: memory does not grow with their number. */
  stream(sql: string, options: QueryOptions = {}): Promise<Query> {
    return openQuery(this.#store, sql, options);
  }

  /** Checks every file against its checksum. */
  verify(options: JobOptions = {}): Promise<Verification> {
    return verifyStore(this.folder, options);
  }

  /** Frees adapters and embeddings by rule; never scores. */
  gc(options: GcOptions): Promise<Freed[]> {
    return collectGarbage(this.folder, options);
  }

  async #runsOf(name: string): Promise<Set<string>> {
    const studies = await this.#store.studies();
    const found = studies.find((study) => study.name === name);
    if (found) return new Set(found.runs);
    const names = studies.map((study) => `\`${study.name}\``).join(', ') || 'none';
    throw new CortuneError(
      'ERR_NOT_FOUND',
      `Expected the study \`${name}\` in ${this.folder}, and there are: ${names}.`,
    );
  }
}

/** An id names a folder of the store, so it may be nothing else. */
function checkId(id: string): string {
  if (typeof id !== 'string' || !kRunName.test(id))
    throw expected('id', 'the id of a run: 20 hexadecimal digits', id, typeof id === 'string' ? 'range' : 'type');
  return id;
}

/** Opens a results folder of `runStudy`. @throws ERR_NOT_FOUND when there are no results in it, ERR_IO. */
export async function openStore(folder: string): Promise<ResultStore> {
  return new ResultStore(await Store.open(folder));
}
