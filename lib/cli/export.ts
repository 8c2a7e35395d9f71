/** `cortune export`: every score of a study as a table. */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { expected } from '../errors.js';
import { replaceFile } from '../study/atomic.js';
import { tableCsv, tableJson, tableOf, toCsv, toJson } from '../study/export.js';
import { writeTable } from '../study/parquet.js';
import { type Results, readResults } from '../study/results.js';
import { kRunTables, type RunTable } from '../study/tables.js';
import { type CommonOptions, runCommand } from './output.js';
import { checkFile } from './places.js';

interface Options extends CommonOptions {
  dir: string;
  format: 'csv' | 'json' | 'parquet';
  table: RunTable;
  study?: string | undefined;
  all: boolean;
  out?: string | undefined;
}

export const command: CommandModule<object, Options> = {
  command: 'export <dir>',
  describe: 'Print every score of a study as a table',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder of `cortune run`' })
      .option('format', {
        choices: ['csv', 'json', 'parquet'] as const,
        default: 'csv' as const,
        describe: 'Form of the table; parquet needs --out',
      })
      .option('table', { choices: kRunTables, default: 'scores' as const, describe: 'Which table' })
      .option('study', { type: 'string', describe: 'Only the runs of the study of this name' })
      .option('all', { type: 'boolean', default: false, describe: 'Also runs that no study asks for any more' })
      .option('out', { type: 'string', describe: 'Write to a file instead of stdout' })
      .example('$0 export results/demo > scores.csv', 'One row a run, layer and target')
      .example('$0 export results/demo --table runs --format parquet --out runs.parquet', 'One row a run, for pandas')
      .epilogue(
        'Rows are sorted, numbers have six decimals, and nothing in them depends on when or how often the study\nwas interrupted: two results of the same study are equal byte for byte (compare them with `cmp`).\nColumns: run (content hash), model, method, lr, rank, seed, layer (0 is the static embedding), target,\nsubject, roi, r (mean over folds), r2, alpha, ceiling, r_over_ceiling, r_fold_1 ...',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async () => {
      const { table, format, out } = argv;
      if (format === 'parquet' && out === undefined)
        throw expected('out', 'a file to write: a Parquet file is not for reading on a terminal', out);
      if (out !== undefined) await checkFile(resolve(out));
      const results = await readResults(argv.dir, { study: argv.study, all: argv.all });
      if (format === 'parquet') return await writeTable(resolve(out!), tableOf(results, table));
      const text = textOf(results, table, format === 'json' || argv.json === true);
      if (out === undefined) process.stdout.write(text);
      else await replaceFile(resolve(out), text);
    }),
};

/** The scores as text have a form of their own, which `cmp` can compare. */
function textOf(results: Results, table: RunTable, json: boolean): string {
  if (table === 'scores') return json ? toJson(results) : toCsv(results);
  return json ? tableJson(results, table) : tableCsv(results, table);
}
