/** Pictures with labels from the files in which people have them: CIFAR-10's batches, MNIST's IDX, folders of classes. */
import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CortuneError } from '../errors.js';
import type { ImageSource } from './decode.js';

/** A class (text or number) of a picture. */
export interface LabelledPicture {
  image: ImageSource;
  label: string | number;
}

const kPictures = ['.png', '.jpg', '.jpeg', '.webp', '.gif', '.tif', '.tiff', '.avif'];
const kIdx = /images[.-]idx3-ubyte(\.gz)?$/;
/** A CIFAR-10 record: the class, and 32 x 32 pixels, a channel after the other. */
const kCifarSide = 32;
const kCifarBytes = 1 + 3 * kCifarSide ** 2;

/** Is `path` one of them, rather than a table? */
export function holdsPictures(path: string): boolean {
  return kIdx.test(path) || extname(path) === '.bin' || (existsSync(path) && statSync(path).isDirectory());
}

/**
 * `data_batch_1.bin` of CIFAR-10; `train-images-idx3-ubyte` (or `.gz`) with the labels beside it; or a folder with a folder of pictures for each class.
 * @throws ERR_NOT_FOUND, ERR_FORMAT for files that are cut off, ERR_DATA for a label out of range, naming the item.
 */
export async function readLabelledPictures(path: string): Promise<LabelledPicture[]> {
  if (kIdx.test(path)) return readIdx(path);
  return extname(path) === '.bin' ? readCifar(path) : readFolders(path);
}

async function bytesOf(path: string): Promise<Buffer> {
  const content = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new CortuneError('ERR_NOT_FOUND', `Expected a file at ${path}: ${cause.message}.`, { cause });
  });
  if (!path.endsWith('.gz')) return content;
  try {
    return gunzipSync(content);
  } catch (cause) {
    throw broken(path, (cause as Error).message, cause);
  }
}

function broken(path: string, what: string, cause?: unknown): CortuneError {
  return new CortuneError('ERR_FORMAT', `Expected ${basename(path)} to be whole, but ${what}. Get it again.`, {
    cause,
  });
}

async function readCifar(path: string): Promise<LabelledPicture[]> {
  const content = await bytesOf(path);
  const count = content.length / kCifarBytes;
  if (!Number.isInteger(count) || count < 1)
    throw broken(path, `its ${content.length} bytes are no multiple of ${kCifarBytes}, a picture of CIFAR-10`);
  const area = kCifarSide ** 2;
  return Array.from({ length: count }, (_, i) => {
    const record = content.subarray(i * kCifarBytes, (i + 1) * kCifarBytes);
    checkDigit(path, record[0]!, i);
    const data = new Uint8Array(3 * area);
    for (let p = 0; p < area; p++) for (let c = 0; c < 3; c++) data[3 * p + c] = record[1 + c * area + p]!;
    return { image: { data, width: kCifarSide, height: kCifarSide, channels: 3 }, label: String(record[0]!) };
  });
}

function checkDigit(path: string, label: number, i: number): void {
  if (label > 9)
    throw new CortuneError(
      'ERR_DATA',
      `${basename(path)}: Expected a label from 0 to 9 at item ${i + 1}, got ${label}.`,
    );
}

/** The header of an IDX file: 0, 0, 8 (bytes), axes; and the length of each. */
function idx(path: string, content: Buffer, axes: number): { lengths: number[]; body: Buffer } {
  const start = 4 + 4 * axes;
  if (content.length < start || content.readUInt32BE(0) !== 0x0800 + axes) throw broken(path, 'it has no IDX header');
  const lengths = Array.from({ length: axes }, (_, i) => content.readUInt32BE(4 + 4 * i));
  const size = lengths.reduce((product, length) => product * length, 1);
  const body = content.subarray(start);
  if (body.length !== size) throw broken(path, `it holds ${body.length} bytes where its header says ${size}`);
  return { lengths, body };
}

async function readIdx(path: string): Promise<LabelledPicture[]> {
  const beside = join(dirname(path), basename(path).replace('images', 'labels').replace('idx3', 'idx1'));
  const pictures = idx(path, await bytesOf(path), 3);
  const labels = idx(beside, await bytesOf(beside), 1);
  const [count, height, width] = pictures.lengths as [number, number, number];
  if (labels.lengths[0] !== count) throw broken(beside, `it has ${labels.lengths[0]} labels for ${count} pictures`);
  const area = height * width;
  return Array.from({ length: count }, (_, i) => {
    checkDigit(beside, labels.body[i]!, i);
    const data = new Uint8Array(pictures.body.subarray(i * area, (i + 1) * area));
    return { image: { data, width, height, channels: 1 }, label: String(labels.body[i]!) };
  });
}

async function readFolders(path: string): Promise<LabelledPicture[]> {
  const found: LabelledPicture[] = [];
  for (const label of (await readdir(path)).sort()) {
    if (!statSync(join(path, label)).isDirectory()) continue;
    for (const name of (await readdir(join(path, label))).sort())
      if (kPictures.includes(extname(name).toLowerCase())) found.push({ image: join(path, label, name), label });
  }
  if (found.length > 0) return found;
  throw new CortuneError('ERR_DATA', `Expected ${path} to hold a folder of pictures for each class, got none.`);
}
