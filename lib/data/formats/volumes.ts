/** Series of volumes (4D NIfTI) as a matrix: a row a volume, a column a voxel or a region. Only the voxels asked for are kept. */
import { basename } from 'node:path';
import { CortuneError } from '../../errors.js';
import { outlineOf, type Placed, placed } from '../space.js';
import type { Matrix } from '../types.js';
import { checkMatrixSize } from './bytes.js';
import { isCifti, readCifti } from './cifti.js';
import { meanOfRegions } from './columns.js';
import type { MatrixOptions, NamedMatrix } from './index.js';
import { eachStretch, type NiftiHeader, readNifti } from './nifti.js';
import { type Region, readRegions } from './regions.js';

/**
 * Reads a series. With an atlas or masks a column is the mean of a region, or with `reduce: none` a voxel, called `IFG:10,12,7`; with a mask alone,
 * or without, a voxel, called `10,12,7`. Memory: the matrix and one volume.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT; ERR_DATA for images of another space and regions that are not there; ERR_MEMORY.
 */
export async function readVolumes(path: string, options: MatrixOptions): Promise<NamedMatrix> {
  const header = await readNifti(path, basename(path));
  if (isCifti(header)) {
    const atlas = options.atlas === undefined ? undefined : await readNifti(options.atlas, basename(options.atlas));
    const all = await readCifti(header, atlas, options);
    return atlas === undefined ? all : reduced(all, options);
  }
  const { shape } = header;
  if (shape.slice(3, -1).some((length) => length > 1))
    throw new CortuneError(
      'ERR_DATA',
      `${header.name}: Expected 4 axes, [x, y, z, volumes], got [${shape.join(', ')}].`,
    );
  const byRegion = options.atlas !== undefined || options.masks !== undefined;
  const regions = await readRegions(header, options, byRegion ? options.columns : undefined);
  const mean = options.reduce === 'mean' || (byRegion && options.reduce === undefined);
  return mean ? await readMeans(header, regions) : await readVoxels(header, regions);
}

/** Means of an atlas's regions, unless single places are asked for. */
function reduced(all: NamedMatrix, { reduce }: MatrixOptions): NamedMatrix {
  return reduce === 'none' ? all : meanOfRegions(all);
}

function volumesOf({ shape }: NiftiHeader): { volumes: number; voxels: number } {
  const voxels = shape.slice(0, 3).reduce((product, axis) => product * axis, 1);
  return { volumes: shape.length > 3 ? shape.at(-1)! : 1, voxels };
}

/** `10,12,7` */
function voxelName(place: number, [width, height]: readonly number[]): string {
  const row = Math.floor(place / width!);
  return `${place % width!},${row % (height ?? 1)},${Math.floor(row / (height ?? 1))}`;
}

async function readVoxels(header: NiftiHeader, regions: readonly Region[]): Promise<NamedMatrix> {
  const { volumes, voxels } = volumesOf(header);
  const width = regions.reduce((sum, { places }) => sum + places.length, 0);
  checkMatrixSize(header.name, volumes, width);
  const places = new Int32Array(width);
  const columns: string[] = [];
  const owners: string[] = [];
  for (const region of regions) {
    places.set(region.places, columns.length);
    for (const place of region.places) {
      const name = voxelName(place, header.shape);
      columns.push(region.name === '' ? name : `${region.name}:${name}`);
      owners.push(region.name);
    }
  }
  const data = new Float32Array(volumes * width);
  const { slope, intercept } = header;
  let outline: Int32Array | undefined;
  await eachStretch(header, voxels, (stored, volume) => {
    if (volume === 0) outline = outlineOf(stored);
    const row = volume * width;
    for (let i = 0; i < width; i++) data[row + i] = Number(stored[places[i]!]) * slope + intercept;
  });
  const matrix = { data, rows: volumes, columns: width };
  // Every column is one voxel.
  const starts = Int32Array.from({ length: width + 1 }, (_, i) => i);
  const space = { ...placed(header, []), voxels: places, starts, ...(outline && { outline }) };
  return { matrix, columns, space, ...(regions[0]!.name !== '' && { regions: owners }) };
}

/**
 * Means over the voxels of each region. Voxels that are not finite in some volume (outside of the brain many programs write NaN) are left out of
 * the mean in all of them, so that it is of the same voxels throughout; the file is then read twice.
 */
async function readMeans(header: NiftiHeader, regions: readonly Region[]): Promise<NamedMatrix> {
  const columns = regions.map(({ name }) => name || 'mask');
  checkMatrixSize(header.name, volumesOf(header).volumes, columns.length);
  const { matrix, bad, outline } = await means(header, regions);
  const voxels = regions.map(({ places }) => places);
  const space: Placed = { ...placed(header, voxels), ...(outline && { outline }) };
  if (bad.size === 0) return { matrix, columns, space };
  const notes: string[] = [];
  const kept = regions.map(({ name, places }, i) => {
    const finite = places.filter((place) => !bad.has(place));
    if (finite.length === 0)
      throw new CortuneError(
        'ERR_DATA',
        `${header.name}: Expected a voxel that is finite in all volumes in region \`${columns[i]}\`, got none of ${places.length}.`,
      );
    if (finite.length < places.length)
      notes.push(
        `${header.name}: left ${places.length - finite.length} of the ${places.length} voxels of ${columns[i]} out of its mean: not finite.`,
      );
    return { name, places: finite };
  });
  return { matrix: (await means(header, kept)).matrix, columns, space, notes };
}

async function means(
  header: NiftiHeader,
  regions: readonly Region[],
): Promise<{ matrix: Matrix; bad: Set<number>; outline: Int32Array | undefined }> {
  const { volumes, voxels } = volumesOf(header);
  const data = new Float32Array(volumes * regions.length);
  const bad = new Set<number>();
  const { slope, intercept } = header;
  let outline: Int32Array | undefined;
  await eachStretch(header, voxels, (stored, volume) => {
    if (volume === 0) outline = outlineOf(stored);
    for (const [r, { places }] of regions.entries()) {
      let sum = 0;
      for (const place of places) {
        const value = Number(stored[place]);
        if (Number.isFinite(value)) sum += value;
        else bad.add(place);
      }
      data[volume * regions.length + r] = (sum / places.length) * slope + intercept;
    }
  });
  return { matrix: { data, rows: volumes, columns: regions.length }, bad, outline };
}
