/** Files that hold named arrays (HDF5, netCDF, MATLAB 7.3): what they have in common, and how one of the arrays becomes a matrix. */
import { closest } from 'fastest-levenshtein';
import { CortuneError } from '../../errors.js';
import type { Matrix } from '../types.js';
import { checkMatrixSize } from './bytes.js';

/** One array; its values are read when asked for. */
export interface StoredArray {
  /** Its path in the file: `group/name`. */
  name: string;
  /** Outermost first: the last axis is the one that lies together. */
  shape: readonly number[];
  kind: 'numbers' | 'text' | 'other';
  /** All values in order of `shape`. @throws ERR_FORMAT, ERR_DATA. */
  numbers(): Float32Array;
  texts(): string[];
}

/** An array whose axes have names. */
export type LabelledArray = StoredArray & { dims: readonly string[] };

const list = (arrays: readonly StoredArray[]) =>
  arrays
    .slice(0, 12)
    .map(({ name, shape }) => `\`${name}\` [${shape.join(', ')}]`)
    .join(', ') + (arrays.length > 12 ? ', ...' : '');

/** Axes that are longer than 1; of a vector at least one. */
export function longAxes(shape: readonly number[]): number[] {
  const axes = shape.map((_, i) => i).filter((i) => shape[i] !== 1);
  return axes.length > 0 || shape.length === 0 ? axes : [0];
}

/**
 * The array of this name; without a name the only matrix of numbers, or the only vector where there is no matrix.
 * @throws ERR_DATA with the names there are.
 */
export function chooseArray(arrays: readonly StoredArray[], key: string | undefined, name: string): StoredArray {
  if (key !== undefined) return namedArray(arrays, key, name);
  const numeric = arrays.filter(({ kind }) => kind === 'numbers');
  for (const rank of [2, 1]) {
    const found = numeric.filter(({ shape }) => shape.length >= rank && longAxes(shape).length === rank);
    if (found.length === 1) return found[0]!;
    if (found.length > 1) throw unclear(found, name);
  }
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected a matrix of numbers, and there are: ${list(arrays) || 'no arrays'}.`,
  );
}

function namedArray(arrays: readonly StoredArray[], key: string, name: string): StoredArray {
  const path = key.replace(/^\//, '');
  const found = arrays.find((array) => array.name === path || array.name === path.replaceAll('.', '/'));
  if (found !== undefined) return found;
  const names = arrays.map((array) => array.name);
  const hint = names.length > 0 ? ` (nearest: \`${closest(key, names)}\`)` : '';
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected an array \`${key}\`${hint}, and there are: ${list(arrays) || 'no arrays'}.`,
  );
}

function unclear(found: readonly StoredArray[], name: string): CortuneError {
  return new CortuneError(
    'ERR_DATA',
    `${name}: Expected a \`key\` that names one of its arrays, it has ${list(found)}.`,
  );
}

/**
 * An array of numbers as a matrix: axes of length 1 are dropped, one axis becomes one column.
 * @param turned the last axis holds the rows, as in MATLAB's files. @throws ERR_DATA for other ranks; ERR_MEMORY.
 */
export function arrayMatrix(array: StoredArray, name: string, turned: boolean): Matrix {
  if (array.kind !== 'numbers')
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected real numbers in \`${array.name}\`, got ${array.kind === 'text' ? 'texts' : 'another type'}.`,
    );
  const axes = longAxes(array.shape);
  // A matrix of one row or one column is one: its axes of length 1 count.
  const lengths = array.shape.length === 2 ? [...array.shape] : axes.map((axis) => array.shape[axis]!);
  if (lengths.length < 1 || lengths.length > 2)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected 2 axes, [rows, columns], in \`${array.name}\`, got ${array.shape.length}: [${array.shape.join(', ')}].`,
    );
  const [first, second = 1] = lengths as [number, number?];
  checkMatrixSize(name, first, second);
  const data = array.numbers();
  return turned && lengths.length === 2 ? turn(data, first, second) : { data, rows: first, columns: second };
}

/** A matrix [columns, rows] as [rows, columns], in blocks that fit the caches. */
export function turn(from: Float32Array, columns: number, rows: number): Matrix {
  const data = new Float32Array(from.length);
  const block = 64;
  for (let top = 0; top < rows; top += block)
    for (let left = 0; left < columns; left += block)
      for (let row = top; row < Math.min(rows, top + block); row++)
        for (let column = left; column < Math.min(columns, left + block); column++)
          data[row * columns + column] = from[column * rows + row]!;
  return { data, rows, columns };
}
