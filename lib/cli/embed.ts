/** `cortune embed`: hidden states of every layer for a list of stimuli. */

import { resolve } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { readTexts } from '../data/formats/index.js';
import { embedLanes, embedWords, kContexts, kPools, type Pool } from '../embed/embed.js';
import { expected } from '../errors.js';
import { loadModel, type Model } from '../model/load.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { Tensor } from '../tensor.js';
import { loadAdapter } from '../tune/adapter.js';
import { parseLayers } from './layers.js';
import { kAdapterOption, kModelOption } from './model-options.js';
import { type CommandContext, type CommonOptions, runCommand } from './output.js';
import { checkFile } from './places.js';

interface Options extends CommonOptions {
  model: string;
  stimuli: string;
  column?: string | undefined;
  passageColumn?: string | undefined;
  pool: Pool | 'words';
  layers: string;
  context: (typeof kContexts)[number];
  adapter?: string | undefined;
  seed: number;
  out: string;
}

async function states(
  model: Model,
  texts: string[],
  layers: 'all' | number[],
  options: Options,
  ctx: CommandContext,
): Promise<{ tensor: Tensor; words?: string[] }> {
  const { signal, progress: onProgress } = ctx;
  const lanes = options.adapter === undefined ? undefined : await loadAdapter(model, options.adapter, { signal });
  const common = { layers, lanes, signal, onProgress };
  try {
    if (options.pool === 'words') {
      const { words, lanes: tensors } = await embedWords(model, texts, common);
      return { tensor: tensors[0]!, words };
    }
    const passages = options.passageColumn && (await readTexts(options.stimuli, { column: options.passageColumn }));
    const settings = { ...common, pool: options.pool, context: options.context, ...(passages ? { passages } : {}) };
    const [tensor] = await embedLanes(model, texts, settings);
    return { tensor: tensor! };
  } finally {
    lanes?.dispose();
  }
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const path = resolve(options.out);
  const layers = parseLayers(options.layers);
  if (options.passageColumn !== undefined && options.context !== 'cumulative')
    throw expected('context', 'cumulative with --passage-column: alone, a text has no passage', options.context);
  if (options.pool === 'words' && options.context !== 'none')
    throw expected('context', 'none with --pool words: each word is read within its text', options.context);
  await checkFile(path);
  const texts = await readTexts(options.stimuli, { column: options.column });
  using model = await loadModel(options.model, {
    seed: options.seed,
    signal: ctx.signal,
    onProgress: ctx.progress,
    note: ctx.note,
  });
  ctx.note(model.source);
  const { tensor, words } = await states(model, texts, layers, options, ctx);
  const metadata: Record<string, string> = {
    model: options.model,
    model_hash: model.hash,
    pool: options.pool,
    layers: options.layers,
  };
  if (words) metadata.words = JSON.stringify(words);
  if (options.adapter !== undefined) metadata.adapter = options.adapter;
  try {
    await runJob(
      () => native().writeSafetensors({ path, names: ['hidden_states'], tensors: [tensor.handle], metadata }),
      { signal: ctx.signal },
    );
  } finally {
    tensor.dispose();
  }
  const [count, n, channels] = tensor.shape;
  ctx.result(
    {
      out: path,
      tensor: 'hidden_states',
      shape: [...tensor.shape],
      model: { name: options.model, source: model.source, hash: model.hash },
    },
    `Wrote ${path}: hidden_states [${count} layers, ${n} ${words ? 'words' : 'stimuli'}, ${channels} channels], float32.`,
  );
}

export const command: CommandModule<object, Options> = {
  command: 'embed',
  describe: 'Hidden states of every layer for a list of stimuli',
  builder: (yargs) =>
    yargs
      .option('model', kModelOption)
      .option('stimuli', {
        type: 'string',
        demandOption: true,
        describe: 'Texts: .txt (one a line), .jsonl, or .csv/.tsv with --column',
      })
      .option('column', { type: 'string', describe: 'Column of the texts in a .csv, .tsv or .jsonl file' })
      .option('passage-column', {
        type: 'string',
        describe: 'Column that names the passage of each text, for --context cumulative',
      })
      .option('pool', {
        choices: [...kPools, 'words'] as const,
        default: 'last' as Pool | 'words',
        describe: 'One vector a text from its last, first or the mean of its tokens; or one a word',
      })
      .option('layers', {
        type: 'string',
        default: 'all',
        describe: '`all` (0 is the embedding output), or numbers and ranges: 0,6,10-12',
      })
      .option('context', {
        choices: kContexts,
        default: 'none' as const,
        describe: 'Each text alone, or after all before it in its passage',
      })
      .option('adapter', kAdapterOption)
      .option('seed', { type: 'number', default: 0, describe: 'Of the random weights of an untrained model' })
      .option('out', {
        type: 'string',
        demandOption: true,
        describe: 'File to write: one float32 tensor hidden_states [layers, n, channels]',
      })
      .example(
        '$0 embed --model smollm2-135m --stimuli sentences.txt --out features.safetensors',
        'Last token, every layer',
      )
      .example(
        '$0 embed --model smollm2-135m --stimuli items.csv --column sentence --pool mean --adapter runs/lr-0.0001/adapter --out f.safetensors',
        'With an adapter',
      ),
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
