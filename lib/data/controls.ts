/** Control features: what predicts responses without any model, so that scores can be read against it. */
import { CortuneError } from '../errors.js';
import { Tensor } from '../tensor.js';
import { type AlignOptions, canonicalHrf, checkDelays, convolveRows, kDelays, wordsToVolumes } from './align.js';
import type { Matrix, Stimuli } from './types.js';

/** The controls there are, and what each says. */
export const kControls = {
  word_rate: 'words per volume; for trials, words per text',
  length: 'for trials, words and characters per text; for words, words and seconds of speech per volume',
  position: 'where in the recording a row lies: Legendre polynomials 1 to 3 of the row number',
} as const;
export type Control = keyof typeof kControls;

export interface ControlOptions extends Pick<AlignOptions, 'time' | 'response' | 'delays'> {
  /** Rows of the responses. */
  rows: number;
}

/**
 * A control as features [1, n, p], treated as a layer of a model would be: for words, with the same delays or response.
 * Position is slow already, so it is never delayed.
 */
export function controlFeatures(control: Control, stimuli: Stimuli, options: ControlOptions): Tensor {
  const matrix = controlMatrix(control, stimuli, options);
  return Tensor.from(matrix.data, [1, matrix.rows, matrix.columns]);
}

/** As controlFeatures, as a matrix [n, p]. @throws ERR_DATA when trials and rows differ in number. */
export function controlMatrix(control: Control, stimuli: Stimuli, options: ControlOptions): Matrix {
  const { rows } = options;
  if (control === 'position') return position(rows);
  if (stimuli.kind === 'trials') {
    if (stimuli.texts.length !== rows)
      throw new CortuneError('ERR_DATA', `Expected ${rows} texts, one for each row, got ${stimuli.texts.length}.`);
    const counts = stimuli.texts.map((text) => text.split(/\s+/).filter(Boolean).length);
    return fromColumns(control === 'word_rate' ? [counts] : [counts, stimuli.texts.map((text) => text.length)]);
  }
  const sums = (weight: (word: { onset: number; offset: number }) => number) =>
    volumeSums(stimuli, options, stimuli.words.map(weight));
  const count = sums(() => 1);
  const columns = control === 'word_rate' ? [count] : [count, sums((word) => word.offset - word.onset)];
  return options.response === 'hrf'
    ? fromColumns(columns)
    : delayed(fromColumns(columns), checkDelays(options.delays ?? kDelays, rows));
}

/** Sum of `values` over the words of each volume, convolved with the response when asked. */
function volumeSums(stimuli: Stimuli & { kind: 'words' }, options: ControlOptions, values: number[]): number[] {
  const { tr, start, words } = stimuli;
  const binned = wordsToVolumes(words, { tr, start, rows: options.rows, method: 'sum', time: options.time });
  const operator = options.response === 'hrf' ? convolveRows(binned, canonicalHrf(tr)) : binned;
  return Array.from({ length: options.rows }, (_, row) => {
    let sum = 0;
    for (let i = operator.rowStarts[row]!; i < operator.rowStarts[row + 1]!; i++)
      sum += operator.weights[i]! * values[operator.columns[i]!]!;
    return sum;
  });
}

function position(rows: number): Matrix {
  const x = Array.from({ length: rows }, (_, i) => (rows > 1 ? (2 * i) / (rows - 1) - 1 : 0));
  return fromColumns([x, x.map((v) => (3 * v * v - 1) / 2), x.map((v) => (5 * v ** 3 - 3 * v) / 2)]);
}

/** Copies of a matrix [n, p] at each delay, side by side: [n, p * delays]; rows before the first are zero. */
export function delayed(matrix: Matrix, delays: ArrayLike<number>): Matrix {
  const columns = matrix.columns * delays.length;
  const data = new Float32Array(matrix.rows * columns);
  for (let d = 0; d < delays.length; d++)
    for (let row = delays[d]!; row < matrix.rows; row++) {
      const from = (row - delays[d]!) * matrix.columns;
      data.set(matrix.data.subarray(from, from + matrix.columns), row * columns + d * matrix.columns);
    }
  return { data, rows: matrix.rows, columns };
}

function fromColumns(columns: number[][]): Matrix {
  const rows = columns[0]!.length;
  const data = new Float32Array(rows * columns.length);
  for (const [c, column] of columns.entries())
    for (let row = 0; row < rows; row++) data[row * columns.length + c] = column[row]!;
  return { data, rows, columns: columns.length };
}
