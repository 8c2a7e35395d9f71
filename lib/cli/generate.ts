/** `cortune generate`: what a model, or an adapter on it, writes after prompts. */

import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { readTexts } from '../data/formats/index.js';
import { expected } from '../errors.js';
import { type GeneratedText, type GenerateOptions, generate } from '../generate/generate.js';
import { loadModel } from '../model/load.js';
import { precisionOf } from '../precision.js';
import { loadAdapter } from '../tune/adapter.js';
import { kAdapterOption, kModelOption } from './model-options.js';
import { type CommandContext, type CommonOptions, runCommand } from './output.js';
import { checkFile } from './places.js';

interface Options extends CommonOptions {
  model: string;
  prompt?: string[] | undefined;
  file?: string | undefined;
  column?: string | undefined;
  adapter?: string | undefined;
  maxNewTokens: number;
  stop?: string[] | undefined;
  beams?: number | undefined;
  lengthPenalty?: number | undefined;
  earlyStopping?: 'true' | 'false' | 'never' | undefined;
  topP?: number | undefined;
  topK?: number | undefined;
  temperature?: number | undefined;
  seed: number;
  batch: number;
  precision: string;
  out?: string | undefined;
}

const kEarly = { true: true, false: false, never: 'never' } as const;

async function promptsOf({ prompt, file, column }: Options): Promise<string[]> {
  if ((prompt === undefined) === (file === undefined))
    throw expected('prompt', 'given where --file is not, and --file where no --prompt is', prompt ?? file);
  return prompt ?? (await readTexts(file!, { column: column ?? (file!.endsWith('.txt') ? undefined : 'prompt') }));
}

function settings(options: Options): GenerateOptions {
  const { maxNewTokens, stop, beams, lengthPenalty, topP, topK, temperature, seed, batch, earlyStopping } = options;
  return {
    ...{ maxNewTokens, beams, lengthPenalty, topP, topK, temperature, seed, batch },
    // A shell has no easy way to write a line end.
    stop: stop?.map((text) => text.replaceAll('\\n', '\n')),
    earlyStopping: earlyStopping && kEarly[earlyStopping],
    precision: precisionOf(options.precision),
  };
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { signal, progress: onProgress } = ctx;
  const path = options.out === undefined ? undefined : resolve(options.out);
  if (path !== undefined) await checkFile(path);
  const prompts = await promptsOf(options);
  using model = await loadModel(options.model, { seed: options.seed, signal, onProgress, note: ctx.note });
  ctx.note(model.source);
  const lanes = options.adapter === undefined ? undefined : await loadAdapter(model, options.adapter, { signal });
  let written: GeneratedText[];
  try {
    written = await generate(model, prompts, { ...settings(options), lanes, signal, onProgress });
  } finally {
    lanes?.dispose();
  }
  const rows = written.map(({ text, tokens, stoppedBy, score }, i) => ({
    prompt: prompts[i]!,
    text,
    tokens: tokens.length,
    stoppedBy,
    ...((options.beams ?? 1) > 1 ? { score } : {}),
  }));
  if (path !== undefined) await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  ctx.result({ model: { name: options.model, source: model.source, hash: model.hash }, texts: rows }, () =>
    path === undefined
      ? rows.map((row) => `${row.prompt}${row.text}`).join('\n\n')
      : `Wrote ${path}: ${rows.length} texts, one a line, with \`prompt\`, \`text\` and why it ended.`,
  );
}

export const command: CommandModule<object, Options> = {
  command: 'generate',
  describe: 'What a model writes after prompts: greedily, by beams, or drawn',
  builder: (yargs) =>
    yargs
      .option('model', kModelOption)
      .option('prompt', { type: 'string', array: true, nargs: 1, describe: 'A prompt; may be given several times' })
      .option('file', { type: 'string', describe: 'Prompts: .txt (one a line), or .jsonl, .csv, .tsv with --column' })
      .option('column', { type: 'string', describe: 'Column of the prompts (default `prompt`)' })
      .option('adapter', kAdapterOption)
      .option('max-new-tokens', { type: 'number', default: 64, describe: 'Tokens of each text at most' })
      .option('stop', { type: 'string', array: true, nargs: 1, describe: 'Ends a text; \\n is a line end' })
      .option('beams', { type: 'number', describe: 'Beam search with so many beams' })
      .option('length-penalty', { type: 'number', describe: 'Beams: above 0 favours long texts (default 1)' })
      .option('early-stopping', {
        choices: ['true', 'false', 'never'] as const,
        describe: 'Beams: end with as many texts as beams, by the same length (default false), or by any',
      })
      .option('top-p', { type: 'number', describe: 'Draw from the fewest tokens with this probability' })
      .option('top-k', { type: 'number', describe: 'Draw from so many of the most likely tokens' })
      .option('temperature', { type: 'number', describe: 'Draw from softmax(logits / temperature)' })
      .option('seed', { type: 'number', default: 0, describe: 'Of draws (and of an untrained model)' })
      .option('batch', { type: 'number', default: 32, describe: 'Texts written at once' })
      .option('precision', { type: 'string', default: 'fp32', describe: 'fp32 or bf16' })
      .option('out', { type: 'string', describe: 'A .jsonl file to write instead' })
      .example('$0 generate --model smollm2-135m --prompt "The capital of France is" --max-new-tokens 8', 'Greedy')
      .example(
        '$0 generate --model smollm2-135m --file items.jsonl --adapter tuned/lr-0.001/adapter --stop "\\n" --beams 4 --out texts.jsonl',
        'An adapter, by beams',
      ) as unknown as Argv<Options>,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
