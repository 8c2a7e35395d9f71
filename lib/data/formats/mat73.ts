/** MATLAB 7.3 files (.mat): HDF5 with MATLAB's conventions. Arrays lie column by column, texts are numbers, cells are references. */
import { basename } from 'node:path';
import type { Dataset, File, Reference } from 'h5wasm';
import { CortuneError } from '../../errors.js';
import { arrayMatrix, chooseArray, type StoredArray } from './arrays.js';
import { withHdf5 } from './hdf5.js';
import type { MatrixOptions, NamedMatrix } from './index.js';

/** Cells of one array. */
const kMaxCells = 1_000_000;

/** A matrix; `key` is the variable's name, `data.betas` a field of a structure. @throws ERR_FORMAT, ERR_DATA, ERR_MEMORY. */
export async function readMat73Matrix(path: string, { key }: MatrixOptions): Promise<NamedMatrix> {
  const name = basename(path);
  return await withHdf5(path, (arrays, { dataset }) => {
    // Texts are stored as numbers, and are none.
    const typed = variables(arrays).map((array) =>
      classOf(dataset(`/${array.name}`)) === 'char' ? { ...array, kind: 'text' as const } : array,
    );
    const matrix = arrayMatrix(chooseArray(typed, key, name), name, true);
    return { matrix, columns: Array.from({ length: matrix.columns }, (_, i) => String(i)) };
  });
}

/** Every cell array of texts, by its name. @throws ERR_FORMAT, ERR_DATA. */
export async function readMat73Texts(path: string): Promise<Map<string, string[]>> {
  const name = basename(path);
  return await withHdf5(path, (arrays, { file, dataset }) => {
    const found = new Map<string, string[]>();
    for (const { name: variable } of variables(arrays)) {
      const array = dataset(`/${variable}`);
      if (classOf(array) !== 'cell') continue;
      if (array.metadata.total_size > kMaxCells)
        throw new CortuneError(
          'ERR_DATA',
          `${name}: Expected at most ${kMaxCells} cells in \`${variable}\`, got ${array.metadata.total_size}.`,
        );
      const texts = cellsOf(array, file).map((cell) => (cell && classOf(cell) === 'char' ? textOf(cell) : undefined));
      if (texts.every((text) => text !== undefined)) found.set(variable, texts);
    }
    return found;
  });
}

/** MATLAB keeps what cells hold in a group of its own. */
function variables(arrays: readonly StoredArray[]): StoredArray[] {
  return arrays.filter(({ name }) => !name.startsWith('#'));
}

function classOf(array: Dataset): string {
  return String(array.attrs.MATLAB_class?.value ?? '');
}

function cellsOf(array: Dataset, file: File): (Dataset | undefined)[] {
  return (array.value as Reference[]).map((reference) => {
    // The library's types take every reference for one to a part of an array.
    const cell = file.dereference(reference) as unknown as Dataset | null;
    return cell?.metadata?.shape ? cell : undefined;
  });
}

/** UTF-16 code units as numbers; an empty text is marked as empty and holds its lengths. */
function textOf(array: Dataset): string {
  if (array.attrs.MATLAB_empty?.value) return '';
  const units = array.value as ArrayLike<number>;
  let text = '';
  for (let i = 0; i < units.length; i++) text += String.fromCharCode(units[i]!);
  return text;
}
