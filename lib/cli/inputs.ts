/** Options that several commands share, and how the files they name are read. */
import { basename, extname } from 'node:path';
import { readBytes } from '../data/formats/bytes.js';
import { type NamedMatrix, parseTable, readMatrix, readTensor, readTexts } from '../data/formats/index.js';
import { columnIndices } from '../data/formats/table.js';
import { kDefaultAlphas, parseAlphas } from '../encode/alphas.js';
import { parseFolds } from '../encode/folds.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { Tensor } from '../tensor.js';
import { parseLayers } from './layers.js';
import type { CommandContext } from './output.js';

const kMatrixFiles = '.npy, .npz, .mat, .csv, .tsv, .txt or .safetensors';

export interface FeatureOptions {
  features: string;
  tensor?: string | undefined;
}

export const kFeatureOptions = {
  features: {
    type: 'string',
    demandOption: true,
    describe:
      'Tensor [layers, n, columns] or [n, columns]: .safetensors (as `cortune embed` writes), .npy, .npz, .mat, .csv',
  },
  tensor: { type: 'string', describe: 'Tensor or array to take when the features file holds several' },
} as const;

export interface ResponseOptions {
  responses: string;
  columns?: string | undefined;
  groups?: string | undefined;
}

export const kResponseOptions = {
  responses: {
    type: 'string',
    demandOption: true,
    describe: `Matrix [n, targets]: ${kMatrixFiles}; row i belongs to stimulus i`,
  },
  columns: { type: 'string', describe: 'Targets to take, by header or number from 0: a,b; all by default' },
  groups: { type: 'string', describe: 'Column of the responses file with the run, story or passage of each row' },
} as const;

export interface FitOptions {
  folds: string;
  innerFolds: number;
  trim: number;
  gap: number;
  alphas: string;
  standardize: 'zscore' | 'center';
  alphaPer: 'target' | 'shared';
}

export const kFitOptions = {
  folds: {
    type: 'string',
    default: 'contiguous:5',
    describe: 'contiguous:COUNT, grouped or grouped:COUNT (with --groups), or shuffled:COUNT:SEED (inflates scores)',
  },
  'inner-folds': { type: 'number', default: 5, describe: 'Folds within the training rows, to choose alpha' },
  trim: {
    type: 'number',
    default: 0,
    describe: 'Rows at each end of a held-out block that are not scored (transients)',
  },
  gap: {
    type: 'number',
    default: 0,
    describe: 'Training rows left out on each side of held-out rows (autocorrelation)',
  },
  alphas: {
    type: 'string',
    nargs: 1, // a value that begins with a minus is answered as one
    default: kDefaultAlphas,
    describe: 'Penalties: logspace:FROM:TO:COUNT in powers of ten, or 0.1,1,10',
  },
  standardize: {
    choices: ['zscore', 'center'],
    default: 'zscore',
    describe: 'Features by the training rows: z-scored, or only centred',
  },
  'alpha-per': {
    choices: ['target', 'shared'],
    default: 'target',
    describe: 'One alpha for each target, or one for all',
  },
} as const;

/** What encode is told of folds and penalties. Throws at once: a slip in these should not cost a minute of reading. */
export function fitSettings({ folds, alphas, innerFolds, trim, gap, standardize, alphaPer }: FitOptions) {
  return {
    folds: parseFolds(folds),
    alphas: parseAlphas(alphas),
    innerFolds,
    trim,
    gap,
    standardize,
    alphaPer,
  };
}

/** The tensor, and the numbers of its layers when `cortune embed` kept only some. */
export async function readFeatures(
  { features: path, tensor: key }: FeatureOptions,
  ctx: CommandContext,
): Promise<{ tensor: Tensor; layers?: number[] }> {
  if (extname(path).toLowerCase() !== '.safetensors') {
    const { matrix } = await readMatrix(path, { key });
    return { tensor: Tensor.from(matrix.data, [1, matrix.rows, matrix.columns]) };
  }
  const { metadata } = await runJob(() => native().inspectFile({ path }), { signal: ctx.signal });
  const tensor = await readTensor(path, key, { signal: ctx.signal });
  const kept = typeof metadata.layers === 'string' ? parseLayers(metadata.layers) : 'all';
  return kept !== 'all' && kept.length === tensor.shape[0] ? { tensor, layers: kept } : { tensor };
}

/** The responses and, with --groups, the label of each row. That column, and `aside`, are no targets unless --columns names them. */
export async function readResponses(
  options: ResponseOptions,
  aside?: string | undefined,
): Promise<NamedMatrix & { groups?: string[] }> {
  const { responses: path, groups } = options;
  let columns = options.columns?.split(',').map((name) => name.trim());
  const texts = [groups, aside].filter((name) => name !== undefined);
  if (texts.length === 0) return await readMatrix(path, { columns });
  const labels = groups === undefined ? undefined : await readTexts(path, { column: groups });
  const header = parseTable(await readBytes(path), path).rows[0]!;
  const places = columnIndices(basename(path), header, texts);
  columns ??= header.filter((_, i) => !places.includes(i));
  return { ...(await readMatrix(path, { columns })), ...(labels && { groups: labels }) };
}
