/** Which rows train and which are held out: contiguous, grouped or (opt-in) shuffled folds, nested, with trimmed ends. */
import { CortuneError, expected } from '../errors.js';
import type { FoldRows } from '../native/types.js';
import { Random } from '../random.js';

/** How rows are cut into folds. */
export interface FoldSpec {
  /**
   * 'contiguous': blocks of neighbouring rows (as numpy.array_split: the first ones are one row longer).
   * 'grouped': rows of one group (run, story, passage) stay together.
   * 'shuffled': rows at random. Neighbouring volumes or sentences resemble each other, so this inflates scores; say so beside them.
   */
  kind: 'contiguous' | 'grouped' | 'shuffled';
  /** Folds; for grouped 0 means one fold a group. */
  count: number;
  /** Of 'shuffled'. */
  seed: number;
}

const kForm = '`contiguous:COUNT`, `grouped`, `grouped:COUNT` or `shuffled:COUNT:SEED`';

/**
 * Reads `contiguous:5`, `grouped` (one fold a group), `grouped:5` or `shuffled:5:seed`. Without a count there are 5 folds, without
 * a seed it is 0.
 * @throws RangeError (ERR_ARGUMENT).
 */
export function parseFolds(text: string): FoldSpec {
  const [kind, count, seed, ...rest] = text.trim().split(':');
  if (kind !== 'contiguous' && kind !== 'grouped' && kind !== 'shuffled') throw expected('folds', kForm, text);
  const numbers = [count ?? (kind === 'grouped' ? '0' : '5'), seed ?? '0'].map((part) =>
    /^\d{1,9}$/.test(part) ? Number(part) : Number.NaN,
  );
  const whole = kind === 'grouped' && count === undefined;
  if (rest.length > 0 || (seed !== undefined && kind !== 'shuffled') || numbers.some(Number.isNaN))
    throw expected('folds', kForm, text);
  if (!whole && numbers[0]! < 2) throw expected('folds', 'at least 2 folds', text);
  return { kind, count: numbers[0]!, seed: numbers[1]! };
}

/** What makeFolds cuts. */
export interface FoldOptions extends Partial<FoldSpec> {
  /** Rows of the data. */
  rows: number;
  /** Inner folds, of the same kind, over the training rows of each fold; default 5, 0 for none. Grouped: at most one a group left. */
  inner?: number;
  /**
   * Rows at each end of every run of neighbouring held-out rows that are held out but not scored, in outer and inner folds alike: the first
   * volumes of a run hold its transient, and those at a cut look back over it. Default 0.
   */
  trim?: number;
  /**
   * Training rows at most this many rows before or after a held-out row that are left out of training, in outer and inner folds alike: a gap
   * against autocorrelation of the responses and delays of the features. Default 0.
   */
  gap?: number;
  /** Run, story or passage of each row; needed by 'grouped'. */
  groups?: readonly (string | number)[] | undefined;
}

/**
 * Folds over rows 0 to `rows - 1`; every row is held out once by the outer folds, and once by the inner folds of each. Grouped folds are
 * balanced by size (largest group first, each to the smallest fold).
 * @throws RangeError (ERR_ARGUMENT) for fewer rows or groups than folds; CortuneError (ERR_DATA) for a fold that a gap leaves without
 * training rows, or trimming without rows to score.
 */
export function makeFolds(options: FoldOptions): FoldRows[] {
  const { rows, kind = 'contiguous', seed = 0, inner = 5, trim = 0, gap = 0, groups } = options;
  const spec: FoldSpec = { kind, count: options.count ?? (kind === 'grouped' ? 0 : 5), seed };
  whole('rows', rows, 1);
  whole('trim', trim, 0);
  whole('gap', gap, 0);
  whole('inner', inner, 0);
  if (inner === 1) throw expected('inner', 'at least 2 inner folds, or 0 for none', inner);
  if (kind === 'shuffled' && trim > 0)
    throw expected('trim', '0 for shuffled folds, which have no runs of neighbours', trim);
  if (kind === 'grouped') checkGroups(rows, groups);
  const all = Array.from({ length: rows }, (_, row) => row);
  const edges = { trim, gap };
  return cut(all, spec, groups).map((held, f) => {
    const { train, test } = split(all, held, edges, `fold ${f}`);
    const innerSpec = { kind, count: inner, seed: seed + f + 1 };
    return {
      train: Int32Array.from(train),
      test: Int32Array.from(test),
      inner: inner === 0 ? [] : innerFolds(train, innerSpec, edges, groups, f),
    };
  });
}

function innerFolds(
  rows: number[],
  spec: FoldSpec,
  edges: Edges,
  groups: FoldOptions['groups'],
  outer: number,
): FoldRows['inner'] {
  const name = `the training rows of fold ${outer}`;
  let count = spec.count;
  if (spec.kind === 'grouped') {
    const left = new Set(rows.map((row) => groups![row])).size;
    if (left < 2)
      throw expected(
        'groups',
        `at least 2 groups in ${name}, of which inner folds hold one out (or one alpha, which needs none)`,
        left,
      );
    count = Math.min(count, left);
  }
  return cut(rows, { ...spec, count }, groups, name).map((held, i) => {
    const { train, test } = split(rows, held, edges, `fold ${outer}, inner fold ${i}`);
    return { train: Int32Array.from(train), test: Int32Array.from(test) };
  });
}

/** What happens at the ends of held-out runs. */
interface Edges {
  trim: number;
  gap: number;
}

/** Training and test rows of one fold, whose rows `held` are held out of `rows`. */
function split(
  rows: number[],
  held: number[],
  { trim, gap }: Edges,
  name: string,
): { train: number[]; test: number[] } {
  const train = without(rows, held, gap);
  if (train.length < 2) throw tooFew(name, train.length, gap);
  const test = trimmed(held, trim);
  if (test.length === 0)
    throw new CortuneError(
      'ERR_DATA',
      `Expected ${name} to have rows to score, got none of ${held.length} after trimming ${trim} at each end. Use fewer folds or a smaller trim.`,
    );
  return { train, test };
}

/** Rows that have `trim` held-out neighbours, one after the other, on both sides. */
function trimmed(held: number[], trim: number): number[] {
  const run = (at: number, step: 1 | -1) => {
    for (let i = 1; i <= trim; i++) if (held[at + step * i] !== held[at]! + step * i) return false;
    return true;
  };
  return held.filter((_, at) => run(at, 1) && run(at, -1));
}

/** The test rows of each fold, ascending. */
function cut(rows: number[], spec: FoldSpec, groups: FoldOptions['groups'], name = 'the data'): number[][] {
  if (spec.kind === 'grouped') return cutGroups(rows, spec.count, groups!);
  whole('folds', spec.count, 2);
  if (spec.count > rows.length)
    throw expected('folds', `at most the ${rows.length} rows of ${name}; use fewer folds`, spec.count);
  const order = spec.kind === 'shuffled' ? new Random(spec.seed).permutation(rows.length).map((at) => rows[at]!) : rows;
  const size = Math.floor(rows.length / spec.count);
  const longer = rows.length % spec.count;
  return Array.from({ length: spec.count }, (_, f) => {
    const from = f * size + Math.min(f, longer);
    return order.slice(from, from + size + (f < longer ? 1 : 0)).sort((a, b) => a - b);
  });
}

function cutGroups(rows: number[], count: number, groups: readonly (string | number)[]): number[][] {
  const members = new Map<string | number, number[]>();
  for (const row of rows) members.set(groups[row]!, [...(members.get(groups[row]!) ?? []), row]);
  const folds = count === 0 ? members.size : count;
  if (members.size < 2 || folds > members.size)
    throw expected(
      'groups',
      `at least ${Math.max(2, folds)} different groups, one for each fold (a fold would be empty)`,
      members.size,
    );
  const blocks: number[][] = Array.from({ length: folds }, () => []);
  if (folds === members.size) return [...members.values()];
  // Stable sort: equal sizes keep the order of first appearance.
  for (const group of [...members.values()].sort((a, b) => b.length - a.length))
    blocks.reduce((least, block) => (block.length < least.length ? block : least)).push(...group);
  return blocks.map((block) => block.sort((a, b) => a - b));
}

/** `rows` less the held-out rows and those within `gap` rows of one. */
function without(rows: number[], test: number[], gap: number): number[] {
  const near = new Set<number>();
  for (const row of test) for (let i = row - gap; i <= row + gap; i++) near.add(i);
  return rows.filter((row) => !near.has(row));
}

function checkGroups(rows: number, groups: FoldOptions['groups']): void {
  if (groups === undefined)
    throw expected('groups', 'given for grouped folds: the run, story or passage of each row', groups, 'type');
  if (groups.length !== rows) throw expected('groups', `one for each of the ${rows} rows`, groups.length);
}

function whole(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw expected(name, `an integer of at least ${least}`, value, typeof value === 'number' ? 'range' : 'type');
}

function tooFew(name: string, left: number, gap: number): CortuneError {
  return new CortuneError(
    'ERR_DATA',
    `Expected ${name} to have at least 2 training rows, got ${left}${gap > 0 ? ` after a gap of ${gap} rows beside each held-out row` : ''}. Use fewer folds${gap > 0 ? ' or a smaller gap' : ' or more rows'}.`,
  );
}
