/** `cortune merge`: a model with an adapter's effect in its weights, as a folder that transformers and cortune load. */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { CommandModule } from 'yargs';
import { CortuneError } from '../errors.js';
import { loadModel } from '../model/load.js';
import { loadAdapter } from '../tune/adapter.js';
import { saveModel } from '../tune/save-model.js';
import { type CommandContext, type CommonOptions, runCommand } from './output.js';

interface MergeOptions extends CommonOptions {
  adapter: string;
  model: string;
  out: string;
  force: boolean;
}

export const command: CommandModule<unknown, MergeOptions> = {
  command: 'merge <adapter>',
  describe: 'Write a model with an adapter merged into its weights',
  builder: (yargs) =>
    yargs
      .positional('adapter', { type: 'string', demandOption: true, describe: 'Folder of a PEFT adapter' })
      .option('model', { type: 'string', demandOption: true, describe: 'The model it was trained on' })
      .option('out', { type: 'string', demandOption: true, describe: 'Folder of the merged model' })
      .option('force', { type: 'boolean', default: false, describe: 'Replace the folder if it is there' })
      .example('$0 merge tuned/lr1e-4/adapter --model smollm2-135m --out merged', 'Then: cortune embed --model merged')
      .epilogue(
        'The adapter stays as it is, and so does the model: there is nothing to unmerge. Prompts and prefixes are no weights and cannot be merged.',
      ) as never,
  handler: (argv) => runCommand(argv, (ctx) => run(argv, ctx)),
};

async function run({ adapter, model: name, out, force }: MergeOptions, ctx: CommandContext): Promise<void> {
  if (existsSync(out) && !force)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected \`--out\` to be a new folder, ${out} is there. Use --force to replace it.`,
    );
  const { job } = ctx;
  using model = await loadModel(name, { ...job, note: ctx.note });
  using lanes = await loadAdapter(model, adapter, job);
  const beside = `${out}.tmp-${process.pid}`;
  try {
    await saveModel(model, lanes, 0, beside, job);
    await rm(out, { recursive: true, force: true });
    await rename(beside, out);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
  const { name: method } = lanes.lane(0);
  ctx.result(
    { out, model: model.name, adapter, method },
    `${out}: ${model.name} with the ${method} adapter ${adapter}`,
  );
}
