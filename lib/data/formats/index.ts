/** Data files by their extension: matrices of numbers, and texts. */
import { basename, extname } from 'node:path';
import { expected } from '../../errors.js';
import type { Placed } from '../space.js';
import type { Matrix } from '../types.js';
import { turn } from './arrays.js';
import { fileSize, readBytes } from './bytes.js';
import { meanOfRegions, pickColumns } from './columns.js';
import { isHdf5, readHdf5Matrix } from './hdf5.js';
import { parseMat } from './mat.js';
import { matMatrix } from './mat-matrix.js';
import { readMat73Matrix } from './mat73.js';
import { readNetcdfMatrix } from './netcdf.js';
import { parseNpy } from './npy.js';
import { parseNpz } from './npz.js';
import { readParquetMatrix } from './parquet.js';
import type { RegionOptions } from './regions.js';
import { readTensorMatrix } from './safetensors.js';
import { type ColumnName, toMatrix } from './table.js';
import { parseTable, unknownKind } from './table-files.js';
import { readVolumes } from './volumes.js';

export { pickColumns } from './columns.js';
export { readTensor } from './safetensors.js';
export type { ColumnName } from './table.js';
export { parseTable } from './table-files.js';
export { defaultColumn, parseTexts, readTexts } from './texts.js';

/** `rows` and `columns` of a matrix are chosen by these; a kind of file that has no such thing refuses the option. */
export interface MatrixOptions extends RegionOptions {
  /** Columns to keep, in this order, by header or by number from 0, or whole regions by their name; all by default. */
  columns?: readonly ColumnName[] | undefined;
  /** Array of a .npz or HDF5 file, variable of a .mat or .nc, tensor of a .safetensors; may be left out when the file holds one. */
  key?: string | undefined;
  /** Coordinates of a netCDF file that name, group and assign its columns. */
  coords?: { column?: string | undefined; region?: string | undefined; subject?: string | undefined } | undefined;
  /** The file has a row a target and a column a stimulus. */
  transpose?: boolean | undefined;
  /** `mean`: one column a region, the mean of its voxels (the default with `atlas` and `masks`); `none`: every voxel. */
  reduce?: 'mean' | 'none' | undefined;
}

export interface NamedMatrix {
  matrix: Matrix;
  /** Name of each column: its header, else its number, from "0". */
  columns: string[];
  /** Region of each column, where it has one beside its name. */
  regions?: string[];
  /** Subject of each column, where one file holds several. */
  subjects?: string[];
  /** Where the columns lie in an image, if they do. */
  space?: Placed;
  /** What was left out, for people. */
  notes?: string[];
}

/** How a kind of file becomes a matrix: from its bytes, or piece by piece from the file. */
interface MatrixFormat {
  extensions: readonly string[];
  parse?(bytes: Uint8Array, path: string, options: MatrixOptions): NamedMatrix;
  read?(path: string, options: MatrixOptions): Promise<NamedMatrix>;
  /** Options that it understands beside `columns`. */
  takes?: readonly (keyof MatrixOptions)[];
  /** It chooses columns by itself, while it reads. */
  chooses?: true;
  /** Its columns always have names. */
  named?: true;
}

const kTables = ['.csv', '.tsv', '.txt', '.dat'];

/** Every kind of file that holds a matrix. What needs a large library loads it when it is used. */
const kMatrixFormats: readonly MatrixFormat[] = [
  { extensions: ['.npy'], parse: (bytes, path) => numbered(parseNpy(bytes, basename(path))), takes: ['transpose'] },
  {
    extensions: ['.npz'],
    parse: (bytes, path, { key }) => numbered(parseNpz(bytes, basename(path), key)),
    takes: ['key', 'transpose'],
  },
  {
    extensions: ['.mat'],
    parse: (bytes, path, { key }) => numbered(matMatrix(parseMat(bytes, basename(path)), basename(path), key)),
    read: async (path, options) =>
      (await isHdf5(path))
        ? await readMat73Matrix(path, options)
        : parseMatrix(await readBytes(path), path, { key: options.key }),
    takes: ['key', 'transpose'],
  },
  {
    extensions: kTables,
    parse: (bytes, path, { columns }) => toMatrix(parseTable(bytes, path), columns),
    chooses: true,
  },
  { extensions: ['.parquet'], read: readParquetMatrix, chooses: true, named: true },
  {
    extensions: ['.safetensors'],
    read: async (path, { key }) => numbered(await readTensorMatrix(path, key)),
    takes: ['key', 'transpose'],
  },
  { extensions: ['.h5', '.hdf5', '.hf5'], read: readHdf5Matrix, takes: ['key', 'transpose'] },
  { extensions: ['.nc', '.nc4', '.cdf'], read: readNetcdfMatrix, takes: ['key', 'coords', 'reduce'] },
  {
    extensions: ['.nii', '.nii.gz'],
    read: readVolumes,
    takes: ['mask', 'masks', 'atlas', 'labels', 'reduce'],
  },
];

/** Endings of the files that hold a matrix. */
export const kMatrixExtensions: readonly string[] = kMatrixFormats.flatMap(({ extensions }) => extensions);

const listed = (names: readonly string[]) => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

/** Whether columns are named by the file, an atlas or coordinates, so that they are chosen by these names and never renamed. */
export function choosesColumns(path: string, { atlas, masks, coords }: MatrixOptions): boolean {
  return (atlas ?? masks ?? coords) !== undefined || formatOf(path).named === true;
}

/** Whether a file is a table of text. */
export function isTable(path: string): boolean {
  return kTables.includes(extname(path).toLowerCase());
}

/** Whether a file is an image of volumes. */
export function isNifti(path: string): boolean {
  return /\.nii(\.gz)?$/i.test(path);
}

function formatOf(path: string): MatrixFormat {
  const name = path.toLowerCase();
  const found = kMatrixFormats.find(({ extensions }) => extensions.some((extension) => name.endsWith(extension)));
  if (found === undefined) throw unknownKind(path, 'a matrix', listed(kMatrixExtensions));
  return found;
}

function checkOptions(path: string, { takes = [] }: MatrixFormat, options: MatrixOptions): void {
  for (const [option, value] of Object.entries(options) as [keyof MatrixOptions, unknown][]) {
    if (value === undefined || option === 'columns' || takes.includes(option)) continue;
    const able = kMatrixFormats
      .filter((format) => format.takes?.includes(option))
      .flatMap((format) => format.extensions);
    throw expected(option, `left out for ${basename(path)}: it is an option of ${listed(able)}`, value);
  }
}

/**
 * Reads a matrix of numbers as float32: NumPy, MATLAB, HDF5, netCDF, NIfTI, Parquet, tables of text (`kMatrixExtensions`).
 * Values may be NaN or infinite; who uses them decides.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT (broken file), ERR_DATA (no such column, a cell that is no number, another space), ERR_MEMORY;
 * ERR_ARGUMENT for options that this kind of file does not have.
 */
export async function readMatrix(path: string, options: MatrixOptions = {}): Promise<NamedMatrix> {
  await fileSize(path); // that it is not there is to be said first
  const format = formatOf(path);
  checkOptions(path, format, options);
  if (format.read === undefined) return parseMatrix(await readBytes(path), path, options);
  const read = await format.read(path, options);
  const all = options.transpose ? transposed(read) : read;
  const chosenAlready = format.chooses || (options.atlas ?? options.masks) !== undefined;
  const some = chosenAlready ? all : pickColumns(all, options.columns, basename(path));
  return options.reduce === 'mean' ? meanOfRegions(some) : some;
}

/** As readMatrix, of bytes already read; `path` tells the kind. For kinds that are read whole. */
export function parseMatrix(bytes: Uint8Array, path: string, options: MatrixOptions = {}): NamedMatrix {
  const format = formatOf(path);
  if (format.parse === undefined)
    throw unknownKind(
      path,
      'a matrix',
      listed(kMatrixFormats.filter(({ parse }) => parse).flatMap(({ extensions }) => extensions)),
    );
  const read = format.parse(bytes, path, options);
  const all = options.transpose ? transposed(read) : read;
  return format.chooses ? all : pickColumns(all, options.columns, basename(path));
}

/** Rows and columns of a matrix whose columns have no names. */
function transposed({ matrix: { data, rows, columns } }: NamedMatrix): NamedMatrix {
  return numbered(turn(data, rows, columns));
}

function numbered(matrix: Matrix): NamedMatrix {
  return { matrix, columns: Array.from({ length: matrix.columns }, (_, i) => String(i)) };
}
