/** `cortune encode`: how well features predict responses, layer by layer, by cross-validated ridge. */
import { basename, extname } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { readBytes } from '../data/formats/bytes.js';
import { type NamedMatrix, parseTable, readMatrix, readTensor, readTexts } from '../data/formats/index.js';
import { columnIndices } from '../data/formats/table.js';
import { kDefaultAlphas, parseAlphas } from '../encode/alphas.js';
import { type EncodeScores, encode } from '../encode/encode.js';
import { parseFolds } from '../encode/folds.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { Tensor } from '../tensor.js';
import { parseLayers } from './layers.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface Options extends CommonOptions {
  features: string;
  tensor?: string | undefined;
  responses: string;
  columns?: string | undefined;
  folds: string;
  innerFolds: number;
  trim: number;
  gap: number;
  groups?: string | undefined;
  alphas: string;
  standardize: 'zscore' | 'center';
  alphaPer: 'target' | 'shared';
}

/** The tensor, and the numbers of its layers when `cortune embed` kept only some. */
async function readFeatures(options: Options, ctx: CommandContext): Promise<{ tensor: Tensor; layers?: number[] }> {
  const path = options.features;
  if (extname(path).toLowerCase() !== '.safetensors') {
    const { matrix } = await readMatrix(path, { key: options.tensor });
    return { tensor: Tensor.from(matrix.data, [1, matrix.rows, matrix.columns]) };
  }
  const { metadata } = await runJob(() => native().inspectFile({ path }), { signal: ctx.signal });
  const tensor = await readTensor(path, options.tensor, { signal: ctx.signal });
  const kept = typeof metadata.layers === 'string' ? parseLayers(metadata.layers) : 'all';
  return kept !== 'all' && kept.length === tensor.shape[0] ? { tensor, layers: kept } : { tensor };
}

/** The responses and, with --groups, the label of each row. That column is no target unless --columns names it. */
async function readResponses(options: Options): Promise<NamedMatrix & { groups?: string[] }> {
  const { responses: path, groups } = options;
  let columns = options.columns?.split(',').map((name) => name.trim());
  if (groups === undefined) return await readMatrix(path, { columns });
  const labels = await readTexts(path, { column: groups });
  const header = parseTable(await readBytes(path), path).rows[0]!;
  const [place] = columnIndices(basename(path), header, [groups]);
  columns ??= header.filter((_, i) => i !== place);
  return { ...(await readMatrix(path, { columns })), groups: labels };
}

async function run(options: Options, ctx: CommandContext): Promise<void> {
  const { trim, gap, alphas, standardize, alphaPer, innerFolds } = options;
  // Before reading anything: a slip in these should not cost a minute.
  const settings = { folds: parseFolds(options.folds), alphas: parseAlphas(alphas), innerFolds, trim, gap };
  const { matrix, columns, groups } = await readResponses(options);
  const { tensor, layers } = await readFeatures(options, ctx);
  using features = tensor;
  const scores = await encode(features, matrix, {
    ...settings,
    standardize,
    alphaPer,
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

/** Three decimals even of a whole number; a dash for none. */
function decimals(r: number): string {
  return Number.isNaN(r) ? '-' : r.toFixed(3).padStart(6);
}

export const command: CommandModule<object, Options> = {
  command: 'encode',
  describe: 'Predict brain responses from features, cross-validated',
  builder: (yargs) =>
    yargs
      .option('features', {
        type: 'string',
        demandOption: true,
        describe:
          'Tensor [layers, n, columns] or [n, columns]: .safetensors (as `cortune embed` writes), .npy, .npz, .csv',
      })
      .option('tensor', { type: 'string', describe: 'Tensor or array to take when the features file holds several' })
      .option('responses', {
        type: 'string',
        demandOption: true,
        describe: 'Matrix [n, targets]: .npy, .npz, .csv, .tsv, .txt or .safetensors; row i belongs to stimulus i',
      })
      .option('columns', {
        type: 'string',
        describe: 'Targets to take, by header or number from 0: a,b; all by default',
      })
      .option('folds', {
        type: 'string',
        default: 'contiguous:5',
        describe:
          'contiguous:COUNT, grouped or grouped:COUNT (with --groups), or shuffled:COUNT:SEED (inflates scores)',
      })
      .option('inner-folds', {
        type: 'number',
        default: 5,
        describe: 'Folds within the training rows, to choose alpha',
      })
      .option('trim', {
        type: 'number',
        default: 0,
        describe: 'Rows at each end of a held-out block that are not scored (transients)',
      })
      .option('gap', {
        type: 'number',
        default: 0,
        describe: 'Training rows left out on each side of held-out rows (autocorrelation)',
      })
      .option('groups', {
        type: 'string',
        describe: 'Column of the responses file with the run, story or passage of each row',
      })
      .option('alphas', {
        type: 'string',
        nargs: 1, // a value that begins with a minus is answered as one
        default: kDefaultAlphas,
        describe: 'Penalties: logspace:FROM:TO:COUNT in powers of ten, or 0.1,1,10',
      })
      .option('standardize', {
        choices: ['zscore', 'center'] as const,
        default: 'zscore' as const,
        describe: 'Features by the training rows: z-scored, or only centred',
      })
      .option('alpha-per', {
        choices: ['target', 'shared'] as const,
        default: 'target' as const,
        describe: 'One alpha for each target, or one for all',
      })
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
