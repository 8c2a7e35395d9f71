/** SQL over the tables of a store, by DuckDB. It reads the tables and nothing else, and writes nothing. */
import type { DuckDBConnection, DuckDBPreparedStatement, DuckDBValue, Json } from '@duckdb/node-api';
import { CortuneError, expected, show } from '../errors.js';
import { refreshTables, type TableFiles } from './parquet.js';
import type { Store } from './store.js';
import { type ColumnType, kTableNames, kTables, type TableName } from './tables.js';

/** A cell of a result: times and what JSON has no word for are texts. */
export type QueryValue = string | number | boolean | null | QueryValue[] | { [key: string]: QueryValue };
/** A value for `?` or `$name` in the SQL. */
export type QueryParameter = string | number | boolean | bigint | null;

export interface QueryOptions {
  /** For `?` (a list) or `$name` (an object) in the SQL. */
  parameters?: readonly QueryParameter[] | Readonly<Record<string, QueryParameter>> | undefined;
  signal?: AbortSignal | undefined;
}

/** A query whose rows come piece by piece. Iterate over it once, or close it. */
export interface Query extends AsyncIterable<QueryValue[]> {
  /** Names of the columns; one that comes twice is numbered. */
  columns: string[];
  /** DuckDB's names of their types. */
  types: string[];
  close(): Promise<void>;
}

const kSqlTypes: Record<ColumnType, string> = {
  STRING: 'VARCHAR',
  DOUBLE: 'DOUBLE',
  INT32: 'INTEGER',
  TIMESTAMP: 'TIMESTAMP',
  BOOLEAN: 'BOOLEAN',
};

/**
 * Runs one SELECT (or DESCRIBE, SUMMARIZE, EXPLAIN) over the tables of a store, which are brought up to date first. Rows are given as they
 * are computed, so memory does not grow with their number.
 * @throws RangeError (ERR_ARGUMENT) for SQL that DuckDB cannot run or that is no question, with the tables and columns there are;
 * ERR_FORMAT for a damaged run; ERR_IO; ERR_CANCELLED.
 */
export async function openQuery(store: Store, sql: string, options: QueryOptions = {}): Promise<Query> {
  const { signal, parameters } = options;
  if (typeof sql !== 'string' || sql.trim() === '')
    throw expected('sql', 'a question such as `select * from runs`', sql, typeof sql === 'string' ? 'range' : 'type');
  const tables = await refreshTables(store, tablesIn(sql), signal);
  const database = await connect(tables);
  const { connection } = database;
  const interrupt = () => connection.interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  let open = true;
  const close = async () => {
    if (!open) return;
    open = false;
    signal?.removeEventListener('abort', interrupt);
    database.close();
    await tables[Symbol.asyncDispose]();
  };
  const fail = (error: unknown) => (signal?.aborted ? cancelled(error) : error);
  try {
    const statement = await prepare(connection, sql);
    try {
      if (parameters !== undefined) statement.bind(parameters as DuckDBValue[]);
      const result = await statement.stream();
      const types = result.columnTypes().map(String);
      const converters = types.map(converterOf);
      const rows = async function* (): AsyncGenerator<QueryValue[], void, undefined> {
        try {
          for await (const part of result.yieldRowsJson())
            for (const row of part) yield row.map((value, c) => converters[c]!(value));
        } catch (error) {
          throw fail(sqlError(error, sql));
        } finally {
          await close();
        }
      };
      return {
        columns: result.deduplicatedColumnNames(),
        types,
        close,
        [Symbol.asyncIterator]: () => rows(),
      };
    } catch (error) {
      throw sqlError(error, sql);
    }
  } catch (error) {
    await close();
    throw fail(error);
  }
}

/** A database in memory that sees the tables and no other file. DuckDB is loaded here, when it is needed. */
async function connect(tables: TableFiles): Promise<{ connection: DuckDBConnection; close(): void }> {
  const { DuckDBInstance } = await import('@duckdb/node-api').catch((cause) => {
    throw new CortuneError(
      'ERR_SETUP',
      'Expected DuckDB for this system among the installed packages, and it does not load. Run: npm install',
      { cause },
    );
  });
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  for (const table of kTableNames) await connection.run(viewOf(table, tables.files[table]));
  await connection.run(`SET allowed_directories = [${quoted(tables.folder)}]`);
  await connection.run('SET enable_external_access = false');
  await connection.run('SET lock_configuration = true');
  return {
    connection,
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

function viewOf(table: TableName, files: readonly string[]): string {
  if (files.length > 0) return `CREATE VIEW ${table} AS SELECT * FROM read_parquet([${files.map(quoted).join(', ')}])`;
  const columns = Object.entries(kTables[table]).map(([name, type]) => `"${name}" ${kSqlTypes[type]}`);
  return `CREATE TABLE ${table} (${columns.join(', ')})`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The one statement of the text, when it only asks. */
async function prepare(connection: DuckDBConnection, sql: string): Promise<DuckDBPreparedStatement> {
  try {
    const statements = await connection.extractStatements(sql);
    if (statements.count > 1) throw expected('sql', 'one question', `${statements.count} statements`);
    const statement = await statements.prepare(0);
    const { StatementType } = await import('@duckdb/node-api');
    const asks: number[] = [StatementType.SELECT, StatementType.EXPLAIN];
    if (!asks.includes(statement.statementType))
      throw expected('sql', 'a question (select, describe, summarize or explain): a store is only read', sql);
    return statement;
  } catch (error) {
    throw sqlError(error, sql);
  }
}

/** How a column's values, which DuckDB gives as JSON, become JavaScript's: whole numbers that fit, decimals, no NaN. */
function converterOf(type: string): (value: Json) => QueryValue {
  if (/^U?(BIGINT|HUGEINT)$/.test(type))
    return (value) => (Number.isSafeInteger(Number(value)) ? numberOf(value) : value);
  if (/^(DECIMAL|DOUBLE|FLOAT)/.test(type)) return numberOf;
  return (value) => value;
}

function numberOf(value: Json): QueryValue {
  const number = value === null ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
}

function cancelled(cause: unknown): CortuneError {
  return new CortuneError('ERR_CANCELLED', 'Interrupted.', { cause });
}

/** DuckDB's message as one sentence, with what can be asked for. */
function sqlError(error: unknown, sql: string): Error {
  const known = error as { code?: string; message?: string };
  if (known.code?.startsWith('ERR_')) return error as Error;
  const [said = '', ...more] = (known.message ?? String(error))
    .replace(/^(Failed to extract statements: )?(\w+ )*Error: /, '')
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s*\^|^LINE \d+:/.test(line));
  const hint = more.find((line) => /^(Did you mean|Candidate)/.test(line));
  const what = said.replace(/[!.]$/, '');
  const nearest = hint === undefined ? '' : ` (${hint.charAt(0).toLowerCase()}${hint.slice(1).replace(/\?$/, '')})`;
  // A file is no slip of a name: it is told what a query may read, not which columns there are.
  if (/file system operations are disabled|access.*disabled by configuration/i.test(what))
    return refused(`Expected a question about the tables of this store: a query reads no file and writes none`, sql);
  return refused(`Expected SQL that DuckDB understands: ${what}${nearest}. ${whatThereIs(sql)}`, sql);
}

function refused(sentence: string, sql: string): Error {
  const ends = /[.)]$/.test(sentence) ? '' : '.';
  return Object.assign(new RangeError(`${sentence}${ends} The SQL was: ${show(sql)}`), { code: 'ERR_ARGUMENT' });
}

/** Tables that the SQL may be about: those whose names are in it. */
function tablesIn(sql: string): TableName[] {
  return kTableNames.filter((table) => new RegExp(`\\b${table}\\b`, 'i').test(sql));
}

/** Columns of the tables that the SQL names; of all when it names none of them. */
function whatThereIs(sql: string): string {
  const named = tablesIn(sql);
  const columns = (table: TableName) => `${table} (${Object.keys(kTables[table]).join(', ')})`;
  return named.length > 0
    ? `The columns: ${named.map(columns).join('; ')}.`
    : `The tables: ${kTableNames.map(columns).join('; ')}.`;
}
