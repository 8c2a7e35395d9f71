/** Linear classifiers, cross-validated, against shuffled labels. */
import { type EncodeOptions, encode, foldRows } from '../encode/encode.js';
import { CortuneError, expected } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { FoldRows } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { groupNumbers, pValue } from './match.js';
import { type Exchange, parseExchange, rowOrders } from './surrogates.js';

export interface ClassifyOptions
  extends Pick<
    EncodeOptions,
    'folds' | 'innerFolds' | 'groups' | 'alphas' | 'standardize' | 'trim' | 'gap' | 'signal' | 'onProgress'
  > {
  /** 'logistic' (default): multinomial logistic regression. 'ridge': ridge regression on -1 and 1 for each class. */
  classifier?: 'logistic' | 'ridge' | undefined;
  /** Logistic: weight of the losses against the penalty `|W|^2 / 2`, as scikit-learn's C; default 1. */
  c?: number | undefined;
  /** Shuffles of the labels (within `groups`), each fitted anew; default 100, 0 for none. */
  permutations?: number | undefined;
  /** What is exchanged in a shuffle: `rows` (default), `block:ROWS` or `circular` where neighbouring rows are alike. */
  exchange?: string | Exchange | undefined;
  /** Of the shuffles; default 0. */
  seed?: number | undefined;
}

export interface Classified {
  /** Share of held-out rows with the right label. */
  accuracy: number;
  /** Mean over classes of the share of its rows that are right: 1 / classes by chance however unequal they are. */
  balanced: number;
  /** Classes in the order of their first row. */
  classes: string[];
  /** Predicted class of each row; undefined for a row that no fold holds out. */
  predicted: (string | undefined)[];
  /** [true class][predicted class]: numbers of rows. */
  confusion: number[][];
  /** Accuracy and balanced accuracy with shuffled labels. */
  baseline: Float64Array;
  baselineBalanced: Float64Array;
  /** Of the balanced accuracy; NaN without shuffles. */
  p: number;
}

/**
 * Predicts labels from features (or responses) by a linear classifier, cross-validated. Features are centred and scaled by the training rows.
 *
 * Logistic regression minimises `C sum of losses + |W|^2 / 2`, as scikit-learn's `LogisticRegression`. The ridge classifier regresses on -1
 * and 1 for each class with a penalty chosen within the training rows for each class, and takes the class of the largest prediction.
 *
 * @param features [n, p], or [1, n, p].
 * @param labels one a row.
 * @throws ERR_ARGUMENT for options; ERR_DATA for a class that a fold leaves without training rows, and values that are not finite.
 */
export async function classify(
  features: Tensor,
  labels: readonly string[],
  options: ClassifyOptions = {},
): Promise<Classified> {
  const { classifier = 'logistic', permutations = 100, seed = 0, c = 1 } = options;
  const [n, p] = features.shape.slice(-2) as [number, number];
  if (features.size !== n * p) throw expected('features', 'a tensor [rows, columns]', [...features.shape]);
  if (labels.length !== n) throw expected('labels', `one for each of the ${n} rows`, labels.length);
  if (!Number.isInteger(permutations) || permutations < 0)
    throw expected('permutations', 'a whole number of shuffles, 0 or more', permutations);
  if (!(c > 0 && Number.isFinite(c))) throw expected('c', 'a positive number', c);
  const classes = [...new Set(labels)];
  if (classes.length < 2) throw expected('labels', 'of at least 2 classes', classes);
  const truth = groupNumbers(labels, n);
  const choosing = classifier === 'ridge' && (options.alphas === undefined || options.alphas.length > 1);
  const folds = foldRows(n, choosing, options);
  checkClasses(folds, truth, classes);
  const how = typeof options.exchange === 'object' ? options.exchange : parseExchange(options.exchange ?? 'rows');
  const orders = rowOrders(how, n, groupNumbers(options.groups, n), permutations, seed);
  const sets = labelSets(truth, orders);
  using flat = Tensor.from(features.toArray(), [n, p]);
  let predicted: Float64Array;
  if (classifier === 'logistic') predicted = await byLogistic(flat, sets, classes.length, folds, c, options);
  else if (classifier === 'ridge') predicted = await byRidge(flat, sets, classes.length, folds, options);
  else throw expected('classifier', '`logistic` or `ridge`', classifier);
  const scores = Array.from({ length: permutations + 1 }, (_, s) =>
    scoreOf(predicted.subarray(s * n, (s + 1) * n), sets.subarray(s * n, (s + 1) * n), classes.length),
  );
  const [own, ...shuffled] = scores as [SetScore, ...SetScore[]];
  const baselineBalanced = Float64Array.from(shuffled, ({ balanced }) => balanced);
  return {
    accuracy: own.accuracy,
    balanced: own.balanced,
    classes,
    predicted: Array.from(predicted.subarray(0, n), (label) => classes[label]),
    confusion: own.confusion,
    baseline: Float64Array.from(shuffled, ({ accuracy }) => accuracy),
    baselineBalanced,
    p: permutations === 0 ? Number.NaN : pValue(own.balanced, baselineBalanced),
  };
}

function checkClasses(folds: readonly FoldRows[], truth: Int32Array, classes: readonly string[]): void {
  for (const [f, { train }] of folds.entries()) {
    const seen = new Set(Array.from(train, (row) => truth[row]!));
    const missing = classes.find((_, k) => !seen.has(k));
    if (missing !== undefined)
      throw new CortuneError(
        'ERR_DATA',
        `Expected every class among the training rows of fold ${f}, got none of \`${missing}\`. Use fewer folds, or grouped or shuffled ones.`,
      );
  }
}

/** The labels, and each shuffle of them: [1 + permutations, n]. */
function labelSets(truth: Int32Array, orders: Int32Array): Int32Array {
  const sets = new Int32Array(truth.length + orders.length);
  sets.set(truth);
  for (const [i, row] of orders.entries()) sets[truth.length + i] = truth[row]!;
  return sets;
}

async function byLogistic(
  features: Tensor,
  labels: Int32Array,
  classes: number,
  folds: readonly FoldRows[],
  c: number,
  options: ClassifyOptions,
): Promise<Float64Array> {
  const args = {
    features: features.handle,
    folds: folds.map(({ train, test }) => ({ train, test })),
    labels,
    classes,
    c,
    zscore: options.standardize !== 'center',
  };
  return runJob((onProgress) => native().logistic(args, onProgress), options);
}

/** All labellings are columns of one encoding: [n, sets * classes] of -1 and 1. */
async function byRidge(
  features: Tensor,
  labels: Int32Array,
  classes: number,
  folds: FoldRows[],
  options: ClassifyOptions,
): Promise<Float64Array> {
  const n = features.shape[0]!;
  const sets = labels.length / n;
  const width = sets * classes;
  const data = new Float32Array(n * width).fill(-1);
  for (let s = 0; s < sets; s++)
    for (let row = 0; row < n; row++) data[row * width + s * classes + labels[s * n + row]!] = 1;
  const { predictions } = await encode(
    features,
    { data, rows: n, columns: width },
    { ...options, folds, predictions: true },
  );
  using kept = predictions!;
  const values = kept.toArray();
  return Float64Array.from(labels, (_, i) => {
    const [s, row] = [Math.floor(i / n), i % n];
    let best = -1;
    for (let k = 0, most = Number.NEGATIVE_INFINITY; k < classes; k++) {
      const value = values[row * width + s * classes + k]!;
      if (value > most) [best, most] = [k, value];
    }
    return best;
  });
}

interface SetScore {
  accuracy: number;
  balanced: number;
  confusion: number[][];
}

function scoreOf(predicted: Float64Array, truth: Int32Array, classes: number): SetScore {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let row = 0; row < truth.length; row++) if (predicted[row]! >= 0) confusion[truth[row]!]![predicted[row]!]!++;
  const sizes = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  const right = confusion.map((row, k) => row[k]!);
  const shares = right.map((count, k) => count / sizes[k]!).filter((share) => !Number.isNaN(share));
  return {
    accuracy: right.reduce((sum, count) => sum + count, 0) / sizes.reduce((sum, count) => sum + count, 0),
    balanced: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    confusion,
  };
}
