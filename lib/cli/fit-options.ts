/** Options of fits: folds and penalties, of every command that fits; what `cortune encode` alone has beside them. */
import { kDefaultAlphas, parseAlphas } from '../encode/alphas.js';
import { parseFolds } from '../encode/folds.js';
import type { EncodeOptions, ExtraScore, KernelOptions } from '../encode/options.js';
import { expected } from '../errors.js';
import { parseMemory } from '../tune/memory.js';

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

export interface RidgeOptions {
  selection: 'nested' | 'fixed' | 'loo' | 'gcv';
  precision: 'auto' | 'single' | 'double';
  missing: 'error' | 'drop';
  kernel: string;
  scores?: string | undefined;
  rowWeights?: string | undefined;
  stream: boolean;
  out?: string | undefined;
  weights: boolean;
  predictions: boolean;
  memory?: string | undefined;
}

export const kRidgeOptions = {
  selection: {
    choices: ['nested', 'fixed', 'loo', 'gcv'] as const,
    default: 'nested' as const,
    describe:
      'What chooses alpha: folds within the training rows; the folds that are scored (scores too good); leave-one-out or generalised cross-validation',
  },
  precision: {
    choices: ['auto', 'single', 'double'] as const,
    default: 'auto' as const,
    describe: 'Of products with the responses; auto is single from 2,000 targets on',
  },
  missing: {
    choices: ['error', 'drop'] as const,
    default: 'error' as const,
    describe: 'NaN responses: refuse them, or leave their rows out for that target',
  },
  kernel: {
    type: 'string',
    default: 'linear',
    describe: 'linear, rbf, rbf:GAMMA, polynomial:DEGREE or polynomial:DEGREE:GAMMA:OFFSET',
  },
  scores: { type: 'string', describe: 'More scores, for --json: spearman,explained' },
  'row-weights': {
    type: 'string',
    describe:
      'A file with one number above 0 a row (one column): its weight in the fits and in the errors that choose alpha',
  },
  stream: {
    type: 'boolean',
    default: false,
    describe: 'Read --responses, a .npy file, piece by piece: memory does not grow with it',
  },
  out: { type: 'string', describe: 'Write r, r2 and alpha of every layer, fold and target to this .safetensors file' },
  weights: { type: 'boolean', default: false, describe: 'Write the weights of every fit too (with --out)' },
  predictions: { type: 'boolean', default: false, describe: 'Write held-out predictions too (with --out)' },
  memory: {
    type: 'string',
    describe:
      'Memory that work and results may take beside features and responses, such as 2GB; more is refused beforehand',
  },
} as const;

/** Checked before anything is read. @throws RangeError (ERR_ARGUMENT). */
export function ridgeSettings(options: RidgeOptions, columnsOrGroups: boolean): EncodeOptions {
  const { selection, precision, missing, weights, predictions, out, stream, memory } = options;
  if ((weights || predictions) && out === undefined)
    throw expected('out', 'a .safetensors file to write weights or predictions to', out);
  if (out !== undefined && !out.endsWith('.safetensors'))
    throw expected('out', 'a path that ends in .safetensors', out);
  if (stream && columnsOrGroups) throw expected('stream', 'used without --columns and --groups', stream);
  const kernel = parseKernel(options.kernel);
  return {
    selection,
    precision,
    missing,
    predictions,
    memory: memory === undefined ? undefined : parseMemory(memory),
    scores: options.scores?.split(',').map((name) => name.trim() as ExtraScore),
    ...(kernel && { kernel }),
    ...(weights && { weights: kernel ? 'dual' : 'primal' }),
  };
}

function parseKernel(text: string): KernelOptions | undefined {
  const [kind, ...rest] = text.trim().split(':');
  const numbers = rest.map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (kind === 'linear' && rest.length === 0) return undefined;
  const form = '`linear`, `rbf`, `rbf:GAMMA`, `polynomial:DEGREE` or `polynomial:DEGREE:GAMMA:OFFSET`';
  if (numbers.some(Number.isNaN)) throw expected('kernel', form, text);
  if (kind === 'rbf' && rest.length <= 1) return { kind, gamma: numbers[0] };
  if (kind === 'polynomial' && rest.length <= 3)
    return { kind, degree: numbers[0], gamma: numbers[1], offset: numbers[2] };
  throw expected('kernel', form, text);
}
