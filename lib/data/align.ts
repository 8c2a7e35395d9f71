/** Words to volumes: a sparse operator from word vectors to TRs, haemodynamic delays, and both applied to features. */
import { CortuneError, expected } from '../errors.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { Tensor } from '../tensor.js';
import type { Word } from './types.js';

/** A sparse [rows, words] matrix in CSR form: row i is `columns` and `weights` from rowStarts[i] to rowStarts[i + 1]. */
export interface SparseRows {
  rowStarts: Int32Array;
  columns: Int32Array;
  weights: Float32Array;
}

/** How the words of a TR become one vector. */
export type Pooling = 'mean' | 'sum' | 'last' | 'lanczos';
/** Which moment of a word counts. */
export type WordTime = 'onset' | 'offset' | 'middle';

export interface VolumeOptions {
  /** Seconds per volume. */
  tr: number;
  /** Time at which volume 0 begins, in seconds of the recording. */
  start: number;
  /** Number of volumes. */
  rows: number;
  /** Default 'mean'. */
  method?: Pooling | undefined;
  /** Default 'middle': half of the word is over, as the Huth lab's code takes it. */
  time?: WordTime | undefined;
}

export interface AlignOptions extends VolumeOptions {
  /**
   * 'fir' (default): copies of the features at each of `delays`, so that regression finds the response's shape.
   * 'hrf': features convolved with the canonical response, no copies.
   */
  response?: 'fir' | 'hrf' | undefined;
  /** Delays in volumes for 'fir'; default 1, 2, 3, 4. Rows before the first volume are zero. */
  delays?: readonly number[] | undefined;
}

export const kDelays: readonly number[] = [1, 2, 3, 4];
/** Half width of the Lanczos kernel in lobes, and its cutoff as a multiple of the volume rate, as in the Huth lab's code. */
const kLanczosWindow = 3;

/** The moment at which a word counts, in seconds. */
function moment(word: Word, time: WordTime): number {
  if (time === 'onset') return word.onset;
  return time === 'offset' ? word.offset : (word.onset + word.offset) / 2;
}

/**
 * The operator from word vectors to volumes. A word belongs to volume k when its moment lies in
 * `[start + k tr, start + (k + 1) tr)`; words before the first or after the last volume are left out; a volume without words
 * is a row of zeros.
 * - 'mean', 'sum': of the volume's words. 'last': the word with the latest moment.
 * - 'lanczos': every word within 3 TRs of the volume's middle, weighted by
 *   `sinc(x) sinc(x / 3)`, `x` the distance in TRs: a low-pass filter at the volumes' Nyquist frequency. Weights are not normalised,
 *   so more words give larger values (Huth et al. 2016, Nature 532, 453-458).
 * @throws ERR_DATA when no word falls on any volume.
 */
export function wordsToVolumes(words: readonly Word[], options: VolumeOptions): SparseRows {
  const { tr, start, rows, method = 'mean', time = 'middle' } = options;
  if (!(tr > 0 && Number.isFinite(tr))) throw expected('tr', 'seconds per volume, above 0', tr);
  if (!Number.isFinite(start)) throw expected('start', 'the time of volume 0 in seconds', start);
  if (!Number.isInteger(rows) || rows < 1) throw expected('rows', 'a number of volumes, 1 or more', rows);
  const places = words.map((word) => (moment(word, time) - start) / tr);
  const found = method === 'lanczos' ? lanczosRows(places, rows) : binnedRows(places, rows, method);
  if (found.every((row) => row.length === 0))
    throw new CortuneError(
      'ERR_DATA',
      `Expected words between ${start} s and ${start + rows * tr} s, where the ${rows} volumes lie, got none of ${words.length}. Check \`start\` and \`tr\`.`,
    );
  return toSparse(found);
}

type Row = { column: number; weight: number }[];

function binnedRows(places: number[], rows: number, method: 'mean' | 'sum' | 'last'): Row[] {
  const members: number[][] = Array.from({ length: rows }, () => []);
  for (const [column, place] of places.entries()) members[Math.floor(place)]?.push(column);
  return members.map((columns) => {
    if (method === 'last' && columns.length > 0)
      return [{ column: columns.reduce((a, b) => (places[b]! >= places[a]! ? b : a)), weight: 1 }];
    return columns.map((column) => ({ column, weight: method === 'mean' ? 1 / columns.length : 1 }));
  });
}

function lanczosRows(places: number[], rows: number): Row[] {
  const found: Row[] = Array.from({ length: rows }, () => []);
  for (const [column, place] of places.entries()) {
    const middle = place - 0.5; // a volume is measured around its middle
    const first = Math.max(0, Math.ceil(middle - kLanczosWindow));
    const last = Math.min(rows - 1, Math.floor(middle + kLanczosWindow));
    for (let row = first; row <= last; row++) {
      const weight = lanczos(row - middle);
      if (weight !== 0) found[row]!.push({ column, weight });
    }
  }
  return found;
}

function lanczos(x: number): number {
  if (x === 0) return 1;
  const a = kLanczosWindow;
  return Math.abs(x) >= a ? 0 : (a * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / a)) / (Math.PI * x) ** 2;
}

function toSparse(rows: Row[]): SparseRows {
  const rowStarts = new Int32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) rowStarts[i + 1] = rowStarts[i]! + row.length;
  const entries = rows.flat();
  return {
    rowStarts,
    columns: Int32Array.from(entries, ({ column }) => column),
    weights: Float32Array.from(entries, ({ weight }) => weight),
  };
}

/**
 * The canonical haemodynamic response at 0, tr, 2 tr, ... 32 s: a gamma density of shape 6 less a sixth of one of shape 16,
 * both of scale 1 s, scaled to sum 1 (spm_hrf with its default parameters 6, 16, 1, 1, 6, 0, 32).
 * @param tr seconds per volume.
 */
export function canonicalHrf(tr: number): Float64Array {
  if (!(tr > 0 && tr <= 32)) throw expected('tr', 'seconds per volume, above 0 and at most 32', tr);
  const response = Float64Array.from({ length: Math.floor(32 / tr) + 1 }, (_, k) => {
    const t = k * tr;
    return gammaDensity(t, 6) - gammaDensity(t, 16) / 6;
  });
  const sum = response.reduce((a, b) => a + b, 0);
  return response.map((value) => value / sum);
}

/** `t^(shape - 1) e^-t / (shape - 1)!` for whole shapes. */
function gammaDensity(t: number, shape: number): number {
  let density = Math.exp(-t);
  for (let k = 1; k < shape; k++) density *= t / k;
  return density;
}

/** The operator followed by convolution in time with `response` (one value per volume from 0 on). */
export function convolveRows(operator: SparseRows, response: Float64Array): SparseRows {
  const rows = operator.rowStarts.length - 1;
  const sums: Map<number, number>[] = Array.from({ length: rows }, () => new Map());
  for (let from = 0; from < rows; from++) {
    for (let lag = 0; lag < response.length && from + lag < rows; lag++) {
      const row = sums[from + lag]!;
      for (let i = operator.rowStarts[from]!; i < operator.rowStarts[from + 1]!; i++) {
        const column = operator.columns[i]!;
        row.set(column, (row.get(column) ?? 0) + operator.weights[i]! * response[lag]!);
      }
    }
  }
  return toSparse(
    sums.map((row) => [...row].sort(([a], [b]) => a - b).map(([column, weight]) => ({ column, weight }))),
  );
}

/** Checks delays in volumes. @throws RangeError (ERR_ARGUMENT). */
export function checkDelays(delays: readonly number[], rows: number): Int32Array {
  const valid = delays.every((delay) => Number.isInteger(delay) && delay >= 0 && delay < rows);
  if (delays.length === 0 || !valid || new Set(delays).size < delays.length)
    throw expected('delays', `different whole numbers of volumes from 0 to ${rows - 1}`, delays);
  return Int32Array.from(delays);
}

/**
 * Word features [L, words, C] to volumes [L, rows, C * delays]: pooled over the words of each volume, then with FIR delays
 * (copies side by side, in the order of `delays`) or the canonical response.
 * @throws RangeError when the features have another number of words; ERR_DATA when no word falls on a volume; ERR_CANCELLED.
 */
export async function alignFeatures(
  features: Tensor,
  words: readonly Word[],
  options: AlignOptions & JobOptions,
): Promise<Tensor> {
  const axis = features.shape.at(-2);
  if (axis !== words.length)
    throw expected('features', `a tensor [..., ${words.length} words, C]`, `[${features.shape.join(', ')}]`);
  const { response = 'fir', rows } = options;
  const binned = wordsToVolumes(words, options);
  const operator = response === 'hrf' ? convolveRows(binned, canonicalHrf(options.tr)) : binned;
  const delays = response === 'hrf' ? Int32Array.of(0) : checkDelays(options.delays ?? kDelays, rows);
  return new Tensor(await runJob(() => native().alignRows({ tensor: features.handle, ...operator, delays }), options));
}
