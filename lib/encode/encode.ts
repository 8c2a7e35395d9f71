/** Encoding models: how well features of each layer predict each response, by cross-validated ridge. */
import { expected } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { Tensor } from '../tensor.js';
import { encodeMissing } from './missing.js';
import { type EncodeOptions, type EncodeScores, encodeSettings, isShuffled } from './options.js';
import { checkRows, type Responses, ResponsesFile, responsesArgument, responsesShape } from './responses.js';
import { type FoldScores, tabulate, warningsOf } from './scores.js';

export { type EncodeOptions, type EncodeScores, type ExtraScore, foldRows } from './options.js';

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
 * Factorisations are in float64, products with responses as `precision` says. Scores have the same bits for any number of threads; they do not depend on
 * how many layers or targets go into one call, but for rounding (1e-9; single precision 1e-5).
 *
 * @param features [L, n, p], or [n, p] for one layer.
 * @param responses [n, t]; a ResponsesFile is read piece by piece.
 * @throws RangeError or TypeError (ERR_ARGUMENT) for options; ERR_DATA for mismatched rows and values that are not finite; ERR_CANCELLED.
 */
export async function encode(
  features: Tensor,
  responses: Responses,
  options: EncodeOptions = {},
): Promise<EncodeScores> {
  const [L, n] = featureShape(features);
  const [rows, t] = responsesShape(responses);
  const names = labels('names', options.names, t, 'targets', String);
  const layers = labels('layers', options.layers, L, 'layers', (l) => l);
  checkRows(n, responses);
  if (options.missing === 'drop') {
    if (responses instanceof ResponsesFile)
      throw expected('missing', '`error` for responses in a file; read them with a matrix to drop rows', 'drop');
    const data = responses instanceof Tensor ? responses.toArray() : responses.data;
    if (data.some(Number.isNaN)) return await encodeMissing(features, { data, rows, columns: t }, options, encode);
  }
  const settings = encodeSettings(n, features.shape.at(-1)!, t, options);
  using one = features.shape.length === 3 ? undefined : Tensor.from(features.toArray(), [1, ...features.shape]);
  const { argument, dispose } = responsesArgument(responses, names);
  const result = await runJob(
    (onProgress) => native().encode({ features: (one ?? features).handle, ...argument, ...settings }, onProgress),
    options,
  ).finally(dispose);
  const { r, r2, alpha, spearman, explained, error } = result;
  const count = settings.fixed ? settings.folds[0]!.inner.length : settings.folds.length;
  const scores: FoldScores = {
    layers: L,
    folds: count,
    targets: t,
    r,
    r2,
    alpha,
    ...(spearman && { spearman }),
    ...(explained && { explained }),
    ...(error && { error }),
  };
  const { predictions, weights, intercepts } = result;
  return {
    layers: tabulate(scores, layers, names),
    folds: scores,
    alphas: settings.alphas,
    warnings: [...choiceWarnings(options), ...warningsOf(scores, settings.alphas, names)],
    ...(predictions && { predictions: new Tensor(predictions) }),
    ...(weights && { weights: new Tensor(weights) }),
    ...(intercepts && { intercepts: new Tensor(intercepts) }),
  };
}

function choiceWarnings(options: EncodeOptions): string[] {
  const warnings: string[] = [];
  if (isShuffled(options.folds))
    warnings.push(
      'Folds are shuffled: neighbouring rows resemble each other, so scores are inflated. Use contiguous or grouped folds to generalise.',
    );
  if (options.selection === 'fixed')
    warnings.push(
      'Alphas were chosen by the held-out rows that are scored, so scores are somewhat too good. Use nested selection for scores to report.',
    );
  return warnings;
}

function featureShape(features: Tensor): [layers: number, rows: number] {
  const { shape } = features;
  if (shape.length === 3 && features.size > 0) return [shape[0]!, shape[1]!];
  if (shape.length === 2 && features.size > 0) return [1, shape[0]!];
  throw expected('features', 'a tensor [layers, rows, columns] or [rows, columns], none of them 0', [...shape]);
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
