/**
 * netCDF files (.nc): version 4, which is HDF5, and the classic versions. Their axes have names and coordinates (subject, region, stimulus of each
 * row or column), as in the assemblies of Brain-Score and of xarray.
 */
import { basename } from 'node:path';
import { closest } from 'fastest-levenshtein';
import type { Dataset } from 'h5wasm';
import { CortuneError } from '../../errors.js';
import { arrayMatrix, chooseArray, type LabelledArray, longAxes, type StoredArray } from './arrays.js';
import { readBytes } from './bytes.js';
import { isHdf5, withHdf5 } from './hdf5.js';
import type { MatrixOptions, NamedMatrix } from './index.js';
import { parseClassic } from './netcdf-classic.js';
import type { Records } from './records.js';

/** netCDF-4 gives axes without values an array of this name. */
const kNoValues = /^This is a netCDF dimension but not a netCDF variable/;
/** The axis of the rows, wherever it stands; otherwise the first one is. */
const kRowAxis = 'presentation';

/**
 * A matrix with its columns named by a coordinate: `coords.column`, else `<axis>_id`, else the axis's own texts, else numbers.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, ERR_DATA, ERR_MEMORY.
 */
export async function readNetcdfMatrix(path: string, options: MatrixOptions): Promise<NamedMatrix> {
  const name = basename(path);
  return await withArrays(path, name, (arrays) => {
    const array = chooseData(arrays, options.key, name);
    const { rowAxis, columnAxis } = axesOf(array);
    const turned = columnAxis !== undefined && columnAxis < rowAxis;
    const matrix = arrayMatrix(array, name, turned);
    const along = columnAxis === undefined ? [] : coordinates(arrays, array.dims[columnAxis]!);
    const { column, region, subject } = options.coords ?? {};
    const dim = columnAxis === undefined ? '' : array.dims[columnAxis]!;
    const own =
      along.find((one) => one.name === `${dim}_id`) ?? along.find((one) => one.name === dim && one.kind === 'text');
    const named = column === undefined ? own : coordinate(along, column, dim, name);
    return {
      matrix,
      columns: named ? labelsOf(named) : Array.from({ length: matrix.columns }, (_, i) => String(i)),
      ...(region !== undefined && { regions: labelsOf(coordinate(along, region, dim, name)) }),
      ...(subject !== undefined && { subjects: labelsOf(coordinate(along, subject, dim, name)) }),
    };
  });
}

/** The coordinates of the rows as records: the texts, passages and runs of stimuli. @throws as readNetcdfMatrix. */
export async function readNetcdfRecords(path: string, key?: string): Promise<Records> {
  const name = basename(path);
  return await withArrays(path, name, (arrays) => {
    const array = chooseData(arrays, key, name);
    const dim = array.dims[axesOf(array).rowAxis]!;
    const along = coordinates(arrays, dim).map((one) => ({
      field: one.name,
      values: one.kind === 'text' ? one.texts() : labelsOf(one),
    }));
    const rows = Array.from({ length: array.shape[array.dims.indexOf(dim)]! }, (_, i) =>
      Object.fromEntries(along.map(({ field, values }) => [field, values[i]!])),
    );
    return { name, fields: along.map(({ field }) => field), rows, places: rows.map((_, i) => `item ${i + 1}`) };
  });
}

/** The array with the numbers: not a coordinate of an axis, which has the axis's name, or its axis is one of several of another array. */
function chooseData(arrays: readonly LabelledArray[], key: string | undefined, name: string): LabelledArray {
  const several = new Set(arrays.flatMap(({ dims }) => (dims.length > 1 ? dims : [])));
  const isCoordinate = ({ dims, name: own }: LabelledArray) =>
    dims.length === 1 && (dims[0] === own || several.has(dims[0]!));
  const data = arrays.filter((array) => key !== undefined || !isCoordinate(array));
  return chooseArray(data, key, name) as LabelledArray;
}

function axesOf({ shape, dims }: LabelledArray): { rowAxis: number; columnAxis: number | undefined } {
  const named = dims.indexOf(kRowAxis);
  const axes = shape.length === 2 ? [0, 1] : longAxes(shape);
  const rowAxis = named >= 0 ? named : axes[0]!;
  return { rowAxis, columnAxis: axes.find((axis) => axis !== rowAxis) };
}

function coordinates(arrays: readonly LabelledArray[], dim: string): LabelledArray[] {
  return arrays.filter(({ dims, kind }) => dims.length === 1 && dims[0] === dim && kind !== 'other');
}

function coordinate(along: readonly LabelledArray[], wanted: string, dim: string, name: string): LabelledArray {
  const found = along.find((one) => one.name === wanted);
  if (found) return found;
  const names = along.map((one) => one.name);
  const hint = names.length > 0 ? ` (nearest: \`${closest(wanted, names)}\`)` : '';
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected a coordinate \`${wanted}\`${hint} of the axis \`${dim}\`, it has ${names.map((one) => `\`${one}\``).join(', ') || 'none'}.`,
  );
}

function labelsOf(array: LabelledArray): string[] {
  return array.kind === 'text' ? array.texts() : Array.from(array.numbers(), String);
}

async function withArrays<T>(path: string, name: string, use: (arrays: LabelledArray[]) => T): Promise<T> {
  if (!(await isHdf5(path))) {
    const arrays = parseClassic(await readBytes(path), name);
    return use(arrays.map((array) => ({ ...array, numbers: () => scaled(array.numbers(), array.attribute) })));
  }
  return await withHdf5(path, (arrays, { dataset }) =>
    use(
      arrays
        .filter(({ name: own }) => !kNoValues.test(scaleText(dataset(own))))
        .map((array) => fromHdf5(array, dataset(array.name))),
    ),
  );
}

function attribute(array: Dataset, name: string): unknown {
  const value = array.attrs[name]?.value;
  return ArrayBuffer.isView(value) || Array.isArray(value) ? (value as ArrayLike<unknown>)[0] : value;
}

function scaleText(array: Dataset): string {
  return String(attribute(array, 'NAME') ?? '');
}

const last = (path: string) => path.slice(path.lastIndexOf('/') + 1);

function fromHdf5(array: StoredArray, dataset: Dataset): LabelledArray {
  const isScale = attribute(dataset, 'CLASS') === 'DIMENSION_SCALE';
  const dims = array.shape.map((_, axis) => {
    if (isScale && array.shape.length === 1) return last(array.name);
    const scale = dataset.get_attached_scales(axis)[0];
    return scale === undefined ? `axis ${axis}` : last(scale);
  });
  const numbers = () => scaled(array.numbers(), (name) => attribute(dataset, name));
  return { ...array, dims, numbers };
}

/** The conventions for packed numbers (CF): what stands for missing, factor and offset. */
function scaled(values: Float32Array, attributeOf: (name: string) => unknown): Float32Array {
  const [factor, offset] = [attributeOf('scale_factor') ?? 1, attributeOf('add_offset') ?? 0].map(Number) as [
    number,
    number,
  ];
  const missing = ['_FillValue', 'missing_value']
    .map(attributeOf)
    .filter((value) => value !== undefined && value !== null)
    .map((value) => Math.fround(Number(value)));
  if (factor === 1 && offset === 0 && missing.length === 0) return values;
  for (let i = 0; i < values.length; i++)
    values[i] = missing.includes(values[i]!) ? Number.NaN : values[i]! * factor + offset;
  return values;
}
