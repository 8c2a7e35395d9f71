/** Sequences as the addon takes them: one after the other, no padding. */
import type { Packed } from './types.js';

/** Token ids of sequences and their lengths. */
export function packIds(sequences: readonly Int32Array[]): Packed {
  const lengths = Int32Array.from(sequences, ({ length }) => length);
  return { ids: joined(new Int32Array(total(sequences)), sequences), lengths };
}

/** Values of sequences one after the other. */
export function packValues(sequences: readonly Float32Array[]): Float32Array {
  return joined(new Float32Array(total(sequences)), sequences);
}

const total = (parts: readonly { length: number }[]) => parts.reduce((sum, { length }) => sum + length, 0);

function joined<T extends Int32Array | Float32Array>(into: T, parts: readonly T[]): T {
  let at = 0;
  for (const part of parts) {
    into.set(part, at);
    at += part.length;
  }
  return into;
}
