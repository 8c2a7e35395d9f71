/** Regions of interest as places in an image: the voxels of masks, of an atlas's labels, or all of them. */
import { basename } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { CortuneError } from '../../errors.js';
import { readLabels, regionNumbers } from './labels.js';
import { eachStretch, type NiftiHeader, readNifti } from './nifti.js';

/** Where regions come from; every image must lie in the space of the responses. */
export interface RegionOptions {
  /** An image whose voxels other than 0 are read. */
  mask?: string | undefined;
  /** Masks by the names of their regions; they may overlap. */
  masks?: Readonly<Record<string, string>> | undefined;
  /** An image of whole numbers: one a region, 0 outside of all. */
  atlas?: string | undefined;
  /** The table of the atlas's numbers and names. */
  labels?: string | undefined;
}

/** Places in a volume (first axis fastest, as in the file), in the order of NumPy's `image[mask]`. `name` is empty when there is but one region. */
export interface Region {
  name: string;
  places: Int32Array;
}

/** Two affines this near are one: headers round, each in its own way. In millimetres. */
const kSameSpace = 1e-2;

/**
 * The regions to read from an image.
 * @param wanted regions by name or number, of an atlas or of masks; all of them by default.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT; ERR_DATA for images of another space, empty masks, regions that are not there.
 */
export async function readRegions(
  image: NiftiHeader,
  options: RegionOptions,
  wanted: readonly (string | number)[] | undefined,
): Promise<Region[]> {
  const inside = options.mask === undefined ? undefined : await readPlaces(options.mask, image);
  if (options.masks !== undefined) return await fromMasks(options.masks, image, inside, wanted);
  if (options.atlas !== undefined) return await fromAtlas(options.atlas, options.labels, image, inside, wanted);
  return [{ name: '', places: ordered(image.shape, inside ?? (() => true)) }];
}

type Test = (place: number) => boolean;

/** Whether a voxel belongs to a mask. */
async function readPlaces(path: string, image: NiftiHeader): Promise<Test> {
  const values = await readImage(path, image);
  const inside = (place: number) => values[place] !== 0 && !Number.isNaN(values[place]);
  if (!values.some((_, place) => inside(place)))
    throw new CortuneError('ERR_DATA', `${basename(path)}: Expected a mask with voxels other than 0, got none.`);
  return inside;
}

async function fromMasks(
  masks: Readonly<Record<string, string>>,
  image: NiftiHeader,
  inside: Test | undefined,
  wanted: readonly (string | number)[] | undefined,
): Promise<Region[]> {
  const names = Object.keys(masks);
  const regions: Region[] = [];
  for (const name of wanted?.map(String) ?? names) {
    const path = masks[name];
    if (path === undefined)
      throw new CortuneError(
        'ERR_DATA',
        `Expected a mask for region \`${name}\` (nearest: \`${closest(name, names)}\`), there are masks for ${names.join(', ')}.`,
      );
    const member = await readPlaces(path, image);
    regions.push({ name, places: ordered(image.shape, (at) => member(at) && (inside?.(at) ?? true)) });
  }
  return regions.map((region) => filled(region, image.name));
}

async function fromAtlas(
  path: string,
  table: string | undefined,
  image: NiftiHeader,
  inside: Test | undefined,
  wanted: readonly (string | number)[] | undefined,
): Promise<Region[]> {
  const values = await readImage(path, image);
  const there = new Set<number>();
  for (const value of values) if (value !== 0 && !Number.isNaN(value)) there.add(value);
  const odd = [...there].find((value) => !Number.isInteger(value));
  const name = basename(path);
  if (odd !== undefined)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected an atlas of whole numbers, one a region, got ${odd}. Of probability maps take the most probable region.`,
    );
  if (there.size === 0) throw new CortuneError('ERR_DATA', `${name}: Expected voxels other than 0, got none.`);
  const labels = table === undefined ? new Map<number, string>() : await readLabels(table);
  const chosen = regionNumbers(wanted, labels, there, name);
  // One pass over the image, however many regions.
  const members = new Map(chosen.map(({ number }) => [number, [] as number[]]));
  for (const place of ordered(image.shape, (at) => members.has(values[at]!) && (inside?.(at) ?? true)))
    members.get(values[place]!)!.push(place);
  return chosen.map((region) =>
    filled({ name: region.name, places: Int32Array.from(members.get(region.number)!) }, image.name),
  );
}

function filled(region: Region, name: string): Region {
  if (region.places.length > 0) return region;
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected voxels in region \`${region.name}\` within the mask, got none.`,
  );
}

/** Places in the order of NumPy's `image[mask]`: the last axis fastest. */
function ordered([width, height = 1, depth = 1]: readonly number[], member: Test): Int32Array {
  const places: number[] = [];
  for (let x = 0; x < width!; x++)
    for (let y = 0; y < height; y++)
      for (let z = 0; z < depth; z++) {
        const place = x + width! * (y + height * z);
        if (member(place)) places.push(place);
      }
  return Int32Array.from(places);
}

/** A mask or atlas, which must lie where the image lies. */
async function readImage(path: string, image: NiftiHeader): Promise<Float32Array> {
  const header = await readNifti(path, basename(path));
  const space = image.shape.slice(0, 3);
  if (header.shape.join() !== space.join())
    throw new CortuneError(
      'ERR_DATA',
      `${header.name}: Expected the [${space.join(', ')}] voxels of ${image.name}, got [${header.shape.join(', ')}]. Resample it to that image.`,
    );
  if (header.affine && image.affine) {
    const apart = header.affine.flat().some((value, i) => Math.abs(value - image.affine!.flat()[i]!) > kSameSpace);
    if (apart)
      throw new CortuneError(
        'ERR_DATA',
        `${header.name}: Expected voxels at the places of ${image.name}, and their affines differ. Resample it to that image.`,
      );
  }
  const values = new Float32Array(space.reduce((product, axis) => product * axis, 1));
  await eachStretch(header, values.length, (stored) => {
    for (let i = 0; i < values.length; i++) values[i] = Number(stored[i]) * header.slope + header.intercept;
  });
  return values;
}
