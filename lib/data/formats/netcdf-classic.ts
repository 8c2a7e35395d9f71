/** The classic netCDF format (versions 1 and 2): its header by netcdfjs, its values, big-endian numbers and characters, by us. */
import { NetCDFReader } from 'netcdfjs';
import { CortuneError } from '../../errors.js';
import type { LabelledArray } from './arrays.js';

type Variable = NetCDFReader['variables'][number];

/** Numbers by their type: bytes each, and how one is read. */
const kTypes: Record<string, [size: number, read: (view: DataView, at: number) => number]> = {
  byte: [1, (view, at) => view.getInt8(at)],
  char: [1, (view, at) => view.getUint8(at)],
  short: [2, (view, at) => view.getInt16(at)],
  int: [4, (view, at) => view.getInt32(at)],
  float: [4, (view, at) => view.getFloat32(at)],
  double: [8, (view, at) => view.getFloat64(at)],
};

/** The arrays of a classic file, with the attributes of each. @throws ERR_FORMAT for a file that is cut off or no netCDF. */
export function parseClassic(
  bytes: Uint8Array,
  name: string,
): (LabelledArray & { attribute: (name: string) => unknown })[] {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected a whole netCDF file (version 4, classic or 64-bit offset), got: ${reason}. Copy it again, or save it as netCDF-4.`,
      { cause },
    );
  };
  const header = (() => {
    try {
      return new NetCDFReader(bytes);
    } catch (cause) {
      return refuse((cause as Error).message.replace(/^Not a valid NetCDF v3.x file: |\.$/g, ''), cause);
    }
  })();
  return header.variables.map((variable) => {
    const place = placeOf(header, variable);
    if (place.end > bytes.length) refuse(`\`${variable.name}\` up to byte ${place.end} in a file of ${bytes.length}`);
    return classicArray(variable, place, bytes);
  });
}

/** Where the values of a variable lie: stretches of `each` values, `step` bytes apart. */
interface Place {
  dims: string[];
  lengths: number[];
  stretches: number;
  each: number;
  step: number;
  end: number;
}

function placeOf(header: NetCDFReader, variable: Variable): Place {
  const { length: records, id: recordId, recordStep = 0 } = header.recordDimension;
  const [size] = kTypes[variable.type] ?? [1];
  const dims = variable.dimensions.map((id) => header.dimensions[id] ?? { name: `axis ${id}`, size: 0 });
  const lengths = variable.dimensions.map((id, i) => (id === recordId ? records : dims[i]!.size));
  const stretches = variable.record ? records : 1;
  const each = (variable.record ? lengths.slice(1) : lengths).reduce((product, length) => product * length, 1);
  // The records of the only record variable are not padded to whole words.
  const alone = header.variables.filter(({ record }) => record).length === 1;
  const step = variable.record && !alone ? recordStep : each * size;
  // At least as many bytes as the values have: a step that lies makes no room for more of them than there are.
  const end = Math.max(variable.offset + (stretches - 1) * step + each * size, stretches * each * size);
  return { dims: dims.map((dim) => dim.name), lengths, stretches, each, step, end };
}

function classicArray(variable: Variable, { dims, lengths, stretches, each, step }: Place, bytes: Uint8Array) {
  const isText = variable.type === 'char' && lengths.length > 0;
  const known = kTypes[variable.type];
  const [size, read] = known ?? [1, () => Number.NaN];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers = () => {
    const values = new Float32Array(stretches * each);
    for (let i = 0; i < values.length; i++)
      values[i] = read(view, variable.offset + Math.floor(i / each) * step + (i % each) * size);
    return values;
  };
  const kind: LabelledArray['kind'] = known === undefined ? 'other' : isText ? 'text' : 'numbers';
  return {
    name: variable.name,
    dims: isText ? dims.slice(0, -1) : dims,
    shape: isText ? lengths.slice(0, -1) : lengths,
    kind,
    numbers,
    texts: () => textsOf(Uint8Array.from(numbers()), lengths.at(-1)!),
    attribute: (wanted: string) =>
      (variable.attributes as { name: string; value: unknown }[]).find((one) => one.name === wanted)?.value,
  };
}

/** Texts of a fixed number of bytes each, UTF-8, ended by zeros. */
function textsOf(bytes: Uint8Array, width: number): string[] {
  const decoder = new TextDecoder();
  return Array.from({ length: width > 0 ? bytes.length / width : 0 }, (_, i) =>
    decoder.decode(bytes.subarray(i * width, (i + 1) * width)).replace(/\0.*/s, ''),
  );
}
