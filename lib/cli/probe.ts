/** `cortune probe`: variables of items, read linearly from hidden states at every token position and layer. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { decodeStates } from '../probe/decode-states.js';
import { decodedSvg } from '../probe/pictures.js';
import { parseLayers } from './layers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';
import { csvOf, kProbeOptions, type ProbeCommand, withItems, writeFiles } from './probe-options.js';

interface Options extends CommonOptions, ProbeCommand {
  variables?: string | undefined;
  layers: string;
  positions: string;
  folds: string;
  shuffles: number;
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { folds, shuffles, seed } = options;
  const [layers, positions] = [options.layers, options.positions].map((text) => {
    const list = parseLayers(text);
    return list === 'all' ? undefined : list;
  });
  const variables = options.variables?.split(',').map((name) => name.trim());
  const found = await withItems(options, ctx, (model, items, probe) =>
    decodeStates(model, items, { ...probe, variables, layers, positions, folds, shuffles, seed }),
  );
  if (found.left > 0)
    ctx.note(`${found.items} items of ${found.tokens.length} tokens; ${found.left} of another length are left out.`);
  const rows = found.variables.flatMap(({ name, scores }) =>
    scores.map((score) => ({ variable: name, token: found.tokens[score.position], ...score })),
  );
  const files = await writeFiles(options.out, {
    'decoding.json': `${JSON.stringify(found, null, 1)}\n`,
    'decoding.csv': csvOf(rows),
    ...Object.fromEntries(
      found.variables.map(({ name }) => [`decoding-${name.replaceAll(/[^\w-]/g, '_')}.svg`, decodedSvg(found, name)]),
    ),
  });
  ctx.result({ ...found, files }, () =>
    [
      table(
        ['variable', 'score', 'best', 'SD', 'shuffled', 'SD', 'layer', 'token'],
        found.variables.map(({ name, kind, scores }) => {
          const best = scores.reduce((a, b) => (b.mean > a.mean ? b : a));
          return [
            ...[
              name,
              kind === 'classes' ? 'balanced accuracy' : 'r',
              best.mean,
              best.deviation,
              best.shuffled,
              best.shuffledDeviation,
            ],
            ...[String(best.layer), `${best.position} ${JSON.stringify(found.tokens[best.position])}`],
          ];
        }),
      ),
      ...files.map((file) => `Wrote ${file}`),
    ].join('\n'),
  );
}

export const command: CommandModule<object, Options> = {
  command: 'probe',
  describe: 'Variables of items read from hidden states, at every token and layer',
  builder: (yargs) =>
    yargs
      .options(kProbeOptions)
      .option('variables', { type: 'string', describe: 'Names, with commas [default: all that differ between items]' })
      .option('layers', {
        type: 'string',
        default: 'all',
        describe: '`all` (0 is the embedding output), or numbers and ranges',
      })
      .option('positions', { type: 'string', default: 'all', describe: '`all`, or token positions from 0' })
      .option('folds', { type: 'string', default: 'shuffled:5:0', describe: 'Cross-validation, as in encode' })
      .option('shuffles', { type: 'number', default: 5, describe: 'Shuffles of the labels, for the chance level' })
      .example(
        '$0 probe --model smollm2-135m --items trials/test.jsonl --where template=0 --layers 0,10,20,30 --out probe',
        'Heat maps of each variable',
      )
      .epilogue(
        'Numbers are scored by Pearson r, all else by balanced accuracy; mean and SD over folds, ridge regression.',
      ) as never,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
