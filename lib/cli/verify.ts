/** `cortune verify`: is every file of a results folder as it was written? */
import type { CommandModule } from 'yargs';
import { verifyStore } from '../study/verify.js';
import { type CommonOptions, FailedResult, runCommand } from './output.js';
import { bytes } from './progress.js';

interface Options extends CommonOptions {
  dir: string;
}

/** Problems that are printed one by one; --json has all. */
const kShown = 50;

export const command: CommandModule<object, Options> = {
  command: 'verify <dir>',
  describe: 'Check every file of a results folder against its checksum',
  builder: (yargs) =>
    yargs
      .positional('dir', { type: 'string', demandOption: true, describe: 'Results folder of `cortune run`' })
      .example('$0 verify results/demo', 'Exit code 1 and a line for each broken file, when there are any')
      .epilogue(
        'Each run has a manifest.json with the size and SHA-256 of its files, and its folder is named by the hash of what it was\ncomputed from. To mend a run, remove its folder and run its study again: the others are used as they are.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const found = await verifyStore(argv.dir, { signal: ctx.signal, onProgress: ctx.progress });
      const { ok, runs, files, problems, missing } = found;
      ctx.result(found, () => {
        const size = `${runs} runs, ${files} files, ${bytes(found.bytes)}`;
        const waiting = missing > 0 ? ` ${missing} runs that studies ask for are not there yet.` : '';
        if (ok) return `Whole: ${size}.${waiting}`;
        const lines = problems.slice(0, kShown).map(({ path, what }) => `${path}: ${what}`);
        const more = problems.length > kShown ? [`... and ${problems.length - kShown} more`] : [];
        const broken = new Set(problems.map(({ run }) => run).filter(Boolean)).size;
        return [
          ...lines,
          ...more,
          '',
          `Broken: ${problems.length} problems in ${broken} of ${size}. Remove these runs' folders and run the study again.`,
        ].join('\n');
      });
      if (!ok) throw new FailedResult();
    }),
};
