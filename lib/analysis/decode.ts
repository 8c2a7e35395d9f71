/** Decoding: embeddings predicted from responses by the same ridge engine, and how well rows are told apart by them. */

import type { Matrix } from '../data/types.js';
import { type EncodeOptions, encode, foldRows } from '../encode/encode.js';
import { oneOf } from '../encode/options.js';
import { type RefitPermutedOptions, refitPermuted } from '../encode/permute.js';
import { CortuneError, expected } from '../errors.js';
import type { FoldRows } from '../native/types.js';
import { meanOfKnown } from '../numbers.js';
import { Tensor } from '../tensor.js';
import { groupNumbers, type MatchOptions, type MatchScore, matchRows } from './match.js';
import { exchanges, type Refit } from './refit.js';
import { count } from './resample.js';
import { parseExchange } from './surrogates.js';

export interface DecodeOptions
  extends Pick<
    EncodeOptions,
    | 'folds'
    | 'innerFolds'
    | 'trim'
    | 'gap'
    | 'groups'
    | 'alphas'
    | 'alphaPer'
    | 'standardize'
    | 'layers'
    | 'signal'
    | 'onProgress'
  > {
  /**
   * 'zscore' (default): before rows are compared, every embedding column of predictions and of truth is z-scored by the training rows of its fold, so
   * that a few columns of large values do not decide alone. 'raw': as they are.
   */
  columns?: 'zscore' | 'raw' | undefined;
  /** How alike two rows are; default 'correlation'. */
  metric?: 'correlation' | 'cosine' | undefined;
  /** Compare rows with all others (default), or with those of the same test fold or group only. */
  within?: 'all' | 'fold' | 'group' | undefined;
  /** Shuffles of the rows for the chance level; default 0. */
  permutations?: number | undefined;
  /** What is exchanged in a shuffle: `rows` (default), or `block:ROWS`, `circular` or `phase` for time courses. */
  exchange?: MatchOptions['exchange'];
  /**
   * What a shuffle is: 'fixed' (default), all rows of the embeddings exchanged within runs (`groups`) and decoded again, with the alphas that were
   * chosen; 'reselect', with alphas chosen anew by inner folds; 'none', held-out rows exchanged (where `within` is given, within those) against
   * the decoded rows as they are. That is cheap, and right for one test fold alone: several are predicted from each other, and p comes out too small.
   */
  refit?: Refit | 'none' | undefined;
  /** Of the shuffles; default 0. */
  seed?: number | undefined;
}

/** One layer of embeddings decoded from responses. */
export interface DecodedLayer extends MatchScore {
  layer: number;
  /** Mean over embedding columns of the held-out Pearson r (columns without one passed over). */
  r: number;
}

export interface Decoded {
  layers: DecodedLayer[];
  /** Rows that were held out and compared. */
  rows: number;
  folds: number;
  warnings: string[];
}

/**
 * Decodes every layer of embeddings from responses, cross-validated: `encode` with the roles swapped (responses predict each embedding column,
 * penalties chosen within the training rows), then 2v2 accuracy, rank accuracy and identification of the held-out rows.
 *
 * @param responses [n, t]: all columns are used together; give the columns of one region for a region's score.
 * @param embeddings [L, n, p] or [n, p].
 * @throws what `encode` throws.
 */
export async function decode(responses: Matrix, embeddings: Tensor, options: DecodeOptions = {}): Promise<Decoded> {
  const { columns = 'zscore', within = 'all', metric, permutations = 0, seed = 0, signal, onProgress } = options;
  if (columns !== 'zscore' && columns !== 'raw') throw expected('columns', '`zscore` or `raw`', columns);
  if (!['all', 'fold', 'group'].includes(within)) throw expected('within', '`all`, `fold` or `group`', within);
  if (within === 'group' && options.groups === undefined)
    throw expected('groups', 'given, to compare rows within them', options.groups, 'type');
  const refit = oneOf('refit', options.refit, ['fixed', 'reselect', 'none']);
  if (permutations !== 0) count('permutations', permutations);
  const how = typeof options.exchange === 'object' ? options.exchange : parseExchange(options.exchange ?? 'rows');
  const shape = embeddings.shape.length === 2 ? [1, ...embeddings.shape] : [...embeddings.shape];
  const [L, n, p] = shape as [number, number, number];
  if (shape.length !== 3 || embeddings.size === 0)
    throw expected('embeddings', 'a tensor [layers, rows, columns] or [rows, columns]', [...embeddings.shape]);
  if (responses.rows !== n)
    throw new CortuneError('ERR_DATA', `Expected ${n} rows of responses, as of the embeddings, got ${responses.rows}.`);
  const values = embeddings.toArray();
  checkEmbeddings(values, n, p);
  const layers = options.layers ?? Array.from({ length: L }, (_, l) => l);
  if (layers.length !== L) throw expected('layers', `one for each of the ${L} layers`, layers);
  const refitted = permutations > 0 && refit !== 'none';
  const exchanged = refitted ? exchanges(how, n, options.groups, permutations, seed) : undefined;
  // [L, n, p] -> one response matrix [n, L p]: the responses are factored once for all layers.
  const truth = { data: sideBySide(values, L, n, p), rows: n, columns: L * p };
  const choosing = options.alphas === undefined || options.alphas.length > 1;
  const folds = foldRows(n, choosing, options);
  const fitting = { ...options, folds, layers: undefined, names: undefined };
  using features = Tensor.from(responses.data, [1, n, responses.columns]);
  const found = await encode(features, truth, { ...fitting, predictions: true });
  using predictions = found.predictions!;
  const rows = folds.flatMap(({ test }) => [...test]).sort((a, b) => a - b);
  const predicted = predictions.toArray();
  const actual = columns === 'zscore' ? scaleByTraining(predicted, truth.data, folds, L * p) : truth.data;
  using a = Tensor.from(stacked(predicted, rows, L, p), [L, rows.length, p]);
  using b = Tensor.from(stacked(actual, rows, L, p), [L, rows.length, p]);
  const labels = within === 'all' ? undefined : labelOf(within, folds, options.groups);
  const scores = await matchRows(a, b, {
    ...{ metric, seed, signal, onProgress, groups: labels && rows.map((row) => labels(row)!) },
    ...(!refitted && { permutations, exchange: how }),
  });
  const places = labels && Array.from({ length: n }, (_, row) => labels(row) ?? '');
  const match = {
    ...{ columns: p, metric: metric ?? 'correlation', zscore: columns === 'zscore' },
    groups: groupNumbers(places, n),
  };
  const chosen = refit === 'fixed' ? found.folds : undefined;
  const again = { ...fitting, ...exchanged, chosen, match };
  const nulls = exchanged && (await shuffles(features, truth, again, scores[0]!.pairs));
  return {
    layers: scores.map((score, l) => ({
      layer: layers[l]!,
      r: meanOfKnown(found.layers[0]!.targets.slice(l * p, (l + 1) * p).map((target) => target.r)),
      ...score,
      ...nulls?.[l],
    })),
    rows: rows.length,
    folds: folds.length,
    warnings: found.warnings.filter((warning) => !warning.startsWith('No score')),
  };
}

/** 2v2 accuracies of every layer with all fits made again, and p: of the layer's own accuracy, computed as those are. */
async function shuffles(
  features: Tensor,
  truth: Matrix,
  options: RefitPermutedOptions,
  pairs: number,
): Promise<Pick<MatchScore, 'baseline' | 'p'>[]> {
  const { observed, reached, scores } = await refitPermuted(features, truth, { ...options, keep: true });
  using kept = scores!;
  const [P, L] = kept.shape as [number, number];
  const values = kept.toArray();
  return Array.from(observed, (value, l) => ({
    // Kept in float32, of which a count of pairs is the nearest whole number.
    baseline: Float64Array.from({ length: P }, (_, k) => Math.round(values[k * L + l]! * pairs) / pairs),
    p: Number.isNaN(value) ? Number.NaN : (1 + reached[l]!) / (1 + P),
  }));
}

/** Is every column of every layer [n, p] the same in all rows? */
export function isConstant(values: Float32Array, n: number, p: number): boolean {
  return values.every((value, i) => value === values[Math.floor(i / (n * p)) * n * p + (i % p)]);
}

/** Throws ERR_DATA for values that are not finite, and for embeddings of which no column varies. */
function checkEmbeddings(values: Float32Array, n: number, p: number): void {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new CortuneError(
      'ERR_DATA',
      `Expected embeddings to be finite numbers, got ${values[bad]} at layer ${Math.floor(bad / (n * p))}, row ${Math.floor(bad / p) % n}, column ${bad % p} (counted from 0).`,
    );
  if (isConstant(values, n, p))
    throw new CortuneError('ERR_DATA', 'Expected embeddings that vary over rows, got constant ones in every column.');
}

function labelOf(
  within: 'fold' | 'group',
  folds: readonly FoldRows[],
  groups: DecodeOptions['groups'],
): (row: number) => string | number | undefined {
  if (within === 'group') return (row) => groups![row]!;
  const fold = new Map(folds.flatMap(({ test }, f) => [...test].map((row) => [row, f] as const)));
  return (row) => fold.get(row);
}

/** [L, n, p] -> [n, L p]. */
function sideBySide(values: Float32Array, L: number, n: number, p: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let l = 0; l < L; l++)
    for (let row = 0; row < n; row++)
      out.set(values.subarray((l * n + row) * p, (l * n + row + 1) * p), (row * L + l) * p);
  return out;
}

/** Some rows of [n, L p] -> [L, rows, p]. */
function stacked(values: Float32Array, rows: readonly number[], L: number, p: number): Float32Array {
  const out = new Float32Array(L * rows.length * p);
  for (let l = 0; l < L; l++)
    for (const [i, row] of rows.entries())
      out.set(values.subarray((row * L + l) * p, (row * L + l + 1) * p), (l * rows.length + i) * p);
  return out;
}

/**
 * Test rows of both, z-scored by the mean and deviation of the truth in the training rows; a constant column becomes 0. Predictions are
 * changed in place.
 */
function scaleByTraining(
  predicted: Float32Array,
  truth: Float32Array,
  folds: readonly FoldRows[],
  width: number,
): Float32Array {
  const scaled = truth.slice();
  for (const { train, test } of folds) {
    const { mean, scale } = moments(truth, train, width);
    for (const row of test)
      for (let c = 0; c < width; c++) {
        const at = row * width + c;
        predicted[at] = scale[c] === 0 ? 0 : (predicted[at]! - mean[c]!) * scale[c]!;
        scaled[at] = (truth[at]! - mean[c]!) * scale[c]!;
      }
  }
  return scaled;
}

function moments(values: Float32Array, rows: Int32Array, width: number): { mean: Float64Array; scale: Float64Array } {
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  for (const row of rows) for (let c = 0; c < width; c++) mean[c]! += values[row * width + c]! / rows.length;
  for (const row of rows)
    for (let c = 0; c < width; c++) squares[c]! += (values[row * width + c]! - mean[c]!) ** 2 / rows.length;
  const scale = squares.map((square, c) => (square > (1e-7 * mean[c]!) ** 2 ? 1 / Math.sqrt(square) : 0));
  return { mean, scale };
}
