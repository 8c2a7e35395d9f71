/**
 * CIFTI-2 (.dtseries.nii, .dscalar.nii, .dlabel.nii): a matrix of grayordinates, vertices of the cortex and voxels below it, in a NIfTI-2 file.
 * Its XML says which structure each belongs to; a column's region is its structure, or its label in an atlas of the same grayordinates.
 */
import { SaxesParser, type SaxesTagPlain } from 'saxes';
import { CortuneError } from '../../errors.js';
import { checkMatrixSize } from './bytes.js';
import type { MatrixOptions, NamedMatrix } from './index.js';
import { readLabels, regionNumbers } from './labels.js';
import { eachStretch, type NiftiHeader } from './nifti.js';

/** The axis of grayordinates, and the label table of a .dlabel. */
interface Layout {
  /** Structure of each grayordinate: CORTEX_LEFT. */
  structures: string[];
  labels: Map<number, string>;
}

/** Series, maps: [rows, grayordinates] as the file has them, and the layout of the columns. */
interface Grayordinates extends Layout {
  header: NiftiHeader;
  rows: number;
}

/** Whether an image is CIFTI-2: its intents are 3000 to 3099, and its matrix begins at the fifth axis. */
export function isCifti({ intent, extension }: NiftiHeader): boolean {
  return intent >= 3000 && intent < 3100 && extension !== undefined;
}

/**
 * Series or maps as rows, grayordinates as columns, called `CORTEX_LEFT:12` (by their number within the structure). With a .dlabel atlas, columns
 * are means of its regions, or with `reduce: none` the grayordinates of each.
 * @throws ERR_FORMAT, ERR_IO; ERR_DATA for parcels, another number of grayordinates, regions that are not there; ERR_MEMORY.
 */
export async function readCifti(
  header: NiftiHeader,
  atlas: NiftiHeader | undefined,
  options: MatrixOptions,
): Promise<NamedMatrix> {
  if (options.mask !== undefined || options.masks !== undefined)
    throw new CortuneError(
      'ERR_DATA',
      `${header.name}: Expected no mask for a CIFTI file, which has grayordinates and no voxels. Take structures by \`columns\`, or regions of a .dlabel.nii \`atlas\`.`,
    );
  const image = layoutOf(header);
  const columns = names(image.structures);
  const regions = atlas === undefined ? undefined : await atlasRegions(image, atlas, options);
  const places = regions?.places ?? columns.map((_, i) => i);
  const data = await gather(image, places);
  const matrix = { data, rows: image.rows, columns: places.length };
  return {
    matrix,
    columns: places.map((place) => columns[place]!),
    regions: regions?.names ?? places.map((place) => image.structures[place]!),
  };
}

/** Values of the grayordinates at `places`: in the file those of one grayordinate lie together. */
async function gather({ header, rows }: Grayordinates, places: readonly number[]): Promise<Float32Array> {
  checkMatrixSize(header.name, rows, places.length);
  const wanted = new Map<number, number[]>();
  for (const [i, place] of places.entries()) wanted.set(place, [...(wanted.get(place) ?? []), i]);
  const data = new Float32Array(rows * places.length);
  await eachStretch(header, rows, (stored, place) => {
    for (const column of wanted.get(place) ?? [])
      for (let row = 0; row < rows; row++)
        data[row * places.length + column] = Number(stored[row]) * header.slope + header.intercept;
  });
  return data;
}

async function atlasRegions(
  image: Grayordinates,
  header: NiftiHeader,
  { columns, labels: table }: MatrixOptions,
): Promise<{ names: string[]; places: number[] }> {
  const atlas = layoutOf(header);
  if (atlas.structures.join() !== image.structures.join() || atlas.rows !== 1)
    throw new CortuneError(
      'ERR_DATA',
      `${header.name}: Expected one map of the ${image.structures.length} grayordinates of ${image.header.name}, got ${atlas.rows} of ${atlas.structures.length}.`,
    );
  const values = await gather(
    atlas,
    atlas.structures.map((_, i) => i),
  );
  const there = new Set(values.filter((value) => value !== 0));
  const labels = table === undefined ? atlas.labels : await readLabels(table);
  const chosen = regionNumbers(columns, labels, there, header.name);
  const members = new Map(chosen.map(({ number }) => [number, [] as number[]]));
  for (const [place, value] of values.entries()) members.get(value)?.push(place);
  return {
    names: chosen.flatMap(({ name, number }) => members.get(number)!.map(() => name)),
    places: chosen.flatMap(({ number }) => members.get(number)!),
  };
}

function names(structures: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return structures.map((structure) => {
    const number = seen.get(structure) ?? 0;
    seen.set(structure, number + 1);
    return `${structure}:${number}`;
  });
}

function layoutOf(header: NiftiHeader): Grayordinates {
  const { name, shape, extension = '' } = header;
  const lengths = shape.slice(4);
  const count = lengths.at(-1);
  if (lengths.length !== 2 || count === undefined)
    throw new CortuneError('ERR_DATA', `${name}: Expected a CIFTI matrix of two axes, got [${lengths.join(', ')}].`);
  const layout = parseXml(extension, count, name);
  return { ...layout, header, rows: lengths[0]! };
}

/** The parts of the XML that say what the columns are. */
function parseXml(xml: string, count: number, name: string): Layout {
  const structures = new Array<string>(count).fill('');
  const labels = new Map<number, string>();
  let number: number | undefined;
  let text = '';
  let found = 0;
  const parser = new SaxesParser({});
  const refuse = (reason: string): never => {
    throw new CortuneError('ERR_FORMAT', `${name}: Expected the XML of a CIFTI-2 file, got: ${reason}.`);
  };
  parser.on('error', (error) => refuse(error.message));
  parser.on('opentag', ({ name: tag, attributes }: SaxesTagPlain) => {
    if (tag === 'Parcel') refuse('parcels (.ptseries), which are not read; write them as a table');
    if (tag === 'Label') number = Number(attributes.Key);
    text = '';
    if (tag !== 'BrainModel') return;
    const from = Number(attributes.IndexOffset);
    const length = Number(attributes.IndexCount);
    const structure = attributes.BrainStructure;
    if (!(from >= 0 && length >= 0 && from + length <= count) || structure === undefined)
      return refuse(`grayordinates ${from} to ${from + length} of ${count}`);
    structures.fill(structure.replace('CIFTI_STRUCTURE_', ''), from, from + length);
    found += length;
  });
  parser.on('text', (piece) => {
    if (number !== undefined) text += piece;
  });
  parser.on('closetag', ({ name: tag }: SaxesTagPlain) => {
    if (tag !== 'Label' || number === undefined) return;
    labels.set(number, text.trim());
    number = undefined;
  });
  parser.write(xml).close();
  if (found !== count) refuse(`${found} grayordinates in its brain models, and ${count} columns`);
  return { structures, labels };
}
