/** `cortune gc`: frees adapters and embeddings of a results folder by rule. */
import type { CommandModule } from 'yargs';
import { expected } from '../errors.js';
import { collectGarbage, type Freeable, kFreeables } from '../study/gc.js';
import { type CommonOptions, runCommand, table } from './output.js';
import { bytes } from './progress.js';

interface Options extends CommonOptions {
  dir: string;
  what?: Freeable | undefined;
  keep?: 'best' | 'none' | undefined;
  olderThan?: string | undefined;
  dryRun: boolean;
}

const kUnits = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7, w: 6.048e8 } as const;

/** Milliseconds of `30d`, `12h`. */
function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(text.trim()) ?? [];
  if (unit === undefined) throw expected('older-than', 'a time such as `30d`, `12h` or `2w`', text);
  return Number(number) * kUnits[unit as keyof typeof kUnits];
}

export const command: CommandModule<object, Options> = {
  command: 'gc <dir>',
  describe: 'Free adapters or embeddings of a results folder by rule; never scores',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder of `cortune run`' })
      .option('what', { choices: kFreeables, describe: 'What to free [default: both]' })
      .option('keep', {
        choices: ['best', 'none'] as const,
        describe: 'Keep those of the best run of each data set, model and method; or none',
      })
      .option('older-than', { type: 'string', describe: 'Only of runs that are older: 30d, 12h, 2w' })
      .option('dry-run', { type: 'boolean', default: false, describe: 'Say what would be freed; remove nothing' })
      .example('$0 gc results/sweep --keep best --dry-run', 'What would go if only the best adapters stayed')
      .example('$0 gc results/sweep --older-than 30d', 'Adapters and embeddings of runs of more than a month ago')
      .epilogue(
        'Scores, losses, records and the reports made of them stay, and runs count as done. `cortune verify` knows what was freed.\n`cortune run STUDY --force` computes adapters again.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const { keep, dryRun, what } = argv;
      const freed = await collectGarbage(argv.dir, {
        what: what && [what],
        keep,
        olderThan: argv.olderThan === undefined ? undefined : duration(argv.olderThan),
        dryRun,
        signal: ctx.signal,
      });
      const total = freed.reduce((sum, run) => sum + run.bytes, 0);
      ctx.result({ dry_run: dryRun, bytes: total, runs: freed }, () => {
        if (freed.length === 0) return 'Nothing to free.';
        const rows = freed.slice(0, 30).map((run) => [run.title, String(run.files.length), bytes(run.bytes)]);
        const more = freed.length > 30 ? [`... and ${freed.length - 30} more`] : [];
        return [
          table(['run', 'files', 'size'], rows),
          ...more,
          '',
          `${dryRun ? 'Would free' : 'Freed'} ${bytes(total)} of ${freed.length} runs.`,
        ].join('\n');
      });
    }),
};
