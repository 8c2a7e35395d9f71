/** `cortune map`: hidden states of items in two dimensions, coloured by their variables. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { expected } from '../errors.js';
import { mapStates } from '../probe/map.js';
import { scatterSvg } from '../probe/svg.js';
import { type CommandContext, type CommonOptions, runCommand } from './output.js';
import { csvOf, kProbeOptions, type ProbeCommand, withItems, writeFiles } from './probe-options.js';

interface Options extends CommonOptions, ProbeCommand {
  layer?: number | undefined;
  neighbors: number;
  minDistance: number;
  colour?: string | undefined;
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { layer, neighbors, minDistance, seed, colour } = options;
  const { map, items } = await withItems(options, ctx, async (model, items, probe) => {
    const names = [...new Set(items.flatMap(({ variables }) => Object.keys(variables ?? {})))];
    if (colour !== undefined && !names.includes(colour)) throw expected('colour', `one of ${names.join(', ')}`, colour);
    return { items, map: await mapStates(model, items, { ...probe, layer, neighbors, minDistance, seed }) };
  });
  const names = colour ? [colour] : [...new Set(items.flatMap(({ variables }) => Object.keys(variables ?? {})))];
  const rows = items.map(({ variables }, i) => ({ x: map.points[i]![0], y: map.points[i]![1], ...variables }));
  const pictures = names.map((name): [string, string] => [
    `map-${name.replaceAll(/[^\w-]/g, '_')}.svg`,
    scatterSvg({
      title: `States of layer ${map.layer} by ${name}`,
      points: map.points,
      values: items.map(({ variables }) => variables?.[name] ?? '-'),
      name,
    }),
  ]);
  const files = await writeFiles(options.out, { 'map.csv': csvOf(rows), ...Object.fromEntries(pictures) });
  ctx.result({ ...map, items: rows, files }, () =>
    [
      `UMAP of ${items.length} items, states of layer ${map.layer}, ${map.neighbors} neighbours, seed ${map.seed}.`,
      ...files.map((file) => `Wrote ${file}`),
      ...(files.length === 0 ? ['Give --out for the points and pictures, or --json.'] : []),
    ].join('\n'),
  );
}

export const command: CommandModule<object, Options> = {
  command: 'map',
  describe: 'UMAP of the hidden states of items, coloured by their variables',
  builder: (yargs) =>
    yargs
      .options(kProbeOptions)
      .option('layer', {
        type: 'number',
        describe: 'Entry of hidden_states: 0 the embedding output [default: the last]',
      })
      .option('neighbors', { type: 'number', default: 15, describe: 'Neighbours that each item keeps near' })
      .option('min-distance', { type: 'number', default: 0.1, describe: 'Least distance of points' })
      .option('colour', { type: 'string', describe: 'Variable to colour by [default: a picture for each]' })
      .example(
        '$0 map --model smollm2-135m --items trials/test.jsonl --out map',
        'Pictures by every variable',
      ) as never,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
