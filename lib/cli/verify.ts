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
/** Runs without a manifest that are named one by one; more are a store of an older cortune. */
const kFew = 3;

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
      const found = await verifyStore(argv.dir, ctx.job);
      const { ok, runs, files, problems, missing } = found;
      ctx.result(found, () => {
        const size = `${runs} runs, ${files} files, ${bytes(found.bytes)}`;
        const waiting = missing > 0 ? ` ${missing} runs that studies ask for are not there yet.` : '';
        if (ok) return `Whole: ${size}.${waiting}`;
        const old = problems.filter(({ what }) => what.startsWith('there is no manifest.json'));
        const listed = old.length > kFew ? problems.filter((problem) => !old.includes(problem)) : problems;
        const lines = listed.slice(0, kShown).map(({ path, what }) => `${path}: ${what}`);
        const more = listed.length > kShown ? [`... and ${listed.length - kShown} more`] : [];
        if (old.length > kFew)
          more.push(
            `${old.length} of ${runs} runs have no manifest.json (an older cortune wrote none): they ${old.length === problems.length ? 'read whole, but' : 'were read, and'} nothing tells whether they are as they were written.`,
          );
        if (old.length === problems.length && old.length > kFew)
          return [...more, 'Run the study again in a new folder to have checksums.'].join('\n');
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
