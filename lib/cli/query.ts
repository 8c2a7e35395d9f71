/** `cortune query`: SQL over the tables of a results folder. */
import type { CommandModule } from 'yargs';
import { cellText } from '../study/export.js';
import { openStore } from '../study/open.js';
import type { Query, QueryValue } from '../study/query.js';
import { kTables } from '../study/tables.js';
import { type Cell, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions {
  dir: string;
  sql?: string | undefined;
  format: 'table' | 'csv' | 'json';
}

/** Rows of a printed table at most: its columns are as wide as their widest cell, so all are held. */
const kRows = 10_000;

/** Writes lines as they come, no faster than they are read. */
async function writeLines(lines: AsyncIterable<string>): Promise<void> {
  let text = '';
  const flush = async () => {
    if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once('drain', resolve));
    text = '';
  };
  for await (const line of lines) {
    text += line;
    if (text.length > 1 << 16) await flush();
  }
  await flush();
}

async function* csv(query: Query): AsyncGenerator<string> {
  yield `${query.columns.map(cellText).join(',')}\n`;
  for await (const row of query) yield `${row.map(cellText).join(',')}\n`;
}

async function* json(query: Query): AsyncGenerator<string> {
  let before = '[\n';
  for await (const row of query) {
    yield before + JSON.stringify(Object.fromEntries(query.columns.map((name, c) => [name, row[c]])));
    before = ',\n';
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

async function tableText(query: Query): Promise<string> {
  const rows: Cell[][] = [];
  for await (const row of query) {
    if (rows.length === kRows) {
      return `${table(query.columns, rows)}\n... and more. --format csv prints all of them.`;
    }
    rows.push(row.map(cellOf));
  }
  return table(query.columns, rows);
}

/** Small numbers keep their digits: three decimals would make 1e-4 a 0. */
function cellOf(value: QueryValue): Cell {
  if (typeof value === 'number') {
    const plain = Number.isInteger(value) || Math.abs(value) >= 0.01;
    return plain ? value : Number(value.toPrecision(3)).toString();
  }
  if (value === null || typeof value === 'string') return value === null ? null : value.replace(/\s+/g, ' ');
  return typeof value === 'boolean' ? String(value) : JSON.stringify(value);
}

/** Every table with its rows and columns. */
const kOverview = Object.entries(kTables)
  .map(
    ([name, columns]) =>
      `select '${name}' as "table", count(*) as rows, '${Object.keys(columns).join(', ')}' as columns from ${name}`,
  )
  .join(' union all ');

const described = Object.entries(kTables).map(([name, columns]) => `${name}: ${Object.keys(columns).join(', ')}`);

export const command: CommandModule<object, Options> = {
  command: 'query <dir> [sql]',
  describe: 'Ask questions in SQL over all runs of a results folder',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder of `cortune run`' })
      .positional('sql', {
        type: 'string',
        describe: 'A question that DuckDB can answer; without one, the tables there are',
      })
      .option('format', {
        choices: ['table', 'csv', 'json'] as const,
        default: 'table' as const,
        describe: 'Form of the answer; --json is short for json',
      })
      .example(
        '$0 query results/demo "select title, best_layer, best_r from runs order by best_r desc"',
        'The best runs',
      )
      .example(
        '$0 query results/demo "select method, lr, layer, avg(r) as r from scores group by all order by r desc limit 10"',
        'Mean over targets and seeds',
      )
      .example('$0 query results/demo', 'The tables and their columns')
      .example('$0 query results/demo "summarize losses"', 'What a table holds')
      .epilogue(
        `Tables and columns:\n${described.join('\n')}\n\nThe tables are Parquet files in DIR/tables, made of the runs and brought up to date by each query; a query writes nothing else.`,
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const store = await openStore(argv.dir);
      const query = await store.stream(argv.sql ?? kOverview, { signal: ctx.signal });
      try {
        if (argv.json || argv.format === 'json') await writeLines(json(query));
        else if (argv.format === 'csv') await writeLines(csv(query));
        else {
          const text = await tableText(query);
          ctx.result(null, text);
        }
      } finally {
        await query.close();
      }
    }),
};
