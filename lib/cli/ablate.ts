/** `cortune ablate`: what a model loses without each of its heads or layers. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { type Ablation, ablate, kAblatedParts, kAblations } from '../probe/ablate.js';
import { ablationSvg } from '../probe/pictures.js';
import { parseLayers } from './layers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';
import { csvOf, kProbeOptions, type ProbeCommand, withItems, writeFiles } from './probe-options.js';

interface Options extends CommonOptions, ProbeCommand {
  parts: (typeof kAblatedParts)[number];
  kind: (typeof kAblations)[number];
  layers: string;
}

const kShown = 10;

const nameOf = ({ layer, head, other }: Ablation['ablated'][number]) =>
  `layer ${layer}${head === undefined ? '' : ` head ${head}`}${other ? `, layer ${other.layer} head ${other.head}` : ''}`;

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { parts, kind } = options;
  const chosen = parseLayers(options.layers);
  const layers = chosen === 'all' ? undefined : chosen;
  const found = await withItems(options, ctx, (model, items, probe) =>
    ablate(model, items, { ...probe, parts, kind, layers }),
  );
  const rows = found.ablated.map(({ layer, head, other, accuracy, loss }) => ({
    ...{ layer, head, layer2: other?.layer, head2: other?.head, accuracy, loss },
  }));
  const files = await writeFiles(options.out, {
    'ablation.json': `${JSON.stringify(found, null, 1)}\n`,
    'ablation.csv': csvOf(rows),
    ...(parts === 'pairs'
      ? {}
      : { 'ablation-accuracy.svg': ablationSvg(found, 'accuracy'), 'ablation-loss.svg': ablationSvg(found, 'loss') }),
  });
  const worst = [...found.ablated].sort((a, b) => b.loss - a.loss).slice(0, kShown);
  ctx.result({ ...found, files }, () =>
    [
      `Intact: accuracy ${found.intact.accuracy.toFixed(3)}, loss ${found.intact.loss.toFixed(3)} (${found.items} items). ${found.ablated.length} ablations, put to ${kind}.`,
      '',
      table(
        ['without', 'accuracy', 'loss'],
        worst.map((each) => [nameOf(each), each.accuracy, each.loss]),
      ),
      ...(found.ablated.length > kShown ? [`The ${kShown} that are missed most; --out or --json for all.`] : []),
      ...files.map((file) => `Wrote ${file}`),
    ].join('\n'),
  );
}

export const command: CommandModule<object, Options> = {
  command: 'ablate',
  describe: 'Accuracy and loss of items without each head or layer of a model',
  builder: (yargs) =>
    yargs
      .options(kProbeOptions)
      .option('parts', {
        choices: kAblatedParts,
        default: 'heads' as const,
        describe: 'heads, layers (attention and MLP), attention, mlp, or pairs of heads of the chosen layers',
      })
      .option('kind', {
        choices: kAblations,
        default: 'zero' as const,
        describe: 'Put to zero, or to the mean over the tokens of the prompts',
      })
      .option('layers', { type: 'string', default: 'all', describe: '`all`, or numbers and ranges from 0: 0,6,10-12' })
      .example('$0 ablate --model smollm2-135m --items trials/test.jsonl --out heads', 'A heat map of all heads')
      .example(
        '$0 ablate --model smollm2-135m --items trials/test.jsonl --parts layers --kind mean',
        'Whole layers, put to their mean',
      ) as never,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
