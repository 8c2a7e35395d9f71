/** `cortune stats`: encoding scores with permutation p-values that respect autocorrelation, corrections and intervals. */

import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { kRefits, type Refit } from '../analysis/refit.js';
import { type Significance, significance } from '../analysis/significance.js';
import { parseExchange } from '../analysis/surrogates.js';
import { type UniqueVariance, uniqueVariance } from '../analysis/unique.js';
import { readMatrix } from '../data/formats/index.js';
import type { Matrix } from '../data/types.js';
import { type EncodeOptions, type EncodeScores, encode, foldRows } from '../encode/encode.js';
import { meanOfKnown } from '../numbers.js';
import type { Tensor } from '../tensor.js';
import { type FitOptions, fitSettings, kFitOptions } from './fit-options.js';
import {
  type FeatureOptions,
  kFeatureOptions,
  kResponseOptions,
  type ResponseOptions,
  readFeatures,
  readResponses,
} from './inputs.js';
import { decimals, intervalText, pText } from './numbers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions, FeatureOptions, ResponseOptions, FitOptions {
  exchange: string;
  permutations: number;
  alternative: 'greater' | 'two-sided';
  resamples: number;
  block: number;
  level: number;
  seed: number;
  controls?: string | undefined;
  joint: 'banded' | 'ridge';
  refit: Refit | 'none';
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const settings = fitSettings(options);
  const { permutations, alternative, refit, resamples, block, level, seed } = options;
  const how = parseExchange(options.exchange);
  const { matrix, columns, groups } = await readResponses(options, ctx.note);
  const { tensor, layers } = await readFeatures(options, ctx);
  using features = tensor;
  const { job } = ctx;
  const folds = foldRows(matrix.rows, settings.alphas.length > 1, { ...settings, groups });
  const scores = await encode(features, matrix, {
    ...settings,
    folds,
    names: columns,
    layers,
    predictions: true,
    ...job,
  });
  using predictions = scores.predictions!;
  const { alphas, alphaPer, standardize } = settings;
  const found = await significance(predictions, matrix, folds, {
    ...{ exchange: how, permutations, refit, alternative, resamples, block, level, seed, groups },
    fits: { features, scores: scores.folds, alphas, alphaPer, standardize },
    ...job,
  });
  const parts = await againstControls(options, features, matrix, {
    ...settings,
    folds,
    names: columns,
    layers,
    ...job,
  });
  for (const warning of scores.warnings) ctx.note(`Note: ${warning}`);
  if (how.kind === 'rows')
    ctx.note(
      'Note: exchanging single rows is right for trials in random order only; time courses need block, circular or phase.',
    );
  const rows = rowsOf(scores, found);
  const variance = parts && { variance: parts.layers };
  ctx.result(
    {
      layers: rows,
      ...variance,
      exchange: options.exchange,
      permutations,
      resamples,
      level,
      warnings: scores.warnings,
    },
    () => [describe(scores, rows, options), ...(parts ? [describeParts(parts)] : [])].join('\n\n'),
  );
}

/** With --controls: what the features explain beside them. */
async function againstControls(
  { controls, joint, seed }: Options,
  features: Tensor,
  responses: Matrix,
  settings: Omit<EncodeOptions, 'selection'>,
): Promise<UniqueVariance | undefined> {
  if (controls === undefined) return undefined;
  const { matrix } = await readMatrix(controls);
  return uniqueVariance(features, matrix, responses, { ...settings, joint, seed });
}

function describeParts({ layers }: UniqueVariance): string {
  const keys = ['model', 'controls', 'joint', 'unique', 'shared'] as const;
  return `Held-out R2 (mean over targets), alone and together; unique: joint less controls\n\n${table(
    ['layer', ...keys],
    layers.map(({ layer, targets }) => [
      String(layer),
      ...keys.map((key) => decimals(meanOfKnown(targets.map((each) => each[key])))),
    ]),
  )}`;
}

interface TestedTarget {
  name: string;
  r: number;
  r2: number;
  p: number;
  fdr: number;
  pMax: number;
  lower: number;
  upper: number;
}

function rowsOf(scores: EncodeScores, found: Significance): { layer: number; targets: TestedTarget[] }[] {
  return scores.layers.map(({ layer, targets }, l) => ({
    layer,
    targets: targets.map(({ name, r, r2 }, c) => {
      const at = l * targets.length + c;
      const { p, fdr, pMax, lower, upper } = found;
      return { name, r, r2, p: p[at]!, fdr: fdr[at]!, pMax: pMax[at]!, lower: lower[at]!, upper: upper[at]! };
    }),
  }));
}

/** As many rows are printed one by one. */
const kRows = 40;

function describe(
  scores: EncodeScores,
  layers: { layer: number; targets: TestedTarget[] }[],
  { permutations, level }: Options,
): string {
  const title = `Held-out Pearson r, mean of ${scores.folds.folds} folds; p from ${permutations} permutations; interval of ${100 * level} %`;
  const count = layers.length * layers[0]!.targets.length;
  if (count <= kRows)
    return `${title}\n\n${table(
      ['layer', 'target', 'r', 'interval', 'p', 'p FDR', 'p max'],
      layers.flatMap(({ layer, targets }) =>
        targets.map((each) => [
          String(layer),
          each.name,
          decimals(each.r),
          intervalText(each.lower, each.upper),
          pText(each.p),
          pText(each.fdr),
          pText(each.pMax),
        ]),
      ),
    )}`;
  const rows = layers.map(({ layer, targets }) => {
    const below = (key: 'p' | 'fdr' | 'pMax') => targets.filter((each) => each[key] <= 0.05).length;
    return [String(layer), decimals(meanOfKnown(targets.map(({ r }) => r))), below('p'), below('fdr'), below('pMax')];
  });
  return `${title}\nTargets of ${layers[0]!.targets.length} with p of at most 0.05 (--json prints each)\n\n${table(
    ['layer', 'mean r', 'p', 'p FDR', 'p max'],
    rows,
  )}`;
}

export const command: CommandModule<object, Options> = {
  command: 'stats',
  describe: 'Scores with permutation p-values, corrections for many targets and intervals',
  builder: (yargs) =>
    yargs
      .options(kFeatureOptions)
      .options(kResponseOptions)
      .options(kFitOptions)
      .option('exchange', {
        type: 'string',
        default: 'block:10',
        describe: 'What is exchanged within each run (--groups): block:ROWS, circular, phase, or rows (trials only)',
      })
      .option('permutations', { type: 'number', default: 1000, describe: 'Permutations; 0 for none' })
      .option('refit', {
        choices: ['none', ...kRefits] as const,
        default: 'fixed' as const,
        describe:
          'Every permutation is fitted again with the alphas as chosen, or chosen anew (slow); none: only held-out rows are exchanged, right for one test fold alone',
      })
      .option('alternative', {
        choices: ['greater', 'two-sided'] as const,
        default: 'greater' as const,
        describe: 'Is r higher than by chance, or further from 0?',
      })
      .option('resamples', { type: 'number', default: 1000, describe: 'Bootstrap resamples; 0 for no intervals' })
      .option('block', {
        type: 'number',
        default: 10,
        describe: 'Rows that the bootstrap draws together; 1 for trials',
      })
      .option('level', { type: 'number', default: 0.95, describe: 'Share of resamples inside the interval' })
      .option('seed', { type: 'number', default: 0, describe: 'Of permutations and resamples' })
      .option('controls', {
        type: 'string',
        describe: 'Matrix [n, controls]: also print the R2 that the features explain beside them (unique variance)',
      })
      .option('joint', {
        choices: ['banded', 'ridge'] as const,
        default: 'banded' as const,
        describe: 'With --controls: both with penalties of their own (slow), or with one for all columns',
      })
      .example('$0 stats --features f.safetensors --responses bold.csv --trim 5', 'Time courses: blocks of 10 volumes')
      .example(
        '$0 stats --features f.safetensors --responses bold.npy --exchange phase --permutations 5000 --json',
        'Phase randomisation, for programs',
      )
      .epilogue(
        'Measured responses are exchanged within each run, the same way in all targets and layers, fitted again and scored as they\nwere. p FDR: Benjamini-Hochberg over all layers and targets. p max: corrected for all of them by\nthe largest r of each permutation.',
      ) as never, // yargs' types leave `innerFolds` and `alphaPer` out
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
