/** Encoding models: how well features of each layer predict each response, by cross-validated ridge. */
import type { Matrix } from '../data/types.js';
import { CortuneError, expected } from '../errors.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { FoldRows } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { kDefaultAlphas, parseAlphas } from './alphas.js';
import { type FoldOptions, type FoldSpec, makeFolds, parseFolds } from './folds.js';
import { type FoldScores, type LayerScores, tabulate, warningsOf } from './scores.js';

export interface EncodeOptions extends JobOptions {
  /** `contiguous:COUNT`, `grouped`, `grouped:COUNT`, `shuffled:COUNT:SEED` (see folds.ts), or the rows themselves. Default `contiguous:5`. */
  folds?: string | FoldSpec | FoldRows[] | undefined;
  /** Inner folds, of the same kind, that choose alpha; default 5. Not used with one alpha. */
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
  /** Names of the targets; their numbers by default. */
  names?: readonly string[] | undefined;
  /** What the layers go by; 0, 1, ... by default. */
  layers?: readonly number[] | undefined;
  /** Keep held-out predictions [L, n, t]; NaN where a row is in no test fold. Dispose it. Default false. */
  predictions?: boolean | undefined;
}

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
}

/**
 * Cross-validated ridge regression of responses on the features of each layer, alpha chosen within the training rows.
 *
 * For every layer and outer fold:
 * 1. features are centred on the means of the training rows and, with 'zscore', divided by their population standard deviations (a
 *    column constant there becomes 0); responses are centred on their means in the training rows;
 * 2. for each inner fold and alpha, the minimum of `|y - b0 - X b|^2 + alpha |b|^2` with an unpenalised intercept of its own is found on the inner
 *    training rows and its mean squared error taken on the inner test rows. The alpha of the smallest mean over inner folds is chosen, for each
 *    target or (shared) by the mean over targets; of equal ones the largest;
 * 3. the fit of all training rows with that alpha predicts the test rows, which gives Pearson r and R2.
 *
 * These are the semantics of scikit-learn's `Pipeline(StandardScaler(), Ridge)` whose alpha is chosen, for each target, on the scaled training
 * rows with the same inner folds, and of himalaya's `KernelRidgeCV(fit_intercept=True)` after a StandardScaler. The sum of squares is penalised,
 * not its mean: the same alpha on twice the rows penalises half as much.
 * All arithmetic is in float64. Scores do not depend on how many layers or targets go into one call, but for rounding (1e-9).
 *
 * @param features [L, n, p], or [n, p] for one layer.
 * @param responses [n, t].
 * @throws RangeError or TypeError (ERR_ARGUMENT) for options; ERR_DATA for mismatched rows and values that are not finite; ERR_CANCELLED.
 */
export async function encode(
  features: Tensor,
  responses: Matrix | Tensor,
  options: EncodeOptions = {},
): Promise<EncodeScores> {
  const [L, n] = featureShape(features);
  const [rows, t] = responses instanceof Tensor ? tensorShape(responses) : [responses.rows, responses.columns];
  const names = labels('names', options.names, t, 'targets', String);
  const layers = labels('layers', options.layers, L, 'layers', (l) => l);
  if (rows !== n)
    throw new CortuneError(
      'ERR_DATA',
      `Expected responses to have as many rows as the features, ${n}, got ${rows}. Each row is one stimulus or volume.`,
    );
  if (!(responses instanceof Tensor)) {
    checkFinite(responses, names);
    checkVaries(responses);
  }
  const alphas = parseAlphas(options.alphas ?? kDefaultAlphas);
  const standardize = oneOf('standardize', options.standardize, ['zscore', 'center']);
  const alphaPer = oneOf('alphaPer', options.alphaPer, ['target', 'shared']);
  const folds = foldRows(n, alphas.length > 1, options);
  using one = features.shape.length === 3 ? undefined : Tensor.from(features.toArray(), [1, ...features.shape]);
  using made = responses instanceof Tensor ? undefined : Tensor.from(responses.data, [rows, t]);
  const result = await runJob(
    (onProgress) =>
      native().encode(
        {
          features: (one ?? features).handle,
          responses: (made ?? (responses as Tensor)).handle,
          folds,
          alphas,
          standardize,
          alphaPer,
          predictions: options.predictions === true,
        },
        onProgress,
      ),
    options,
  );
  const scores: FoldScores = {
    layers: L,
    folds: folds.length,
    targets: t,
    r: result.r,
    r2: result.r2,
    alpha: result.alpha,
  };
  return {
    layers: tabulate(scores, layers, names),
    folds: scores,
    alphas,
    warnings: [...shuffleWarning(options.folds), ...warningsOf(scores, alphas, names)],
    ...(result.predictions ? { predictions: new Tensor(result.predictions) } : {}),
  };
}

/** The folds that options ask for; `choosing`: with inner folds. */
export function foldRows(rows: number, choosing: boolean, options: EncodeOptions): FoldRows[] {
  const { folds = 'contiguous:5', trim = 0, gap = 0, groups } = options;
  if (Array.isArray(folds)) return folds;
  const spec = typeof folds === 'string' ? parseFolds(folds) : folds;
  return makeFolds({ rows, ...spec, inner: choosing ? (options.innerFolds ?? 5) : 0, trim, gap, groups });
}

function shuffleWarning(folds: EncodeOptions['folds']): string[] {
  const kind = typeof folds === 'string' ? parseFolds(folds).kind : Array.isArray(folds) ? undefined : folds?.kind;
  if (kind !== 'shuffled') return [];
  return [
    'Folds are shuffled: neighbouring rows resemble each other, so scores are inflated. Use contiguous or grouped folds to generalise.',
  ];
}

function featureShape(features: Tensor): [layers: number, rows: number] {
  const { shape } = features;
  if (shape.length === 3 && features.size > 0) return [shape[0]!, shape[1]!];
  if (shape.length === 2 && features.size > 0) return [1, shape[0]!];
  throw expected('features', 'a tensor [layers, rows, columns] or [rows, columns], none of them 0', [...shape]);
}

function tensorShape(responses: Tensor): [rows: number, columns: number] {
  if (responses.shape.length !== 2) throw expected('responses', 'a tensor [rows, targets]', [...responses.shape]);
  return [responses.shape[0]!, responses.shape[1]!];
}

function labels<T>(
  name: string,
  given: readonly T[] | undefined,
  count: number,
  what: string,
  make: (i: number) => T,
): readonly T[] {
  if (given !== undefined && given.length !== count)
    throw expected(name, `one for each of the ${count} ${what}`, given);
  return given ?? Array.from({ length: count }, (_, i) => make(i));
}

function oneOf<T extends string>(name: string, value: T | undefined, choices: readonly [T, ...T[]]): T {
  if (value !== undefined && !choices.includes(value))
    throw expected(name, choices.map((choice) => `\`${choice}\``).join(' or '), value);
  return value ?? choices[0];
}

/** One constant target has no score; when none varies, the wrong column was chosen. */
function checkVaries({ data, rows, columns }: Matrix): void {
  for (let at = columns; at < rows * columns; at++) if (data[at] !== data[at % columns]) return;
  throw new CortuneError(
    'ERR_DATA',
    `Expected responses that vary, got ${columns === 1 ? 'a target that is' : `${columns} targets that are all`} constant. Check which columns hold the responses.`,
  );
}

function checkFinite(responses: Matrix, names: readonly string[]): void {
  const at = responses.data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const row = Math.floor(at / responses.columns);
  throw new CortuneError(
    'ERR_DATA',
    `Expected responses to be finite numbers, got ${responses.data[at]} in row ${row} of \`${names[at % responses.columns]}\` (rows count from 0). Remove that row, fill the value, or leave that target out.`,
  );
}
