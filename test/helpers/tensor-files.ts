/** Tensor files through the addon: what they hold, as plain values. */
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import type { FileHeader } from '../../lib/native/types.js';
import { take } from './run-model.js';
import type { PlainTensor } from './safetensors.js';

export function inspect(path: string): Promise<FileHeader> {
  return runJob(() => native().inspectFile({ path }));
}

export async function readTensors(path: string, names: string[]): Promise<PlainTensor[]> {
  return (await runJob(() => native().readTensors({ path, names }))).map(take);
}

/** A safetensors file of any header text and body. */
export function safetensorsBytes(header: string | object, body: Uint8Array, length?: bigint): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header), 'latin1');
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([size, json, body]);
}
