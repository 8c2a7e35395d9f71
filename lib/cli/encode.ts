/** `cortune encode`: how well features predict responses, layer by layer, by cross-validated ridge. */

import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { readMatrix } from '../data/formats/index.js';
import { type EncodeScores, encode } from '../encode/encode.js';
import { ResponsesFile } from '../encode/responses.js';
import { meanOverFolds } from '../encode/scores.js';
import { CortuneError } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { mean } from '../numbers.js';
import { Tensor } from '../tensor.js';
import {
  type FitOptions,
  fitSettings,
  kFitOptions,
  kRidgeOptions,
  type RidgeOptions,
  ridgeSettings,
} from './fit-options.js';
import {
  type FeatureOptions,
  kFeatureOptions,
  kResponseOptions,
  type ResponseOptions,
  readFeatures,
  readResponses,
} from './inputs.js';
import { decimals } from './numbers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';
import { checkFile } from './places.js';

type Options = CommonOptions & FeatureOptions & ResponseOptions & FitOptions & RidgeOptions;

/** The responses: read whole, or opened. */
async function responsesOf(options: Options, ctx: CommandContext) {
  if (!options.stream) {
    const { matrix, columns, groups } = await readResponses(options, ctx.note);
    return { responses: matrix, columns, groups };
  }
  const file = await ResponsesFile.open(options.responses);
  return { responses: file, columns: Array.from({ length: file.shape[1]! }, (_, i) => String(i)), groups: undefined };
}

/** One number a row. */
async function readRowWeights(path: string): Promise<Float32Array> {
  const { matrix } = await readMatrix(path);
  if (matrix.columns !== 1)
    throw new CortuneError(
      'ERR_DATA',
      `Expected '${path}' to have one column, the weight of each row, got ${matrix.columns}.`,
    );
  return matrix.data;
}

/** Every score as a tensor, and what else was kept. NaN where there is none. */
async function writeScores(path: string, scores: EncodeScores, ctx: CommandContext): Promise<void> {
  const { layers, folds, targets, error, ...values } = scores.folds;
  const shape = [layers, folds, targets];
  const made = Object.entries(values).map(
    ([name, series]) => [name, Tensor.from(Float32Array.from(series), shape)] as const,
  );
  if (error) made.push(['error', Tensor.from(Float32Array.from(error), [layers, targets])]);
  const { predictions, weights, intercepts } = scores;
  const kept = Object.entries({ predictions, weights, intercepts }).filter(([, tensor]) => tensor !== undefined);
  const all = new Map<string, Tensor>([...made, ...(kept as [string, Tensor][])]);
  try {
    await runJob(
      () =>
        native().writeSafetensors({
          path,
          names: [...all.keys()],
          tensors: [...all.values()].map(({ handle }) => handle),
          metadata: { targets: JSON.stringify(scores.layers[0]!.targets.map(({ name }) => name)) },
        }),
      { signal: ctx.signal },
    );
  } finally {
    for (const tensor of all.values()) tensor.dispose();
  }
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const settings = {
    ...fitSettings(options),
    ...ridgeSettings(options, options.columns !== undefined || options.groups !== undefined),
  };
  if (options.out !== undefined) await checkFile(options.out);
  const sampleWeights = options.rowWeights === undefined ? undefined : await readRowWeights(options.rowWeights);
  const { responses, columns, groups } = await responsesOf(options, ctx);
  const { tensor, layers } = await readFeatures(options, ctx);
  using features = tensor;
  const scores = await encode(features, responses, {
    ...settings,
    groups,
    sampleWeights,
    names: columns,
    layers,
    ...ctx.job,
  });
  for (const warning of scores.warnings) ctx.note(`Note: ${warning}`);
  if (responses instanceof ResponsesFile) responses.dispose();
  if (options.out !== undefined) await writeScores(options.out, scores, ctx);
  ctx.result({ layers: withMore(scores), warnings: scores.warnings }, () => describe(scores));
}

/** Layers with the means over folds of the further scores that were asked for. */
function withMore({ layers, folds }: EncodeScores) {
  const { spearman, explained } = folds;
  if (!spearman && !explained) return layers;
  const overFolds = (values: Float64Array | undefined, l: number, t: number) =>
    values && meanOverFolds(folds, values, l, t);
  return layers.map(({ layer, targets }, l) => ({
    layer,
    targets: targets.map((target, t) => ({
      ...target,
      ...(spearman && { spearman: overFolds(spearman, l, t) }),
      ...(explained && { explained: overFolds(explained, l, t) }),
    })),
  }));
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
    const best = scored.at(-1);
    const median = scored[Math.floor(scored.length / 2)]?.r ?? Number.NaN;
    return [
      layer,
      decimals(mean(scored.map(({ r }) => r))),
      decimals(median),
      decimals(best?.r ?? Number.NaN),
      best?.name,
    ];
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
      .options(kRidgeOptions)
      .example('$0 encode --features f.safetensors --responses bold.csv --columns IFG,STG', 'Two regions, every layer')
      .example(
        '$0 encode --features f.safetensors --responses bold.npy --folds contiguous:10 --trim 5 --json',
        'For programs',
      )
      .example(
        '$0 encode --features f.safetensors --responses runs.csv --groups run --folds grouped',
        'One run held out at a time',
      )
      .example(
        '$0 encode --features f.npy --responses bold.nii.gz --atlas dseg.nii.gz --atlas-labels dseg.tsv --columns IFG,STG',
        'Means of two regions of an atlas',
      )
      .example('$0 encode --features f.npy --responses bold.csv --row-weights w.csv', 'Rows that count more or less')
      .example(
        '$0 encode --features f.npy --responses voxels.npy --stream --out scores.safetensors --weights',
        'Responses larger than memory',
      )
      .epilogue(
        'Features are centred and scaled by the training rows of each outer fold. Alpha is chosen for each target: the one with the\nleast squared error on the inner folds of those rows (scaled as before, each with its own intercept). --json prints\n{layers: [{layer, targets: [{name, r, r2, alpha}]}], warnings}: means over the outer folds of the held-out Pearson r\nand R2, the geometric mean of the chosen alphas; null where a target is constant.',
      ) as never, // yargs' types leave `innerFolds` and `alphaPer` out
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
