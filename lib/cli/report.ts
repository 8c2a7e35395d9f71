/** `cortune report`: report.html for the results of a study. */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { report } from '../report/report.js';
import { type CommonOptions, runCommand } from './output.js';
import { checkFile } from './places.js';

interface Options extends CommonOptions {
  dir: string;
  out?: string | undefined;
  study?: string | undefined;
  all: boolean;
}

export const command: CommandModule<object, Options> = {
  command: 'report <dir>',
  describe: 'Write report.html for the results of a study',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder of `cortune run`' })
      .option('all', { type: 'boolean', default: false, describe: 'Also runs that no study asks for any more' })
      .option('out', { type: 'string', describe: 'File to write; by default report.html in the results folder' })
      .option('study', { type: 'string', describe: 'Only the runs of the study of this name' })
      .example('$0 report results/demo', 'Then open results/demo/report.html in a browser')
      .epilogue(
        'One file with its data, figures and scripts inside: it opens offline, asks for nothing, and can be mailed.\nLayer curves with bands, ceilings and controls; regions x layers; learning rates; losses; every score.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      if (argv.out !== undefined) await checkFile(resolve(argv.out));
      const path = resolve(await report(argv.dir, { out: argv.out, study: argv.study, all: argv.all }));
      ctx.result({ report: path }, path);
    }),
};
