/** `cortune export`: every score of a study as a table. */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { replaceFile } from '../study/atomic.js';
import { toCsv, toJson } from '../study/export.js';
import { readResults } from '../study/results.js';
import { type CommonOptions, runCommand } from './output.js';
import { checkFile } from './places.js';

interface Options extends CommonOptions {
  dir: string;
  format: 'csv' | 'json';
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
      .option('format', { choices: ['csv', 'json'] as const, default: 'csv' as const, describe: 'Form of the table' })
      .option('study', { type: 'string', describe: 'Only the runs of the study of this name' })
      .option('all', { type: 'boolean', default: false, describe: 'Also runs that no study asks for any more' })
      .option('out', { type: 'string', describe: 'Write to a file instead of stdout' })
      .example('$0 export results/demo > scores.csv', 'One row a run, layer and target')
      .epilogue(
        'Rows are sorted, numbers have six decimals, and nothing in them depends on when or how often the study\nwas interrupted: two results of the same study are equal byte for byte (compare them with `cmp`).\nColumns: run (content hash), model, method, lr, rank, seed, layer (0 is the static embedding), target,\nsubject, roi, r (mean over folds), r2, alpha, ceiling, r_over_ceiling, r_fold_1 ...',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async () => {
      if (argv.out !== undefined) await checkFile(resolve(argv.out));
      const results = await readResults(argv.dir, { study: argv.study, all: argv.all });
      const text = argv.format === 'json' || argv.json ? toJson(results) : toCsv(results);
      if (argv.out === undefined) process.stdout.write(text);
      else await replaceFile(resolve(argv.out), text);
    }),
};
