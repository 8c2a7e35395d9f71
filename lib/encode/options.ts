/** Options and results of encoding, and what is refused before anything is computed. */
import type { Matrix } from '../data/types.js';
import { CortuneError, expected } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import type { EncodeArgs, FoldRows } from '../native/types.js';
import type { Tensor } from '../tensor.js';
import { kDefaultAlphas, parseAlphas } from './alphas.js';
import { type FoldOptions, type FoldSpec, makeFolds, parseFolds } from './folds.js';
import type { FoldScores, LayerScores } from './scores.js';

export interface EncodeOptions extends JobOptions {
  /** `contiguous:COUNT`, `grouped`, `grouped:COUNT`, `shuffled:COUNT:SEED` (see folds.ts), or the rows themselves. Default `contiguous:5`. */
  folds?: string | FoldSpec | FoldRows[] | undefined;
  /**
   * Which held-out errors choose alpha. 'nested' (default): those of inner folds within the training rows of each fold; scores are of rows
   * that took no part. 'fixed': those of the folds themselves, as himalaya's KernelRidgeCV and scikit-learn's RidgeCV(cv=...) do; one alpha a target, and
   * scores that are too good by that choice. 'loo' and 'gcv': leave-one-out, or generalised cross-validation, of each fold's training rows in closed
   * form, as scikit-learn's RidgeCV() does; neighbouring rows resemble each other, so with slow signals they choose alphas that are too small.
   */
  selection?: 'nested' | 'fixed' | 'loo' | 'gcv' | undefined;
  /** Inner folds, of the same kind, that choose alpha; default 5. Not used with one alpha or fixed selection. */
  innerFolds?: number | undefined;
  /** Rows at each end of a held-out run that are not scored; default 0. */
  trim?: number | undefined;
  /** Training rows this close to a held-out row are left out of training; default 0. */
  gap?: number | undefined;
  /** Run, story or passage of each row, for grouped folds. */
  groups?: FoldOptions['groups'];
  /** `logspace:FROM:TO:COUNT`, `0.1,1,10` or numbers; default `logspace:-1:8:10`. */
  alphas?: string | ArrayLike<number> | undefined;
  /** Features: centred and divided by their population standard deviation ('zscore', default), or centred only, by training rows. */
  standardize?: 'zscore' | 'center' | undefined;
  /** One alpha for each target (default), or one for all. */
  alphaPer?: 'target' | 'shared' | undefined;
  /**
   * Of products with the responses: 'double', 'single' (float32; factorisations and sums stay in float64), or 'auto' (default): single from 2,000
   * targets on. Single is twice as fast and shares products among alphas; r and R2 are within 1e-5 of double's, and an alpha differs only where two
   * have errors equal to 1e-6.
   */
  precision?: 'auto' | 'single' | 'double' | undefined;
  /** Kernel of the scaled features; default linear. Fits with another have only dual weights. */
  kernel?: KernelOptions | undefined;
  /**
   * What NaN responses are: an error (default), or ('drop') rows to leave out for that target alone, in fits and scores. Targets that lack the same
   * rows are computed together; one whose folds are left without rows has NaN scores. Not with dual weights, files, or Infinity.
   */
  missing?: 'error' | 'drop' | undefined;
  /** Weight of each row in the fits and in the errors that choose alpha, above 0; scores are not weighted. Default all 1. */
  sampleWeights?: ArrayLike<number> | undefined;
  /** Scores to give beside r and R2: Spearman's rank correlation, explained variance (R2 that forgives a constant offset). */
  scores?: readonly ExtraScore[] | undefined;
  /**
   * Bytes that work and results may take beside features and responses; without it no limit is set, and some 2 GB go to work done side by side. Less
   * is done at a time where that helps; what cannot fit (by an estimate from the sizes) is ERR_MEMORY before anything is computed.
   */
  memory?: number | undefined;
  /** Names of the targets; their numbers by default. */
  names?: readonly string[] | undefined;
  /** What the layers go by; 0, 1, ... by default. */
  layers?: readonly number[] | undefined;
  /** Keep held-out predictions [L, n, t]; NaN where a row is in no test fold. Dispose it. Default false. */
  predictions?: boolean | undefined;
  /**
   * Keep the fits of each fold's training rows (fixed: of all rows), in units of the given features ('primal': [L, F, p, t] and intercepts
   * [L, F, t]) or of the training rows ('dual': [L, F, rows, t], on centred features and responses). Dispose them. Default none.
   */
  weights?: 'primal' | 'dual' | undefined;
}

/** exp(-gamma |x - y|^2), or (gamma x . y + offset)^degree. `gamma` is 1 / columns, `offset` 1 and `degree` 3 by default. */
export interface KernelOptions {
  kind: 'rbf' | 'polynomial';
  gamma?: number | undefined;
  offset?: number | undefined;
  degree?: number | undefined;
}

export type ExtraScore = 'spearman' | 'explained';

export interface EncodeScores {
  /** Means over folds, by layer and target. */
  layers: LayerScores[];
  /** Every fold's scores. */
  folds: FoldScores;
  /** The grid, ascending. */
  alphas: Float64Array;
  /** What a reader should know: choices at an end of the grid, targets without scores, shuffled folds. */
  warnings: string[];
  predictions?: Tensor;
  /** NaN for targets that are constant in the training rows. */
  weights?: Tensor;
  intercepts?: Tensor;
}

/** From this many targets on, 'auto' is single precision. */
const kManyTargets = 2000;

/** What native encoding is told besides the data. @throws RangeError or TypeError (ERR_ARGUMENT), ERR_DATA. */
export function encodeSettings(
  rows: number,
  columns: number,
  targets: number,
  options: EncodeOptions,
): Omit<EncodeArgs, 'features' | 'responses' | 'responsesFile'> {
  const alphas = parseAlphas(options.alphas ?? kDefaultAlphas);
  const selection = oneOf('selection', options.selection, ['nested', 'fixed', 'loo', 'gcv']);
  const precision = oneOf('precision', options.precision, ['auto', 'single', 'double']);
  const scores = options.scores ?? [];
  const { memory } = options;
  if (memory !== undefined && !(memory > 0 && Number.isFinite(memory)))
    throw expected('memory', 'bytes, above 0', memory);
  oneOf('missing', options.missing, ['error', 'drop']);
  for (const score of scores) oneOf('scores', score, ['spearman', 'explained']);
  const fixed = selection === 'fixed';
  return {
    folds: fixed ? fixedFolds(rows, options) : foldRows(rows, alphas.length > 1 && selection === 'nested', options),
    selection: selection === 'loo' || selection === 'gcv' ? selection : 'folds',
    kernel: options.kernel && kernelOf(options.kernel, columns, options),
    alphas,
    standardize: oneOf('standardize', options.standardize, ['zscore', 'center']),
    alphaPer: oneOf('alphaPer', options.alphaPer, ['target', 'shared']),
    fixed,
    memory,
    precision: precision === 'single' || (precision === 'auto' && targets >= kManyTargets) ? 'single' : 'double',
    rowWeights: options.sampleWeights === undefined ? undefined : rowWeights(options.sampleWeights, rows),
    predictions: options.predictions === true,
    weights: options.weights === undefined ? 'none' : oneOf('weights', options.weights, ['primal', 'dual']),
    spearman: scores.includes('spearman'),
    explained: scores.includes('explained'),
  };
}

/** The folds that options ask for; `choosing`: with inner folds. */
export function foldRows(rows: number, choosing: boolean, options: EncodeOptions): FoldRows[] {
  const { folds = 'contiguous:5', trim = 0, gap = 0, groups } = options;
  if (Array.isArray(folds)) return folds;
  const spec = typeof folds === 'string' ? parseFolds(folds) : folds;
  return makeFolds({ rows, ...spec, inner: choosing ? (options.innerFolds ?? 5) : 0, trim, gap, groups });
}

/** One fold that trains on all rows that some fold uses; the folds asked for are its inner ones. */
function fixedFolds(rows: number, options: EncodeOptions): FoldRows[] {
  const inner = foldRows(rows, false, options).map(({ train, test }) => ({ train, test }));
  const used = new Set(inner.flatMap(({ train, test }) => [...train, ...test]));
  const train = Int32Array.from([...used].sort((a, b) => a - b));
  return [{ train, test: new Int32Array(), inner }];
}

function kernelOf(kernel: KernelOptions, columns: number, options: EncodeOptions): NonNullable<EncodeArgs['kernel']> {
  const { gamma = 1 / columns, offset = 1, degree = 3 } = kernel;
  const kind = oneOf('kernel.kind', kernel.kind, ['rbf', 'polynomial']);
  if (!(gamma > 0) || !Number.isFinite(gamma)) throw expected('kernel.gamma', 'a number above 0', gamma);
  if (!Number.isFinite(offset) || offset < 0) throw expected('kernel.offset', 'a number of at least 0', offset);
  if (!Number.isInteger(degree) || degree < 1) throw expected('kernel.degree', 'an integer of at least 1', degree);
  if (options.weights === 'primal')
    throw expected('weights', '`dual` with a kernel: its features have no weights', 'primal');
  return { kind, gamma, offset, degree };
}

function rowWeights(given: ArrayLike<number>, rows: number): Float64Array {
  const weights = Float64Array.from(given);
  if (weights.length !== rows) throw expected('sampleWeights', `one for each of the ${rows} rows`, weights.length);
  const wrong = weights.find((weight) => !(weight > 0) || !Number.isFinite(weight));
  if (wrong !== undefined) throw expected('sampleWeights', 'positive numbers; leave rows of weight 0 out', wrong);
  return weights;
}

export function isShuffled(folds: EncodeOptions['folds']): boolean {
  if (Array.isArray(folds)) return false;
  return (typeof folds === 'string' ? parseFolds(folds).kind : folds?.kind) === 'shuffled';
}

export function oneOf<T extends string>(name: string, value: T | undefined, choices: readonly [T, ...T[]]): T {
  if (value !== undefined && !choices.includes(value))
    throw expected(name, choices.map((choice) => `\`${choice}\``).join(' or '), value);
  return value ?? choices[0];
}

/** One constant target has no score; when none varies, the wrong column was chosen. */
export function checkVaries({ data, rows, columns }: Matrix): void {
  for (let at = columns; at < rows * columns; at++) if (data[at] !== data[at % columns]) return;
  throw new CortuneError(
    'ERR_DATA',
    `Expected responses that vary, got ${columns === 1 ? 'a target that is' : `${columns} targets that are all`} constant. Check which columns hold the responses.`,
  );
}

export function checkFinite(responses: Matrix, names: readonly string[]): void {
  const at = responses.data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const row = Math.floor(at / responses.columns);
  throw new CortuneError(
    'ERR_DATA',
    `Expected responses to be finite numbers, got ${responses.data[at]} in row ${row} of \`${names[at % responses.columns]}\` (rows count from 0). Remove that row, fill the value, ${Number.isNaN(responses.data[at]!) ? "drop it (`missing: 'drop'`, --missing drop), " : ''}or leave that target out.`,
  );
}
