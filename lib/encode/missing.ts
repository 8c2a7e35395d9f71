/** Targets with missing values: those that lack the same rows are encoded together, without these rows. */
import type { Matrix } from '../data/types.js';
import { CortuneError, expected } from '../errors.js';
import type { FoldRows } from '../native/types.js';
import { Tensor } from '../tensor.js';
import { type EncodeOptions, type EncodeScores, foldRows } from './options.js';
import { type FoldScores, tabulate, warningsOf } from './scores.js';

type Encode = (features: Tensor, responses: Matrix, options: EncodeOptions) => Promise<EncodeScores>;

/** As `encode`, with NaN responses left out of their target alone. `encodeWhole` encodes responses without NaN. */
export async function encodeMissing(
  features: Tensor,
  responses: Matrix,
  options: EncodeOptions,
  encodeWhole: Encode,
): Promise<EncodeScores> {
  const { rows: n, columns: t, data } = responses;
  if (options.weights === 'dual') throw expected('weights', '`primal` where responses are missing', 'dual');
  const names = options.names ?? Array.from({ length: t }, (_, i) => String(i));
  const nested = options.selection === undefined || options.selection === 'nested';
  const folds = foldRows(n, nested, options);
  const layers =
    options.layers ?? Array.from({ length: features.shape.length === 3 ? features.shape[0]! : 1 }, (_, l) => l);
  // 'auto' goes by all targets, not by those of one group.
  const precision =
    options.precision === undefined || options.precision === 'auto'
      ? t >= 2000
        ? 'single'
        : 'double'
      : options.precision;
  const merged = new Merged(t);
  const groups = [...patterns(data, n, t)].flatMap(({ missing, columns }) => {
    const left = withoutRows(folds, missing, nested);
    return left ? [{ missing, columns, left }] : [];
  });
  const total = groups.reduce((sum, { columns }) => sum + columns.length, 0);
  let done = 0;
  for (const { missing, columns, left } of groups) {
    const part = { data: new Float32Array(n * columns.length), rows: n, columns: columns.length };
    for (let row = 0; row < n; row++)
      for (const [j, column] of columns.entries())
        part.data[row * columns.length + j] = missing.has(row) ? 0 : data[row * t + column]!;
    const before = done;
    const { onProgress } = options;
    const scores = await encodeWhole(features, part, {
      ...options,
      missing: 'error',
      folds: left,
      precision,
      names: columns.map((column) => names[column]!),
      ...(onProgress && {
        onProgress: (p) =>
          onProgress({ ...p, done: before * p.total + p.done * columns.length, total: p.total * total }),
      }),
    });
    merged.add(scores, columns);
    done += columns.length;
  }
  return merged.result(layers, names);
}

/** Targets by the rows they lack, in order of appearance. */
function patterns(data: Float32Array, n: number, t: number) {
  const found = new Map<string, { missing: Set<number>; columns: number[] }>();
  for (let column = 0; column < t; column++) {
    const missing: number[] = [];
    for (let row = 0; row < n; row++) if (Number.isNaN(data[row * t + column]!)) missing.push(row);
    const key = missing.join();
    const pattern = found.get(key) ?? { missing: new Set(missing), columns: [] };
    pattern.columns.push(column);
    found.set(key, pattern);
  }
  return found.values();
}

/** Folds less some rows; undefined when one is left without rows to train on or to score. */
function withoutRows(folds: FoldRows[], missing: Set<number>, nested: boolean): FoldRows[] | undefined {
  const keep = (rows: Int32Array) => rows.filter((row) => !missing.has(row));
  const usable = ({ train, test }: { train: Int32Array; test: Int32Array }) => train.length >= 2 && test.length >= 1;
  const left = folds.map(({ train, test, inner }) => ({
    train: keep(train),
    test: keep(test),
    inner: inner.map((each) => ({ train: keep(each.train), test: keep(each.test) })).filter(usable),
  }));
  const whole = left.every(
    (fold, f) => usable(fold) && (!nested || folds[f]!.inner.length === 0 || fold.inner.length > 0),
  );
  return whole ? left : undefined;
}

type Series = Float32Array | Float64Array;

/** Results of groups of targets, put at their places; targets are the last axis of everything. */
class Merged {
  private readonly series = new Map<string, Series>();
  private readonly shapes = new Map<string, readonly number[]>();
  private first: EncodeScores | undefined;
  private readonly notes = new Set<string>();

  constructor(private readonly targets: number) {}

  add(scores: EncodeScores, columns: number[]): void {
    this.first ??= scores;
    const { folds, layers, targets, ...values } = scores.folds;
    for (const [name, part] of Object.entries(values)) this.put(name, part as Series, columns);
    for (const name of ['predictions', 'weights', 'intercepts'] as const) {
      const tensor = scores[name];
      if (!tensor) continue;
      this.put(name, tensor.toArray(), columns);
      this.shapes.set(name, [...tensor.shape.slice(0, -1), this.targets]);
      tensor.dispose();
    }
    for (const warning of scores.warnings) if (/^(Folds are|Alphas were)/.test(warning)) this.notes.add(warning);
  }

  private put(name: string, part: Series, columns: number[]): void {
    const leads = part.length / columns.length;
    const kind = part instanceof Float32Array ? Float32Array : Float64Array;
    const into = this.series.get(name) ?? new kind(leads * this.targets).fill(Number.NaN);
    for (let lead = 0; lead < leads; lead++)
      for (const [j, column] of columns.entries())
        into[lead * this.targets + column] = part[lead * columns.length + j]!;
    this.series.set(name, into);
  }

  result(layers: readonly number[], names: readonly string[]): EncodeScores {
    if (!this.first)
      throw new CortuneError(
        'ERR_DATA',
        'Expected a target with rows to train on and to score in every fold, and every target lacks too many. Use fewer folds, or leave targets out.',
      );
    const { predictions, weights, intercepts, ...values } = Object.fromEntries(this.series);
    const folds = { ...this.first.folds, ...values, targets: this.targets } as FoldScores;
    const tensor = (name: string, data: Series | undefined) =>
      data && { [name]: Tensor.from(data as Float32Array, this.shapes.get(name)!) };
    return {
      layers: tabulate(folds, layers, names),
      folds,
      alphas: this.first.alphas,
      warnings: [...this.notes, ...warningsOf(folds, this.first.alphas, names)],
      ...tensor('predictions', predictions),
      ...tensor('weights', weights),
      ...tensor('intercepts', intercepts),
    };
  }
}
