/** A plain reader and writer of float32 safetensors, so that tests do not lean on the code they test. */
import { readFileSync, writeFileSync } from 'node:fs';

export interface PlainTensor {
  shape: number[];
  data: Float32Array;
}
export type PlainTensors = Map<string, PlainTensor>;

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

export function readPlain(path: string): PlainTensors {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, Entry>;
  const tensors: PlainTensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (entry.dtype !== 'F32') throw new Error(`${path}: ${name} is ${entry.dtype}, this reader knows F32 only`);
    const [start, end] = entry.data_offsets;
    const copy = Uint8Array.from(bytes.subarray(8 + length + start, 8 + length + end));
    tensors.set(name, { shape: entry.shape, data: new Float32Array(copy.buffer) });
  }
  return tensors;
}

export function writePlain(path: string, tensors: PlainTensors): void {
  const header: Record<string, Entry> = {};
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  const bodies = [...tensors.values()].map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  writeFileSync(path, Buffer.concat([size, json, ...bodies]));
}
