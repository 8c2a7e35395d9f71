/** NIfTI-1 and NIfTI-2 images (.nii, .nii.gz): their header, and their values one volume at a time. */
import { readHeader } from 'nifti-reader-js';
import { CortuneError } from '../../errors.js';
import { checkUnpacked, fileSize } from './bytes.js';
import { ByteStream } from './stream.js';

/** NIfTI-1 headers have 348 bytes, NIfTI-2 540; 4 more say whether extensions follow. */
const kHeaderBytes = { 348: 352, 540: 544 } as const;
/** The largest extension that is read (CIFTI's XML of a whole brain has some MB). */
const kMaxExtension = 64 * 2 ** 20;

type Values =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Numbers by NIfTI's code of their type: bytes each, and the array that views them. */
const kTypes: Record<number, { bytes: number; view: new (buffer: ArrayBuffer) => Values }> = {
  2: { bytes: 1, view: Uint8Array },
  4: { bytes: 2, view: Int16Array },
  8: { bytes: 4, view: Int32Array },
  16: { bytes: 4, view: Float32Array },
  64: { bytes: 8, view: Float64Array },
  256: { bytes: 1, view: Int8Array },
  512: { bytes: 2, view: Uint16Array },
  768: { bytes: 4, view: Uint32Array },
  1024: { bytes: 8, view: BigInt64Array },
  1280: { bytes: 8, view: BigUint64Array },
};
const kOtherTypes: Record<number, string> = {
  1: 'single bits',
  32: 'complex64',
  128: 'RGB colours',
  1536: 'float128',
  1792: 'complex128',
  2048: 'complex256',
  2304: 'RGBA colours',
};

export interface NiftiHeader {
  /** How messages call the file. */
  name: string;
  path: string;
  /** Lengths of the axes, without those of length 1 at the end. */
  shape: number[];
  type: number;
  littleEndian: boolean;
  /** Value = stored * slope + intercept. */
  slope: number;
  intercept: number;
  /** First byte of the values. */
  offset: number;
  intent: number;
  /** Seconds between volumes by the header; undefined where it does not say. */
  tr: number | undefined;
  /** Voxels to millimetres, row by row, where the header gives it (the sform). */
  affine: number[][] | undefined;
  /** The XML of a CIFTI-2 file. */
  extension: string | undefined;
}

/** Reads the header and checks that the file can hold what it says. @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, ERR_DATA. */
export async function readNifti(path: string, name: string): Promise<NiftiHeader> {
  await using stream = await ByteStream.open(path, name);
  return await headerOf(stream, path, name);
}

async function headerOf(stream: ByteStream, path: string, name: string): Promise<NiftiHeader> {
  const size = await fileSize(path);
  const first = await stream.take(4, 'its header');
  const littleEndian = first.readInt32LE() in kHeaderBytes;
  const length = kHeaderBytes[(littleEndian ? first.readInt32LE() : first.readInt32BE()) as 348 | 540];
  if (length === undefined)
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected a NIfTI-1 or NIfTI-2 file (it begins with 348 or 540), got ${first.readInt32LE()}. Convert it, for example with nibabel.`,
    );
  const bytes = Buffer.concat([first, await stream.take(length - 4, 'its header')]);
  const extended = bytes[length - 4] !== 0;
  bytes[length - 4] = 0; // the library would read extensions from these bytes
  const header = parse(bytes, name);
  const shape = axes(header.dims, name);
  const type = kTypes[header.datatypeCode];
  if (type === undefined)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected real numbers, got ${kOtherTypes[header.datatypeCode] ?? `the unknown type ${header.datatypeCode}`}. Convert it to float32.`,
    );
  const offset = Math.max(header.vox_offset, length);
  const values = shape.reduce((product, axis) => product * axis, 1);
  const end = offset + values * type.bytes;
  if (!Number.isSafeInteger(end) || !(header.vox_offset >= 0))
    throw new CortuneError('ERR_FORMAT', `${name}: Expected a file that can be, its header says ${end} bytes.`);
  if (stream.packed) checkUnpacked(name, 'its values', size, end);
  else if (size < end)
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected ${end} bytes for shape [${shape.join(', ')}], got ${size}. The file is truncated or its header is wrong; copy it again.`,
    );
  const { scl_slope: slope, scl_inter: inter } = header;
  // A slope of 0 means that values are not scaled.
  const scaled = Number.isFinite(slope) && slope !== 0;
  return {
    name,
    path,
    shape,
    type: header.datatypeCode,
    littleEndian: header.littleEndian,
    slope: scaled ? slope : 1,
    intercept: scaled && Number.isFinite(inter) ? inter : 0,
    offset,
    intent: header.intent_code,
    tr: secondsOf(header.pixDims[4], header.xyzt_units),
    affine: header.sform_code > 0 ? header.affine.map((row) => [...row]) : undefined,
    extension: extended ? await ciftiXml(stream, header.littleEndian, length, offset) : undefined,
  };
}

function parse(bytes: Buffer, name: string) {
  try {
    const header = readHeader(Uint8Array.from(bytes).buffer); // a copy of its own, that begins at 0
    if (header !== null) return header;
  } catch (cause) {
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected a NIfTI header of one file (magic n+1 or n+2), got: ${(cause as Error).message} Pairs of .hdr and .img are not read; convert them to .nii.`,
      { cause },
    );
  }
  throw new CortuneError('ERR_FORMAT', `${name}: Expected a NIfTI header, got none.`);
}

function axes([rank, ...lengths]: number[], name: string): number[] {
  const shape = lengths.slice(0, rank);
  if (!(rank! >= 1 && rank! <= 7) || !shape.every((length) => Number.isSafeInteger(length) && length >= 1))
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected 1 to 7 axes of length 1 or more, its header says ${rank}: [${shape.join(', ')}].`,
    );
  while (shape.length > 3 && shape.at(-1) === 1) shape.pop();
  return shape;
}

/** Units of time are bits 3 to 5: 8 seconds, 16 milliseconds, 24 microseconds; many writers leave them out and mean seconds. */
function secondsOf(step: number | undefined, units: number): number | undefined {
  const scale = { 16: 1e-3, 24: 1e-6 }[units & 56] ?? 1;
  return step !== undefined && step > 0 && Number.isFinite(step) ? step * scale : undefined;
}

/** The XML of a CIFTI-2 file: the extension with code 32. The stream stands at the first one. */
async function ciftiXml(
  stream: ByteStream,
  little: boolean,
  from: number,
  offset: number,
): Promise<string | undefined> {
  for (let at = from; at + 8 <= offset; ) {
    const head = await stream.take(8, 'an extension of its header');
    const [size, code] = [0, 4].map((place) => (little ? head.readInt32LE(place) : head.readInt32BE(place))) as [
      number,
      number,
    ];
    if (size < 8 || at + size > offset || size > kMaxExtension) return undefined;
    if (code === 32) return (await stream.take(size - 8, 'its CIFTI extension')).toString('utf8').replace(/\0+$/, '');
    at += size;
    await stream.skipTo(at, 'an extension of its header');
  }
  return undefined;
}

/**
 * Calls `visit` with each stretch of `length` stored values in turn, as they lie in the file: a volume, or a row of a CIFTI matrix. Memory: one
 * stretch, which the next one overwrites. Values are not scaled yet.
 * @throws ERR_IO; ERR_FORMAT when the file ends before.
 */
export async function eachStretch(
  header: NiftiHeader,
  length: number,
  visit: (values: ArrayLike<number | bigint>, index: number) => void,
): Promise<void> {
  const { name, path, shape, type, littleEndian, offset } = header;
  const { bytes, view } = kTypes[type]!;
  const count = shape.reduce((product, axis) => product * axis, 1) / length;
  const stretch = Buffer.from(new ArrayBuffer(length * bytes));
  const values = new view(stretch.buffer as ArrayBuffer);
  await using stream = await ByteStream.open(path, name);
  await stream.skipTo(offset, 'its header');
  for (let i = 0; i < count; i++) {
    await stream.fill(stretch, `its values (stretch ${i + 1} of ${count})`);
    if (!littleEndian) swap(stretch, bytes); // libtorch, and so cortune, runs on little-endian machines only
    visit(values, i);
  }
}

function swap(buffer: Buffer, bytes: number): void {
  if (bytes === 2) buffer.swap16();
  else if (bytes === 4) buffer.swap32();
  else if (bytes === 8) buffer.swap64();
}
