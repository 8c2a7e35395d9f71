/** MATLAB 5 files (.mat of MATLAB 5 to 7, not 7.3): numbers, texts, cell arrays and structures. */
import { constants, inflateSync } from 'node:zlib';
import { CortuneError } from '../../errors.js';

/** An array as MATLAB has it: values in column-major order, `shape` outermost last. */
export type MatValue =
  | { kind: 'numbers'; shape: number[]; values: Float64Array }
  | { kind: 'text'; shape: number[]; text: string }
  | { kind: 'cell'; shape: number[]; cells: MatValue[] }
  /** One value an element and field: `fields.get(name)![element]`. */
  | { kind: 'struct'; shape: number[]; fields: Map<string, MatValue[]> }
  /** A class that is not read: sparse matrices, objects, functions. */
  | { kind: 'other'; shape: number[]; class: string };

/** Deepest nesting of cells and structures. */
const kDeepest = 64;
/** Compressed bytes that are enough to learn the size of a variable. */
const kHead = 256;

const kCompressed = 15;
const kMatrix = 14;

/** Numbers in the file by their type: bytes each, and how one is read. */
const kTypes: Record<number, [size: number, read: (view: DataView, at: number, little: boolean) => number]> = {
  1: [1, (view, at) => view.getInt8(at)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at, little) => view.getInt16(at, little)],
  4: [2, (view, at, little) => view.getUint16(at, little)],
  5: [4, (view, at, little) => view.getInt32(at, little)],
  6: [4, (view, at, little) => view.getUint32(at, little)],
  7: [4, (view, at, little) => view.getFloat32(at, little)],
  9: [8, (view, at, little) => view.getFloat64(at, little)],
  12: [8, (view, at, little) => Number(view.getBigInt64(at, little))],
  13: [8, (view, at, little) => Number(view.getBigUint64(at, little))],
  16: [1, (view, at) => view.getUint8(at)], // UTF-8
  17: [2, (view, at, little) => view.getUint16(at, little)], // UTF-16
};
const kClasses = ['', 'cell', 'struct', 'object', 'char', 'sparse', 'double', 'single', 'int8', 'uint8', 'int16'];
const kMoreClasses = ['uint16', 'int32', 'uint32', 'int64', 'uint64', 'function', 'opaque'];

/** Bytes of one element and what they are. */
interface Element {
  type: number;
  body: DataView;
}

/**
 * The variables of a MATLAB 5 file, by name. Numbers come as float64 (64-bit integers above 2^53 lose digits).
 * @throws ERR_FORMAT for another version (7.3 is HDF5), a file that is cut off, and sizes that do not fit what is there.
 */
export function parseMat(bytes: Uint8Array, name: string): Map<string, MatValue> {
  const reader = new Reader(name);
  const view = viewOf(bytes);
  reader.little = littleEndian(bytes, reader);
  const variables = new Map<string, MatValue>();
  for (let at = 128; at < bytes.length; ) {
    const { element, next } = reader.element(view, at);
    at = next;
    const matrix = element.type === kCompressed ? reader.inflated(element.body) : element;
    if (matrix.type !== kMatrix) continue;
    const { variable, value } = reader.matrix(matrix.body, 0);
    variables.set(variable, value);
  }
  return variables;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** From the mark `MI` at byte 126, written as a 16-bit number. */
function littleEndian(bytes: Uint8Array, reader: Reader): boolean {
  const text = String.fromCharCode(...bytes.subarray(0, 8));
  if (text === '\x89HDF\r\n\x1a\n' || String.fromCharCode(...bytes.subarray(0, 10)) === 'MATLAB 7.3')
    throw reader.broken('a MATLAB 5 file', 'one of version 7.3; save it with `save -v7`');
  const mark = bytes.length < 128 ? '' : String.fromCharCode(bytes[126]!, bytes[127]!);
  if (mark !== 'IM' && mark !== 'MI') throw reader.broken('a MATLAB 5 file with its header of 128 bytes', 'another');
  return mark === 'IM';
}

class Reader {
  readonly #name: string;
  little = true;

  constructor(name: string) {
    this.#name = name;
  }

  broken(wanted: string, got: string): CortuneError {
    return new CortuneError('ERR_FORMAT', `${this.#name}: Expected ${wanted}, got ${got}. The file may be damaged.`);
  }

  /** The element at `at`: 8 bytes of type and size and then its bytes, or both in 8 bytes when it has 4 or fewer. */
  element(view: DataView, at: number): { element: Element; next: number } {
    const left = view.byteLength - at;
    if (left < 8) throw this.broken(`an element of 8 bytes or more at byte ${at}`, `${left}`);
    const first = view.getUint32(at, this.little);
    const small = first >>> 16;
    const type = small > 0 ? first & 0xffff : first;
    const size = small > 0 ? small : view.getUint32(at + 4, this.little);
    const start = at + (small > 0 ? 4 : 8);
    if (size > (small > 0 ? 4 : left - 8))
      throw this.broken(`at most ${small > 0 ? 4 : left - 8} bytes in the element at byte ${at}`, `${size}`);
    const body = new DataView(view.buffer, view.byteOffset + start, size);
    if (small > 0) return { element: { type, body }, next: at + 8 };
    // Compressed elements are not padded; the last one may lack its padding.
    const padded = type === kCompressed ? size : Math.ceil(size / 8) * 8;
    return { element: { type, body }, next: Math.min(view.byteLength, start + padded) };
  }

  /** One variable, inflated to the size its own tag declares and no further. */
  inflated(body: DataView): Element {
    const packed = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    try {
      const head = inflateSync(packed.subarray(0, kHead), { finishFlush: constants.Z_SYNC_FLUSH });
      const declared = viewOf(head).getUint32(4, this.little) + 8;
      const bytes = inflateSync(packed, { maxOutputLength: declared });
      return this.element(viewOf(bytes), 0).element;
    } catch (cause) {
      if (cause instanceof CortuneError) throw cause;
      throw this.broken('a compressed variable of the size it declares', (cause as Error).message);
    }
  }

  /** Flags, shape, name, and what the class asks for. */
  matrix(body: DataView, depth: number): { variable: string; value: MatValue } {
    if (depth > kDeepest) throw this.broken(`cells and structures at most ${kDeepest} deep`, 'deeper ones');
    if (body.byteLength === 0)
      return { variable: '', value: { kind: 'numbers', shape: [0, 0], values: new Float64Array() } };
    const parts = this.#parts(body);
    const flags = parts();
    if (flags.body.byteLength < 8) throw this.broken('8 bytes of array flags', `${flags.body.byteLength}`);
    const word = flags.body.getUint32(0, this.little);
    const code = word & 0xff;
    const kind = [...kClasses, ...kMoreClasses][code] ?? `class ${code}`;
    if (kind === 'opaque') return { variable: '', value: { kind: 'other', shape: [], class: kind } };
    const shape = [...this.#numbers(parts())];
    const count = shape.reduce((product, length) => product * length, 1);
    if (shape.length < 2 || !shape.every((length) => length >= 0) || !Number.isSafeInteger(count))
      throw this.broken('a shape of two or more lengths', `[${shape.join(', ')}]`);
    const variable = this.#text(parts());
    const value = this.#value(kind, { shape, count, complex: (word & 0x800) !== 0 }, parts, depth);
    return { variable, value };
  }

  #value(
    kind: string,
    { shape, count, complex }: { shape: number[]; count: number; complex: boolean },
    parts: () => Element,
    depth: number,
  ): MatValue {
    const nested = () => this.matrix(this.#typed(parts(), kMatrix).body, depth + 1).value;
    switch (kind) {
      case 'cell':
        return { kind, shape, cells: this.#many(count, nested) };
      case 'struct':
        return { kind, shape, fields: this.#fields(count, parts, nested) };
      case 'char': {
        const text = this.#text(parts());
        return { kind: 'text', shape, text };
      }
      case 'object':
      case 'sparse':
      case 'function':
        return { kind: 'other', shape, class: kind };
    }
    const values = this.#numbers(parts());
    if (complex) return { kind: 'other', shape, class: `complex ${kind}` };
    if (values.length !== count)
      throw this.broken(`${count} numbers for shape [${shape.join(', ')}]`, `${values.length}`);
    return { kind: 'numbers', shape, values };
  }

  #fields(count: number, parts: () => Element, nested: () => MatValue): Map<string, MatValue[]> {
    const width = this.#numbers(parts())[0] ?? 0;
    const names = this.#text(parts());
    if (!(width > 0) || names.length % width) throw this.broken('names of fields of one length', `${names.length}`);
    const fields = new Map<string, MatValue[]>();
    for (let at = 0; at < names.length; at += width) fields.set(names.slice(at, at + width).replace(/\0.*/s, ''), []);
    this.#many(count, () => {
      for (const values of fields.values()) values.push(nested());
    });
    return fields;
  }

  /** `count` things read one after the other: a count that lies runs out of bytes and not out of memory. */
  #many<T>(count: number, read: () => T): T[] {
    const found: T[] = [];
    for (let i = 0; i < count; i++) found.push(read());
    return found;
  }

  /** Hands out the elements within a body, one a call. */
  #parts(body: DataView): () => Element {
    let at = 0;
    return () => {
      const { element, next } = this.element(body, at);
      at = next;
      return element;
    };
  }

  #typed(element: Element, type: number): Element {
    if (element.type !== type) throw this.broken(`an element of type ${type}`, `${element.type}`);
    return element;
  }

  #numbers({ type, body }: Element): Float64Array {
    const [size, read] = kTypes[type] ?? [0, undefined];
    if (read === undefined || body.byteLength % size)
      throw this.broken('whole numbers of a known type', `${body.byteLength} bytes of type ${type}`);
    return Float64Array.from({ length: body.byteLength / size }, (_, i) => read(body, i * size, this.little));
  }

  #text(element: Element): string {
    const { type, body } = element;
    if (type === 16) return new TextDecoder().decode(body);
    // One code unit a number, in pieces: a call takes so many arguments only.
    let text = '';
    for (const code of this.#numbers(element)) text += String.fromCharCode(code);
    return text;
  }
}
