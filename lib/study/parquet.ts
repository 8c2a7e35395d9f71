/**
 * The tables of a store as Parquet files, in DIR/tables. They are made of the runs and can be made again at any time: runs are the truth.
 *
 *     tables/index.json          which segment holds which runs
 *     tables/SEGMENT/runs.parquet, scores.parquet, ...
 *
 * A segment holds the rows of some hundred runs and never changes. New and changed runs go into new segments; small ones are put together when
 * there are many; the file of a table is made when it is first asked for. So a query of a large store reads what was written since the last one,
 * and memory stays that of one table of one segment.
 */
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopIfAborted } from '../errors.js';
import { ioError, replaceFile } from './atomic.js';
import { contentId } from './hash.js';
import { kFormat } from './records.js';
import { kRunName, type Store } from './store.js';
import { addRows, kRunTables, kTableNames, kTables, studyRows, TableColumns, type TableName } from './tables.js';

/** Runs of a segment at most. */
const kSegment = 500;
/** As many segments that are not full are left apart. */
const kSmall = 8;
/** ms after which a segment that is in use no more is removed: a query may still be reading it. */
const kPatience = 600_000;

interface Segment {
  name: string;
  /** `[id, time of its record]`: a run that is written again is another. */
  runs: [string, number][];
}
interface Index {
  format: string;
  segments: Segment[];
}

/** Other columns make other segments. */
const kForm = contentId({ format: kFormat, tables: kTables });

/** The Parquet files of a store, up to date. */
export interface TableFiles {
  /** Where they lie. */
  folder: string;
  files: Record<TableName, string[]>;
  /** Removes them where the store could not be written to, so that they are of this process alone. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Brings tables of a store up to date; others have no files. A store that cannot be written to gets tables in a temporary folder. Throws ERR_FORMAT, ERR_IO. */
export async function refreshTables(
  store: Store,
  wanted: readonly TableName[] = kTableNames,
  signal?: AbortSignal,
): Promise<TableFiles> {
  const { folder, temporary } = await placeOf(store.folder);
  const remove = async () => {
    if (temporary) await rm(folder, { recursive: true, force: true });
  };
  try {
    const index = await readIndex(folder);
    const there = new Map((await runTimes(store)).map((run) => [run[0], run]));
    const { kept, fresh } = divide(index, there);
    const made: Segment[] = [];
    for (let at = 0; at < fresh.length; at += kSegment)
      made.push(await makeSegment(folder, fresh.slice(at, at + kSegment)));
    const segments = [...kept, ...made];
    if (made.length > 0 || kept.length !== index.segments.length) {
      await replaceFile(join(folder, 'index.json'), `${JSON.stringify({ format: kForm, segments })}\n`);
      await removeOld(folder, new Set(segments.map(({ name }) => name)));
    }
    // Runs are read in any case, and their own table is small.
    for (const segment of segments) await fillSegment(store, folder, segment, [...wanted, 'runs'], signal);
    const studies = join(folder, 'studies.parquet');
    if (wanted.includes('studies')) await writeTable(studies, studyRows(await store.studies()));
    const filesOf = (table: TableName) =>
      table === 'studies' ? [studies] : segments.map(({ name }) => join(folder, name, `${table}.parquet`));
    const files = Object.fromEntries(
      kTableNames.map((table) => [table, wanted.includes(table) ? filesOf(table) : []]),
    ) as Record<TableName, string[]>;
    return { folder, files, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function placeOf(store: string): Promise<{ folder: string; temporary: boolean }> {
  const folder = join(store, 'tables');
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return { folder, temporary: false };
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw ioError(error, `make ${folder}`);
    return { folder: await mkdtemp(join(tmpdir(), 'cortune-tables-')), temporary: true };
  }
}

async function readIndex(folder: string): Promise<Index> {
  try {
    const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as Index;
    if (index.format !== kForm) throw new Error('written by another version');
    const there = new Set(await readdir(folder));
    return { format: kForm, segments: index.segments.filter(({ name }) => there.has(name)) };
  } catch {
    return { format: kForm, segments: [] };
  }
}

/** Every run, and when its record was written. */
async function runTimes(store: Store): Promise<[string, number][]> {
  const ids = await store.ids();
  const found: [string, number][] = [];
  for (let i = 0; i < ids.length; i += 256) {
    const times = await Promise.all(
      ids.slice(i, i + 256).map(async (id) => {
        const { mtimeMs } = (await stat(store.path(id, 'run.json')).catch(() => undefined)) ?? {};
        return mtimeMs === undefined ? undefined : ([id, mtimeMs] as [string, number]);
      }),
    );
    found.push(...times.filter((run) => run !== undefined));
  }
  return found;
}

/** Segments that stay, and the runs that must be written. */
function divide(
  { segments }: Index,
  there: ReadonlyMap<string, [string, number]>,
): { kept: Segment[]; fresh: [string, number][] } {
  const current = segments.filter(({ runs }) => runs.every(([id, time]) => there.get(id)?.[1] === time));
  const small = current.filter(({ runs }) => runs.length < kSegment / 2);
  const kept = small.length >= kSmall ? current.filter((segment) => !small.includes(segment)) : current;
  const known = new Set(kept.flatMap(({ runs }) => runs.map(([id]) => id)));
  return { kept, fresh: [...there.values()].filter(([id]) => !known.has(id)) };
}

async function makeSegment(folder: string, runs: [string, number][]): Promise<Segment> {
  const name = contentId([kForm, runs]);
  await mkdir(join(folder, name), { recursive: true }).catch((error) => {
    throw ioError(error, `write tables into ${folder}`);
  });
  return { name, runs };
}

/** Writes those of the wanted tables that a segment lacks. Another process that does the same writes the same. */
async function fillSegment(
  store: Store,
  folder: string,
  { name, runs }: Segment,
  wanted: readonly TableName[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const there = new Set(await readdir(join(folder, name)));
  const lacking = kRunTables.filter((table) => wanted.includes(table) && !there.has(`${table}.parquet`));
  if (lacking.length === 0) return;
  const tables = lacking.map((table) => [table, new TableColumns(table)] as const);
  for (const [id] of runs) {
    stopIfAborted(signal);
    const record = await store.run(id);
    if (!record) continue;
    const scores = record.status === 'done' ? await store.scores(id) : undefined;
    const run = { record, scores, losses: await store.losses(id), quality: await store.quality(id) };
    for (const [table, columns] of tables) addRows(table, columns, run);
  }
  for (const [table, columns] of tables) await writeTable(join(folder, name, `${table}.parquet`), columns);
}

/** Writes one table. The writer is loaded when it is needed. */
export async function writeTable(path: string, columns: TableColumns): Promise<void> {
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const buffer = parquetWriteBuffer({ columnData: columns.data });
  await replaceFile(path, new Uint8Array(buffer));
}

async function removeOld(folder: string, used: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    if (used.has(name) || !kRunName.test(name)) continue;
    const path = join(folder, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > kPatience) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}
