/** `cortune decode`: embeddings, or labels, predicted from responses, region by region. */

import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { type Classified, classify } from '../analysis/classify.js';
import { type Decoded, decode } from '../analysis/decode.js';
import { kRefits, type Refit } from '../analysis/refit.js';
import { parseExchange } from '../analysis/surrogates.js';
import { type NamedMatrix, pickColumns, readTexts } from '../data/formats/index.js';
import { expected } from '../errors.js';
import { mean } from '../numbers.js';
import { Tensor } from '../tensor.js';
import { type FitOptions, fitSettings, kFitOptions } from './fit-options.js';
import { kFeatureOptions, kResponseOptions, type ResponseOptions, readFeatures, readResponses } from './inputs.js';
import { decimals, pText } from './numbers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions, ResponseOptions, FitOptions {
  features?: string | undefined;
  tensor?: string | undefined;
  rois?: string | undefined;
  labels?: string | undefined;
  classifier: 'logistic' | 'ridge';
  c: number;
  metric: 'correlation' | 'cosine';
  within: 'all' | 'fold' | 'group';
  raw: boolean;
  permutations: number;
  exchange: string;
  refit?: Refit | 'none' | undefined;
  seed: number;
}

/** `name=a,b;other=c` -> regions with their columns; all columns as one region when there is no such text. */
function regionsOf(text: string | undefined, columns: readonly string[]): { name: string; columns: string[] }[] {
  if (text === undefined) return [{ name: 'all', columns: [...columns] }];
  if (text === 'each') return columns.map((name) => ({ name, columns: [name] }));
  return text.split(';').map((part) => {
    const [name, list, ...rest] = part.split('=').map((piece) => piece.trim());
    if (!name || !list || rest.length > 0) throw expected('rois', '`each`, or `NAME=COLUMN,COLUMN;NAME=...`', text);
    return { name, columns: list.split(',').map((column) => column.trim()) };
  });
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const settings = fitSettings(options);
  if ((options.features === undefined) === (options.labels === undefined))
    throw expected('features', 'given, or else --labels', options.features, 'type');
  if (options.refit !== undefined && options.labels !== undefined)
    throw expected('refit', 'left out with --labels: classifiers are always fitted again', options.refit);
  const read = await readResponses(options, ctx.note, options.labels);
  parseExchange(options.exchange);
  const regions = regionsOf(options.rois, read.columns).map((region) => ({
    ...region,
    matrix: pickColumns(read, region.columns, options.responses).matrix,
  }));
  const given: Given = { ...settings, groups: read.groups, ...ctx.job };
  if (options.labels !== undefined) await toLabels(options, regions, given, ctx);
  else await toEmbeddings(options, regions, given, ctx);
}

type Given = ReturnType<typeof fitSettings> & CommandContext['job'] & { groups: string[] | undefined };
type Regions = { name: string; columns: string[]; matrix: NamedMatrix['matrix'] }[];

async function toEmbeddings(options: Options, regions: Regions, given: Given, ctx: CommandContext): Promise<void> {
  const { tensor, layers } = await readFeatures({ features: options.features!, tensor: options.tensor }, ctx);
  using embeddings = tensor;
  const { metric, within, permutations, exchange, refit, seed, raw } = options;
  const found: { region: string; decoded: Decoded }[] = [];
  for (const { name, matrix } of regions)
    found.push({
      region: name,
      decoded: await decode(matrix, embeddings, {
        ...given,
        layers,
        metric,
        within,
        permutations,
        exchange,
        refit,
        seed,
        columns: raw ? 'raw' : 'zscore',
      }),
    });
  const warnings = [...new Set(found.flatMap(({ decoded }) => decoded.warnings))];
  for (const warning of warnings) ctx.note(`Note: ${warning}`);
  const json = found.map(({ region, decoded }) => ({
    region,
    rows: decoded.rows,
    layers: decoded.layers.map(({ ranks: _, baseline, ...score }) => ({
      ...score,
      chance: permutations > 0 ? baseline.reduce((sum, value) => sum + value, 0) / permutations : 0.5,
    })),
  }));
  ctx.result({ regions: json, warnings }, () =>
    table(
      ['region', 'layer', '2v2', 'rank accuracy', 'identified', 'r', ...(permutations > 0 ? ['p'] : [])],
      json.flatMap(({ region, layers }) =>
        layers.map((score) => [
          region,
          String(score.layer),
          ...[score.twoVsTwo, score.rankAccuracy, score.identification, score.r].map(decimals),
          ...(permutations > 0 ? [pText(score.p)] : []),
        ]),
      ),
    ),
  );
}

async function toLabels(options: Options, regions: Regions, given: Given, ctx: CommandContext): Promise<void> {
  const labels = await readTexts(options.responses, { column: options.labels });
  const found: { region: string; classified: Classified }[] = [];
  for (const { name, matrix } of regions) {
    using features = Tensor.from(matrix.data, [matrix.rows, matrix.columns]);
    const { classifier, c, permutations, exchange, seed } = options;
    found.push({
      region: name,
      classified: await classify(features, labels, { ...given, classifier, c, permutations, exchange, seed }),
    });
  }
  const json = found.map(({ region, classified }) => {
    const { baseline, baselineBalanced, ...rest } = classified;
    return { region, ...rest, shuffled: mean(baseline), shuffledBalanced: mean(baselineBalanced) };
  });
  ctx.result({ regions: json }, () =>
    table(
      ['region', 'classes', 'accuracy', 'balanced', 'shuffled', 'p'],
      json.map((each) => [
        each.region,
        String(each.classes.length),
        ...[each.accuracy, each.balanced, each.shuffledBalanced].map(decimals),
        pText(each.p),
      ]),
    ),
  );
}

export const command: CommandModule<object, Options> = {
  command: 'decode',
  describe: 'Predict embeddings or labels from brain responses, cross-validated',
  builder: (yargs) =>
    yargs
      .options(kResponseOptions)
      .option('features', { ...kFeatureOptions.features, demandOption: false })
      .options({ tensor: kFeatureOptions.tensor })
      .option('labels', {
        type: 'string',
        describe: 'Instead of features: column of the responses file with the class of each row',
      })
      .option('rois', {
        type: 'string',
        describe: 'Regions, each decoded alone: `each` column, or NAME=COLUMN,COLUMN;NAME=... [default: all columns]',
      })
      .options(kFitOptions)
      .option('metric', {
        choices: ['correlation', 'cosine'] as const,
        default: 'correlation' as const,
        describe: 'How alike a decoded and a true row are',
      })
      .option('within', {
        choices: ['all', 'fold', 'group'] as const,
        default: 'all' as const,
        describe: 'Compare rows with all others, or those of the same fold or group',
      })
      .option('raw', {
        type: 'boolean',
        default: false,
        describe: 'Compare embeddings as they are, not z-scored by the training rows',
      })
      .option('classifier', {
        choices: ['logistic', 'ridge'] as const,
        default: 'logistic' as const,
        describe: 'For labels',
      })
      .option('c', { type: 'number', default: 1, describe: "Logistic: weight of the losses, scikit-learn's C" })
      .option('permutations', { type: 'number', default: 100, describe: 'Shuffles of the rows for the chance level' })
      .option('exchange', {
        type: 'string',
        default: 'rows',
        describe:
          'What a shuffle exchanges within each run (--groups): rows (trials), or block:ROWS, circular or phase (time courses)',
      })
      .option('refit', {
        choices: ['none', ...kRefits] as const,
        describe:
          'Every shuffle is decoded again with the alphas as chosen, or chosen anew (slow); none: only held-out rows are exchanged, right for one test fold alone [default: fixed]',
      })
      .option('seed', { type: 'number', default: 0, describe: 'Of the shuffles' })
      .example('$0 decode --responses bold.csv --features f.safetensors', '2v2 accuracy of every layer')
      .example(
        '$0 decode --responses bold.csv --features f.safetensors --rois "temporal=ATL,PTL;frontal=IFG"',
        'Region by region',
      )
      .example('$0 decode --responses bold.csv --columns ATL,PTL --labels category --folds shuffled:5', 'Categories')
      .epilogue(
        '2v2: the share of pairs i, j with s(Di, Zi) + s(Dj, Zj) > s(Di, Zj) + s(Dj, Zi), D decoded and Z true rows; 0.5 by chance.\nRank accuracy: the mean share of other rows that are less alike than the own one; 0.5 by chance. p: rows (labels)\nare shuffled and everything is fitted again.',
      ) as never, // yargs' types leave `innerFolds` and `alphaPer` out
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
