/** `cortune rsa`: the geometry of features compared with that of responses, or of other features. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import {
  type Dissimilarity,
  kDissimilarities,
  kRdmComparisons,
  type Rdm,
  type RdmComparison,
  rdmOfSquare,
  rdms,
} from '../analysis/rdm.js';
import { fitRdms } from '../analysis/rsa.js';
import { kSimilarities, layerSimilarity, type Similarity } from '../analysis/similarity.js';
import { readMatrix } from '../data/formats/index.js';
import { expected } from '../errors.js';
import { Tensor } from '../tensor.js';
import {
  type FeatureOptions,
  kFeatureOptions,
  kPartOptions,
  type PartOptions,
  partOf,
  readFeatures,
} from './inputs.js';
import { decimals, intervalText, pText } from './numbers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions, FeatureOptions, PartOptions {
  responses?: string[] | undefined;
  rdms: boolean;
  with?: string | undefined;
  metric: Dissimilarity;
  comparison: RdmComparison;
  measure: Similarity;
  permutations: number;
  resamples: number;
  level: number;
  seed: number;
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  if ((options.responses === undefined) === (options.with === undefined))
    throw expected('responses', 'given, or else --with other features', options.responses, 'type');
  const { tensor, layers } = await readFeatures(options, ctx);
  using features = tensor;
  const numbers = layers ?? Array.from({ length: features.shape.length === 3 ? features.shape[0]! : 1 }, (_, l) => l);
  if (options.with !== undefined) await toFeatures(options, features, numbers, ctx);
  else await toResponses(options, features, numbers, ctx);
}

/** The RDM of each subject's file: a matrix of responses, or with --rdms a square of dissimilarities. */
async function subjectRdms(options: Options, ctx: CommandContext): Promise<Rdm[]> {
  const { responses, rdms: given, metric } = options;
  const found: Rdm[] = [];
  for (const path of responses!) {
    const { matrix, notes = [] } = await readMatrix(path, partOf(options));
    for (const note of notes) ctx.note(`Note: ${note}`);
    if (given) found.push(rdmOfSquare(matrix.data, matrix.rows));
    else {
      using values = Tensor.from(matrix.data, [matrix.rows, matrix.columns]);
      found.push(...(await rdms(values, { metric, signal: ctx.signal })));
    }
  }
  return found;
}

async function toResponses(options: Options, features: Tensor, layers: number[], ctx: CommandContext): Promise<void> {
  const { metric, comparison, permutations, resamples, level, seed } = options;
  const subjects = await subjectRdms(options, ctx);
  const models = await rdms(features, { metric, ...ctx.job });
  const { fits, ceiling } = fitRdms(models, subjects, { comparison, permutations, resamples, level, seed });
  const rows = fits.map((fit, l) => ({ layer: layers[l]!, ...fit }));
  ctx.result({ metric, comparison, ceiling, layers: rows }, () => {
    const title = `Mean ${comparison} of the RDM of each layer (${metric}) with those of ${subjects.length} ${subjects.length > 1 ? 'subjects' : 'subject'}`;
    const body = table(
      ['layer', comparison, 'interval', 'p'],
      rows.map((row) => [
        String(row.layer),
        decimals(row.similarity),
        intervalText(row.lower, row.upper),
        pText(row.p),
      ]),
    );
    const bounds =
      subjects.length > 1
        ? `Ceiling: ${ceiling.lower.toFixed(3)} to ${ceiling.upper.toFixed(3)}.`
        : 'No ceiling: it needs two subjects or more.';
    return [title, body, bounds].join('\n\n');
  });
}

async function toFeatures(options: Options, features: Tensor, layers: number[], ctx: CommandContext): Promise<void> {
  const { measure } = options;
  const second = await readFeatures({ features: options.with!, tensor: options.tensor }, ctx);
  using other = second.tensor;
  const values = await layerSimilarity(features, other, { measure, ...ctx.job });
  const columns = second.layers ?? Array.from(values[0]!.keys());
  ctx.result(
    { measure, layers, with: columns, values: values.map((row) => [...row]) },
    () =>
      `${measure} of each layer (rows) with those of ${options.with}\n\n${table(
        ['layer', ...columns.map(String)],
        values.map((row, l) => [String(layers[l]), ...Array.from(row, decimals)]),
      )}`,
  );
}

export const command: CommandModule<object, Options> = {
  command: 'rsa',
  describe: 'Representational similarity: RDMs against responses, CKA of features',
  builder: (yargs) =>
    yargs
      .options(kFeatureOptions)
      .option('responses', {
        type: 'string',
        array: true,
        describe: 'Matrices [n, targets], one file a subject, whose RDMs are compared with those of the features',
      })
      .options(kPartOptions)
      .option('rdms', {
        type: 'boolean',
        default: false,
        describe: 'The responses are RDMs already: squares of n x n dissimilarities',
      })
      .option('with', { type: 'string', describe: 'Instead of responses: other features of the same stimuli' })
      .option('metric', { choices: kDissimilarities, default: 'correlation' as const, describe: 'Dissimilarity' })
      .option('comparison', { choices: kRdmComparisons, default: 'spearman' as const, describe: 'Of two RDMs' })
      .option('measure', { choices: kSimilarities, default: 'cka' as const, describe: 'Of two layers, with --with' })
      .option('permutations', { type: 'number', default: 1000, describe: 'Relabelings of the stimuli; 0 for none' })
      .option('resamples', { type: 'number', default: 1000, describe: 'Bootstrap of the stimuli; 0 for none' })
      .option('level', { type: 'number', default: 0.95, describe: 'Share of resamples inside the interval' })
      .option('seed', { type: 'number', default: 0, describe: 'Of relabelings and resamples' })
      .example('$0 rsa --features f.safetensors --responses s1.npy s2.npy s3.npy', 'Every layer, with the ceiling')
      .example(
        '$0 rsa --features untuned.safetensors --with tuned.safetensors --measure cka-debiased',
        'Layer by layer',
      )
      .epilogue(
        'The ceiling says how alike subjects are (Nili et al. 2014): each with the pool of the others, and of all. p: the stimuli of the\nfeatures are relabelled. Interval: stimuli are drawn again, the same one twice giving no pair.',
      ) as never,
  handler: (argv: ArgumentsCamelCase<Options>) => runCommand(argv, (ctx) => run(argv, ctx)),
};
