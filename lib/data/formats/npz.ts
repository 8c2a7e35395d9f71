/** NumPy's .npz files: a zip of .npy files, of which one is unpacked, within bounds. */

import { closest } from 'fastest-levenshtein';
import { unzipSync } from 'fflate';
import { CortuneError } from '../../errors.js';
import type { Matrix } from '../types.js';
import { parseNpy } from './npy.js';

/** An array may unpack to this much whatever its packed size, and beyond it to `kMaxRatio` times its packed size. */
const kFreeBytes = 256 * 2 ** 20;
/** Deflate reaches 1000:1 on zeros; measurements stay far below 100:1. */
const kMaxRatio = 100;

interface Entry {
  name: string;
  size: number;
  originalSize: number;
}

/**
 * Reads one array of a .npz. Only that array is unpacked, into a buffer of its declared size, so a lying archive cannot
 * fill the memory.
 * @param key name of the array, with or without `.npy`; may be left out when there is only one.
 * @throws ERR_FORMAT for a broken archive, ERR_DATA when the key is not there or the array would unpack beyond the bound.
 */
export function parseNpz(bytes: Uint8Array, name: string, key?: string): Matrix {
  const entries = list(bytes, name);
  const chosen = choose(entries, name, key);
  if (chosen.originalSize > Math.max(kFreeBytes, chosen.size * kMaxRatio))
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected \`${chosen.name}\` to unpack to at most ${kMaxRatio} times its packed ${chosen.size} bytes, its header says ${chosen.originalSize}. Save it uncompressed with numpy.save.`,
    );
  const unpacked = unzip(bytes, name, (entry) => entry.name === chosen.name)[chosen.name];
  if (!unpacked) throw new CortuneError('ERR_FORMAT', `${name}: Expected \`${chosen.name}\` to unpack, got nothing.`);
  return parseNpy(unpacked, `${name}:${chosen.name}`);
}

function unzip(bytes: Uint8Array, name: string, filter: (entry: Entry) => boolean): Record<string, Uint8Array> {
  try {
    return unzipSync(bytes, { filter });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected a whole zip archive, got: ${reason}. The file is truncated or damaged; copy it again.`,
      { cause },
    );
  }
}

function list(bytes: Uint8Array, name: string): Entry[] {
  const entries: Entry[] = [];
  unzip(bytes, name, (entry) => {
    if (entry.name.endsWith('.npy')) entries.push(entry);
    return false;
  });
  return entries;
}

function choose(entries: Entry[], name: string, key: string | undefined): Entry {
  const keys = entries.map((entry) => entry.name.slice(0, -'.npy'.length));
  const index = key === undefined && entries.length === 1 ? 0 : keys.indexOf(key?.replace(/\.npy$/, '') ?? '');
  const found = entries[index];
  if (found) return found;
  const names = keys.map((one) => `\`${one}\``).join(', ') || 'no arrays';
  const hint = key !== undefined && keys.length > 0 ? `; the nearest is \`${closest(key, keys)}\`` : '';
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected ${key === undefined ? 'a `key` that names one of its arrays' : `an array \`${key}\``}, it has ${names}${hint}.`,
  );
}
