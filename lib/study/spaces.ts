/**
 * `DIR/spaces/HASH.json`: where the response columns of a data set (by its hash) lie in the images they were read from. Written once a data
 * set, so that a report can show scores on the brain without the images.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { placed, type Space } from '../data/space.js';
import { CortuneError } from '../errors.js';
import { ioError, replaceFile } from './atomic.js';
import { canonicalJson } from './hash.js';

export const kSpaces = 'spaces';
const kFormat = 1;
/** More voxels than any image that is read whole. */
const kVoxels = 2 ** 28;

/** A space as JSON: voxels of each column as alternating gaps and lengths of stretches, which is short for masks and atlases. */
interface Written {
  subjects: string[];
  columns: string[];
  shape: number[];
  affine?: number[][];
  stretches: number[][];
  outline?: number[];
}

/** Remembers the spaces of a data set; nothing to do when they are there. Throws ERR_IO. */
export async function saveSpaces(folder: string, hash: string, spaces: readonly Space[]): Promise<void> {
  const path = join(folder, kSpaces, `${hash}.json`);
  const there = await stat(path).catch(() => undefined);
  if (there || spaces.length === 0) return;
  await mkdir(join(folder, kSpaces), { recursive: true }).catch((error) => {
    throw ioError(error, `make ${join(folder, kSpaces)}`);
  });
  const written = spaces.map(write);
  await replaceFile(path, `${JSON.stringify({ format: kFormat, sha256: checksum(written), spaces: written })}\n`);
}

/** The spaces of a data set; none where its responses did not come from images. Throws ERR_FORMAT for a file that is not as it was written. */
export async function readSpaces(folder: string, hash: string): Promise<Space[]> {
  const name = join(kSpaces, `${hash}.json`);
  const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  try {
    const { sha256, spaces } = JSON.parse(text) as { sha256: string; spaces: Written[] };
    if (checksum(spaces) !== sha256) throw new Error('the checksum differs');
    return spaces.map(read);
  } catch (cause) {
    const advice = 'Remove it and run the study again: it is written anew.';
    throw new CortuneError('ERR_FORMAT', `Expected ${join(folder, name)} to be whole, and it is not. ${advice}`, {
      cause,
    });
  }
}

function checksum(spaces: readonly Written[]): string {
  return createHash('sha256').update(canonicalJson(spaces)).digest('hex');
}

function write({ subjects, columns, shape, affine, voxels, starts, outline }: Space): Written {
  const stretches = columns.map((_, i) => stretchesOf(voxels.slice(starts[i], starts[i + 1]).sort()));
  const head = outline && { outline: stretchesOf(outline) };
  return { subjects, columns, shape, ...(affine && { affine }), stretches, ...head };
}

/** Gap from the end of the last stretch, length, gap, length ... */
export function stretchesOf(voxels: Int32Array): number[] {
  const found: number[] = [];
  let end = 0;
  for (const voxel of voxels) {
    if (found.length > 0 && voxel === end) found[found.length - 1]!++;
    else found.push(voxel - end, 1);
    end = voxel + 1;
  }
  return found;
}

function read({ subjects, columns, shape, affine, stretches, outline }: Written): Space {
  const [x, y, z] = shape as [number, number, number];
  const size = x * y * z;
  if (!(size > 0 && size <= kVoxels) || stretches.length !== columns.length) throw new RangeError('its sizes differ');
  const all = stretches.map((each) => voxelsOf(each, size));
  const { voxels, starts } = placed({ shape, affine }, all);
  const head = outline && { outline: voxelsOf(outline, size) };
  return { subjects, columns, shape: [x, y, z], ...(affine && { affine }), voxels, starts, ...head };
}

/** The voxels of stretches in an image of `size` voxels. */
function voxelsOf(stretches: readonly number[], size: number): Int32Array {
  const found: number[] = [];
  let at = 0;
  for (let k = 0; k < stretches.length; k += 2) {
    at += stretches[k]!;
    if (!(at >= 0 && at + stretches[k + 1]! <= size)) throw new RangeError('a voxel lies outside of its image');
    for (const end = at + stretches[k + 1]!; at < end; at++) found.push(at);
  }
  return Int32Array.from(found);
}
