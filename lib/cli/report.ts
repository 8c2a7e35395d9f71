/** `cortune report`: report.html for the results of a study. */
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { kFormats, report } from '../report/report.js';
import { type CommonOptions, runCommand } from './output.js';
import { checkFile } from './places.js';

interface Options extends CommonOptions {
  dir: string;
  format: 'html' | 'md';
  out?: string | undefined;
  study?: string | undefined;
  all: boolean;
}

export const command: CommandModule<object, Options> = {
  command: 'report <dir>',
  describe: 'Write a report, HTML or Markdown, for the results of a study',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder of `cortune run`' })
      .option('all', { type: 'boolean', default: false, describe: 'Also runs that no study asks for any more' })
      .option('format', {
        choices: kFormats,
        default: 'html' as const,
        describe: 'A page to look at, or Markdown for papers and pull requests',
      })
      .option('out', {
        type: 'string',
        describe: 'File to write; by default report.html (or .md) in the results folder',
      })
      .option('study', { type: 'string', describe: 'Only the runs of the study of this name' })
      .example('$0 report results/demo', 'Then open results/demo/report.html in a browser')
      .example('$0 report results/demo --format md', 'Writes results/demo/report.md')
      .epilogue(
        'One file with its data, figures and scripts inside: it opens offline, asks for nothing, and can be mailed.\nLayer curves with bands, ceilings and controls; tuned minus untuned; regions, subjects, learning rates, sizes, losses; every score.\nFigures save as SVG, PNG and CSV. See docs/report.md.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      if (argv.out !== undefined) await checkFile(resolve(argv.out));
      const path = resolve(
        await report(argv.dir, { out: argv.out, format: argv.format, study: argv.study, all: argv.all }),
      );
      ctx.result({ report: path }, path);
    }),
};
