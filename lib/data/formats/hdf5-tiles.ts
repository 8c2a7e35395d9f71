/** The values of an HDF5 array as float32, read in tiles of whole chunks. */
import type { Dataset } from 'h5wasm';
import { CortuneError } from '../../errors.js';

/** Bytes read at once, or one chunk of the file where that is larger. */
const kTileBytes = 16 * 2 ** 20;
/** The largest chunk that is read: it must fit the library's memory. */
const kMaxTileBytes = 1.5 * 2 ** 30;

/** The values as float32, read in tiles of whole chunks so that each chunk is unpacked once and little is held twice. */
export function readTiles(dataset: Dataset, name: string): Float32Array {
  const { shape, chunks, size } = dataset.metadata as { shape: number[]; chunks: number[] | null; size: number };
  const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
  if (data.length === 0) return data;
  const steps = tileShape(shape, chunks ?? shape.map(() => 1), size);
  if (steps.reduce((product, length) => product * length, size) > kMaxTileBytes)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected chunks of at most ${kMaxTileBytes} bytes, got [${steps.join(', ')}]. Save it with smaller ones.`,
    );
  const from = shape.map(() => 0);
  for (let more = true; more; ) {
    const ranges = from.map((start, i) => [start, Math.min(shape[i]!, start + steps[i]!)] as [number, number]);
    place(data, shape, ranges, dataset.slice(ranges) as ArrayLike<number | bigint>);
    more = false;
    for (let axis = shape.length - 1; axis >= 0 && !more; axis--) {
      from[axis]! += steps[axis]!;
      if (from[axis]! < shape[axis]!) more = true;
      else from[axis] = 0;
    }
  }
  return data;
}

/** Whole chunks, grown from the last axis on until a tile is large enough. */
function tileShape(shape: readonly number[], chunks: readonly number[], size: number): number[] {
  const steps = chunks.map((length, i) => Math.max(1, Math.min(length, shape[i]!)));
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const bytes = steps.reduce((product, length) => product * length, size);
    const fold = Math.max(1, Math.floor(kTileBytes / bytes));
    steps[axis] = Math.min(shape[axis]!, steps[axis]! * fold);
  }
  return steps;
}

/** Puts a tile where it belongs: runs along the last axis. */
function place(
  data: Float32Array,
  shape: readonly number[],
  ranges: [number, number][],
  tile: ArrayLike<number | bigint>,
): void {
  const lengths = ranges.map(([start, end]) => end - start);
  const run = lengths.at(-1)!;
  for (let at = 0, row = 0; at < tile.length; at += run, row++) {
    let rest = row;
    let to = ranges.at(-1)![0];
    let stride = shape.at(-1)!;
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      to += (ranges[axis]![0] + (rest % lengths[axis]!)) * stride;
      rest = Math.floor(rest / lengths[axis]!);
      stride *= shape[axis]!;
    }
    for (let i = 0; i < run; i++) data[to + i] = Number(tile[at + i]);
  }
}
