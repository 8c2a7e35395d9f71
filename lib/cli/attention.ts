/** `cortune attention`: average attention maps of every head. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { expected } from '../errors.js';
import { attentionMaps } from '../probe/attention.js';
import { attentionSvg, headMapSvg } from '../probe/svg.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';
import { kProbeOptions, type ProbeCommand, withItems, writeFiles } from './probe-options.js';

interface Options extends CommonOptions, ProbeCommand {
  heads?: string | undefined;
}

/** `3.1,5.0`: layer and head. */
function headsOf(text: string | undefined): [number, number][] {
  return (text?.split(',') ?? []).map((part) => {
    const [, layer, head] = /^(\d+)\.(\d+)$/.exec(part.trim()) ?? [];
    if (layer === undefined || head === undefined) throw expected('heads', 'LAYER.HEAD,LAYER.HEAD', text);
    return [Number(layer), Number(head)];
  });
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const heads = headsOf(options.heads);
  const maps = await withItems(options, ctx, (model, items, probe) => {
    for (const [layer, head] of heads)
      if (layer >= model.config.layers || head >= model.config.heads)
        throw expected(
          'heads',
          `layers below ${model.config.layers}, heads below ${model.config.heads}`,
          `${layer}.${head}`,
        );
    return attentionMaps(
      model,
      items.map(({ prompt }) => prompt),
      probe,
    );
  });
  const files = await writeFiles(
    options.out,
    Object.fromEntries(
      maps.flatMap((map) => {
        const titled = { ...map, title: `Attention, mean of ${map.texts.length} texts of ${map.tokens.length} tokens` };
        const stem = `attention-${map.tokens.length}`;
        return [
          [
            `${stem}.json`,
            `${JSON.stringify({ ...map, weights: [...map.weights].map((value) => Number(value.toFixed(5))) })}\n`,
          ],
          [`${stem}.svg`, attentionSvg(titled)],
          ...heads.map(([layer, head]) => [`${stem}-layer-${layer}-head-${head}.svg`, headMapSvg(titled, layer, head)]),
        ];
      }),
    ),
  );
  ctx.result(
    { maps: maps.map(({ texts, tokens, layers, heads }) => ({ texts: texts.length, tokens, layers, heads })), files },
    () =>
      [
        table(
          ['tokens', 'texts', 'text'],
          maps.map(({ tokens, texts }) => [tokens.length, texts.length, tokens.join('').slice(0, 100)]),
        ),
        ...files.map((file) => `Wrote ${file}`),
        ...(files.length === 0 ? ['Give --out for pictures and weights.'] : []),
      ].join('\n'),
  );
}

export const command: CommandModule<object, Options> = {
  command: 'attention',
  describe: 'Average attention maps of every head over items',
  builder: (yargs) =>
    yargs
      .options(kProbeOptions)
      .option('heads', { type: 'string', describe: 'Heads to draw large, with token labels: LAYER.HEAD,LAYER.HEAD' })
      .example(
        '$0 attention --model smollm2-135m --items trials/test.jsonl --where template=0 --out maps --heads 5.1,12.0',
        'One template, two heads large',
      )
      .epilogue(
        'Items equally long in tokens (of one template) are averaged; each other length is a map of its own.',
      ) as never,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
