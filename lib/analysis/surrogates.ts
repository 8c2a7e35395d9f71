/** Permutations that leave the autocorrelation of a series nearly as it is, and blocks for the bootstrap. */
import { expected } from '../errors.js';
import { Random } from '../random.js';

/**
 * What is exchanged under the null hypothesis:
 * - 'rows': single rows. Right for trials in random order only: with autocorrelated rows it finds effects where there are none.
 * - 'block': blocks of `length` neighbouring rows keep their inside and change places.
 * - 'circular': every part is shifted round by a random number of rows; of a part of m rows there are m such shifts.
 * - 'phase': the phases of the Fourier components are random, the same for all targets; spectrum and cross-spectra stay. Right for
 *   series that are stationary and near Gaussian.
 */
export type Exchange = { kind: 'rows' } | { kind: 'block'; length: number } | { kind: 'circular' } | { kind: 'phase' };

const kForms = '`block:ROWS`, `circular`, `phase` or `rows`';

/** Reads `block:10` (rows in a block), `circular`, `phase`, `rows`. @throws RangeError (ERR_ARGUMENT). */
export function parseExchange(text: string): Exchange {
  const [, kind, length] = /^(rows|block|circular|phase)(?::(\d{1,6}))?$/.exec(text.trim()) ?? [];
  if (kind === 'block' && Number(length) >= 1) return { kind, length: Number(length) };
  if (length === undefined && (kind === 'rows' || kind === 'circular' || kind === 'phase')) return { kind };
  throw expected('exchange', kForms, text);
}

/** Throws a RangeError when parts of these sizes cannot be scored. */
export function checkParts(sizes: readonly number[]): void {
  const least = Math.min(...sizes);
  if (least < 2) throw expected('folds', 'folds of 2 rows or more, to test scores within them', least);
}

/**
 * Rows of each stretch within which rows may change places: the test rows of a fold, cut where the run changes. Single rows and phases
 * are exchanged within whole folds: the ones know no neighbours, the others need one length.
 */
export function stretches(
  how: Exchange,
  folds: readonly { test: Int32Array }[],
  groups: readonly (string | number)[] | undefined,
): number[] {
  if (groups === undefined || how.kind === 'rows' || how.kind === 'phase') return folds.map(({ test }) => test.length);
  return folds.flatMap(({ test }) => {
    const sizes: number[] = [];
    for (const [i, row] of test.entries()) {
      if (i === 0 || groups[row] !== groups[test[i - 1]!]) sizes.push(0);
      sizes[sizes.length - 1]!++;
    }
    return sizes;
  });
}

function checkBlocks(length: number, sizes: readonly number[]): void {
  if (sizes.every((size) => size <= length))
    throw expected('exchange', `blocks shorter than the ${Math.max(...sizes)} rows of a part`, length);
}

/**
 * Orders of the rows of each part, one part after the other: [count, sum of sizes], every entry a place within the same part.
 * @param sizes rows of each part (a test fold, a run): rows next to each other in a part are next to each other in time.
 * @throws RangeError (ERR_ARGUMENT) for 'phase', which is no order, and for blocks that leave a part whole.
 */
export function surrogateOrders(how: Exchange, sizes: readonly number[], count: number, seed: number): Int32Array {
  const random = new Random(seed);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (how.kind === 'phase')
    throw expected('exchange', 'an exchange of rows: `block:ROWS`, `circular` or `rows`', 'phase');
  if (how.kind === 'block') checkBlocks(how.length, sizes);
  checkPlaces('permutations', count, total);
  const orders = new Int32Array(count * total);
  for (let k = 0, at = 0; k < count; k++) {
    let from = 0;
    for (const size of sizes) {
      for (const place of exchanged(how, size, random)) orders[at++] = from + place;
      from += size;
    }
  }
  return orders;
}

/**
 * Orders of n rows that stay within their groups (runs, passages), for rows in any order: [count, n]; order k puts row `orders[k n + i]` at the
 * place of row i. Rows of a group follow each other in time as they do in the data.
 * @param groups number of each row's group; empty for one group.
 */
export function rowOrders(how: Exchange, n: number, groups: Int32Array, count: number, seed: number): Int32Array {
  const runs = runsOf(n, groups);
  const places = runs.flat();
  const orders = surrogateOrders(
    how,
    runs.map((run) => run.length),
    count,
    seed,
  );
  const out = new Int32Array(count * n);
  for (let k = 0; k < count; k++)
    for (const [i, row] of places.entries()) out[k * n + row] = places[orders[k * n + i]!]!;
  return out;
}

/** Rows of each group, in their order. @param groups as of rowOrders. */
export function runsOf(n: number, groups: Int32Array): number[][] {
  const runs: number[][] = [];
  for (let row = 0; row < n; row++) {
    const run = groups[row] ?? 0;
    runs[run] ??= [];
    runs[run].push(row);
  }
  return runs;
}

function exchanged(how: Exclude<Exchange, { kind: 'phase' }>, size: number, random: Random): number[] {
  if (how.kind === 'rows') return random.permutation(size);
  if (how.kind === 'circular') {
    const shift = Math.floor(random.uniform() * size);
    return Array.from({ length: size }, (_, i) => (i + shift) % size);
  }
  const blocks = Math.ceil(size / how.length);
  return random
    .permutation(blocks)
    .flatMap((b) => Array.from({ length: Math.min(how.length, size - b * how.length) }, (_, i) => b * how.length + i));
}

/** Places of exchanges that are made at most: 800 MB of them. */
const kMostPlaces = 2e8;

/** Throws a RangeError when so many exchanges of so many rows would not fit in memory. */
function checkPlaces(name: string, count: number, rows: number): void {
  const most = Math.floor(kMostPlaces / rows);
  if (count > most) throw expected(name, `at most ${most} for ${rows} rows`, count);
}

/** Shifts of phases, uniform on the circle: [count, sum of floor(size / 2) + 1]. */
export function surrogatePhases(sizes: readonly number[], count: number, seed: number): Float64Array {
  const random = new Random(seed);
  const bins = sizes.reduce((sum, size) => sum + Math.floor(size / 2) + 1, 0);
  checkPlaces('permutations', count, 2 * bins);
  return Float64Array.from({ length: count * bins }, () => 2 * Math.PI * random.uniform());
}

/**
 * Draws for the bootstrap: blocks of `length` neighbouring rows, beginning anywhere and going round at the end of the part (Politis & Romano
 * 1992), until the part is full. `length` 1 draws single rows.
 * @returns [count, sum of sizes], every entry a place within the same part.
 */
export function bootstrapDraws(sizes: readonly number[], length: number, count: number, seed: number): Int32Array {
  if (!Number.isInteger(length) || length < 1) throw expected('block', 'a number of rows, 1 or more', length);
  // One block that goes round is the part itself: an interval of no width.
  if (sizes.every((size) => size <= length))
    throw expected('block', `fewer than the ${Math.max(...sizes)} rows of a part`, length);
  const random = new Random(seed);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  checkPlaces('resamples', count, total);
  const draws = new Int32Array(count * total);
  for (let k = 0, at = 0; k < count; k++) {
    let from = 0;
    for (const size of sizes) {
      let start = 0;
      for (let i = 0; i < size; i++) {
        if (i % length === 0) start = Math.floor(random.uniform() * size);
        draws[at++] = from + ((start + (i % length)) % size);
      }
      from += size;
    }
  }
  return draws;
}
