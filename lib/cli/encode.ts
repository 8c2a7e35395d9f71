/** `cortune encode`: how well features predict responses, layer by layer, by cross-validated ridge. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { type EncodeScores, encode } from '../encode/encode.js';
import {
  type FeatureOptions,
  type FitOptions,
  fitSettings,
  kFeatureOptions,
  kFitOptions,
  kResponseOptions,
  type ResponseOptions,
  readFeatures,
  readResponses,
} from './inputs.js';
import { decimals } from './numbers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

type Options = CommonOptions & FeatureOptions & ResponseOptions & FitOptions;

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const settings = fitSettings(options);
  const { matrix, columns, groups } = await readResponses(options);
  const { tensor, layers } = await readFeatures(options, ctx);
  using features = tensor;
  const scores = await encode(features, matrix, {
    ...settings,
    groups,
    names: columns,
    layers,
    signal: ctx.signal,
    onProgress: ctx.progress,
  });
  for (const warning of scores.warnings) ctx.note(`Note: ${warning}`);
  ctx.result({ layers: scores.layers, warnings: scores.warnings }, () => describe(scores));
}

/** As many targets have a column of their own in the printed table. */
const kColumns = 8;

function describe(scores: EncodeScores): string {
  const names = scores.layers[0]!.targets.map(({ name }) => name);
  const title = `Held-out Pearson r, mean of ${scores.folds.folds} folds`;
  if (names.length <= kColumns)
    return `${title}\n\n${table(
      ['layer', ...names],
      scores.layers.map(({ layer, targets }) => [layer, ...targets.map(({ r }) => decimals(r))]),
    )}`;
  const rows = scores.layers.map(({ layer, targets }) => {
    const scored = targets.filter(({ r }) => !Number.isNaN(r)).sort((a, b) => a.r - b.r);
    const mean = scored.reduce((sum, { r }) => sum + r, 0) / scored.length;
    const best = scored.at(-1);
    const median = scored[Math.floor(scored.length / 2)]?.r ?? Number.NaN;
    return [layer, decimals(mean), decimals(median), decimals(best?.r ?? Number.NaN), best?.name];
  });
  return `${title}, over ${names.length} targets (--json prints each)\n\n${table(['layer', 'mean', 'median', 'best', 'best target'], rows)}`;
}

export const command: CommandModule<object, Options> = {
  command: 'encode',
  describe: 'Predict brain responses from features, cross-validated',
  builder: (yargs) =>
    yargs
      .options(kFeatureOptions)
      .options(kResponseOptions)
      .options(kFitOptions)
      .example('$0 encode --features f.safetensors --responses bold.csv --columns IFG,STG', 'Two regions, every layer')
      .example(
        '$0 encode --features f.safetensors --responses bold.npy --folds contiguous:10 --trim 5 --json',
        'For programs',
      )
      .example(
        '$0 encode --features f.safetensors --responses runs.csv --groups run --folds grouped',
        'One run held out at a time',
      )
      .epilogue(
        'Features are centred and scaled by the training rows of each outer fold. Alpha is chosen for each target: the one with the\nleast squared error on the inner folds of those rows (scaled as before, each with its own intercept). --json prints\n{layers: [{layer, targets: [{name, r, r2, alpha}]}], warnings}: means over the outer folds of the held-out Pearson r\nand R2, the geometric mean of the chosen alphas; null where a target is constant.',
      ) as never, // yargs' types leave `innerFolds` and `alphaPer` out
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
