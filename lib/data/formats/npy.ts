/** NumPy's .npy files, versions 1 to 3, read into a float32 matrix. */
import { CortuneError } from '../../errors.js';
import type { Matrix } from '../types.js';

const kMagic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** NumPy itself refuses longer headers unless told otherwise. */
const kMaxHeader = 10_000;

type Get = (view: DataView, at: number, little: boolean) => number;

/** NumPy's type letters and sizes that hold real numbers. Values become float32, so integers above 2^24 are rounded. */
const kTypes: Record<string, Get> = {
  b1: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  i1: (view, at) => view.getInt8(at),
  u1: (view, at) => view.getUint8(at),
  i2: (view, at, little) => view.getInt16(at, little),
  u2: (view, at, little) => view.getUint16(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
  u4: (view, at, little) => view.getUint32(at, little),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  f2: (view, at, little) => halfToNumber(view.getUint16(at, little)),
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
};

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

interface Header {
  type: string;
  little: boolean;
  fortran: boolean;
  shape: number[];
}

/**
 * Parses the bytes of a .npy file of one or two axes; one axis becomes one column.
 * @param name how errors call the file.
 * @throws ERR_FORMAT for a truncated or lying file, ERR_DATA for a type or rank that is no matrix of real numbers.
 */
export function parseNpy(bytes: Uint8Array, name: string): Matrix {
  const fail = (message: string): never => {
    throw new CortuneError('ERR_FORMAT', `${name}: ${message}`);
  };
  if (bytes.length < 10 || kMagic.some((byte, i) => bytes[i] !== byte))
    fail('Expected a .npy file (it starts with \\x93NUMPY), got something else. Save it again with numpy.save.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6]!;
  if (version < 1 || version > 3) fail(`Expected .npy version 1, 2 or 3, got ${version}.`);
  const lengthBytes = version === 1 ? 2 : 4;
  const start = 8 + lengthBytes;
  if (bytes.length < start) fail('Expected a header, and the file ends before it. Copy it again.');
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > kMaxHeader) fail(`Expected a header of at most ${kMaxHeader} bytes, got ${length}.`);
  if (start + length > bytes.length)
    fail(`Expected a header of ${length} bytes, and the file ends after ${bytes.length - start}. Copy it again.`);
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(bytes.subarray(start, start + length));
  const header = parseHeader(text, name);
  return values(
    new DataView(view.buffer, view.byteOffset + start + length, bytes.length - start - length),
    header,
    name,
  );
}

/** Reads the three fields of the Python dictionary without being Python: order and spacing are free. */
function parseHeader(text: string, name: string): Header {
  const bad = (what: string): CortuneError =>
    new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected a .npy header with ${what}, got \`${text
        .replace(/[\s\p{Cc}]+/gu, ' ')
        .trim()
        .slice(0, 120)}\`.`,
    );
  const descr = /['"]descr['"]\s*:\s*(?:['"]([^'"]*)['"]|(\[))/.exec(text);
  const fortran = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)?.[1];
  const tuple = /['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/.exec(text)?.[1];
  if (descr?.[2]) throw notNumbers(name, 'a structured type');
  if (descr?.[1] === undefined) throw bad("a text for 'descr'");
  if (fortran === undefined) throw bad("True or False for 'fortran_order'");
  if (tuple === undefined) throw bad("a tuple of sizes for 'shape'");
  const shape = tuple
    .split(',')
    .map((size) => size.replace(/L/, '').trim())
    .filter((size) => size !== '')
    .map(Number);
  if (shape.some((size) => !Number.isSafeInteger(size))) throw bad("whole numbers in 'shape'");
  const type = descr[1].replace(/^[<>|=]/, '');
  if (!(type in kTypes)) throw notNumbers(name, descr[1]);
  return { type, little: !descr[1].startsWith('>'), fortran: fortran === 'True', shape };
}

function notNumbers(name: string, type: string): CortuneError {
  return new CortuneError(
    'ERR_DATA',
    `${name}: Expected real numbers (bool, int8-64, uint8-64, float16-64), got ${type}. Convert with array.astype('float32').`,
  );
}

function values(view: DataView, header: Header, name: string): Matrix {
  const { type, little, fortran, shape } = header;
  if (shape.length < 1 || shape.length > 2)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected 2 axes, [rows, columns], got ${shape.length}: (${shape.join(', ')}). Save a two-dimensional array.`,
    );
  const rows = shape[0]!;
  const columns = shape[1] ?? 1;
  const size = Number(type.slice(1));
  if (rows * columns * size !== view.byteLength)
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected ${rows * columns * size} bytes for shape (${shape.join(', ')}) of ${type}, got ${view.byteLength}. The file is truncated or its header is wrong; copy it again.`,
    );
  // The common case is a copy: libtorch, and so cortune, runs on little-endian machines only.
  if (type === 'f4' && little && !fortran) {
    const copy = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
    return { data: new Float32Array(copy.buffer), rows, columns };
  }
  const get = kTypes[type]!;
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < data.length; i++) {
    const to = fortran ? (i % rows) * columns + Math.floor(i / rows) : i;
    data[to] = get(view, i * size, little);
  }
  return { data, rows, columns };
}
