/** `cortune setup`: installs libtorch and compiles the addon where either is missing. */
import type { CommandModule } from 'yargs';
import { setUp } from '../native/setup.js';
import { type CommonOptions, runCommand } from './output.js';

interface SetupCommand extends CommonOptions {
  build: boolean;
}

export const command: CommandModule<unknown, SetupCommand> = {
  command: 'setup',
  describe: 'Install libtorch and compile the addon; safe to repeat',
  builder: (yargs) =>
    yargs
      .option('build', {
        type: 'boolean',
        default: false,
        describe: 'Compile the addon even where a prebuilt one fits',
      })
      .example('$0 setup', 'Find or install libtorch, compile the addon if needed')
      .example('CORTUNE_LIBTORCH=/opt/libtorch $0 setup', 'Use this libtorch and no other')
      .epilogue(
        'libtorch is looked for in CORTUNE_LIBTORCH, in the torch package of the Python on PATH (or of the active environment), ' +
          'then in the user cache (CORTUNE_CACHE, else ~/.cache/cortune). When none fits, the CPU wheel is downloaded with pip ' +
          '(about 190 MB) and unpacked there; CORTUNE_TORCH_INDEX names another package index.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const { libtorch, addon, built } = await setUp({
        build: argv.build,
        note: ctx.note,
        onProgress: ctx.progress,
        signal: ctx.signal,
      });
      ctx.result({ libtorch, addon, built }, () =>
        [
          `libtorch  ${libtorch.version} in ${libtorch.dir}`,
          `addon     ${addon.path} (${addon.kind}${built ? ', compiled now' : ''})`,
          'Ready. Next: cortune doctor',
        ].join('\n'),
      );
    }),
};
