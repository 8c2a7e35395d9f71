/** NumPy's .npz files: a zip of .npy files, of which one is unpacked, within bounds. */

import { closest } from 'fastest-levenshtein';
import { unzipSync } from 'fflate';
import { CortuneError } from '../../errors.js';
import type { Matrix } from '../types.js';
import { checkUnpacked } from './bytes.js';
import { parseNpy } from './npy.js';

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
  // No array is packed into more than the file: archives with 64-bit sizes hold a filler in the place of the size.
  checkUnpacked(name, `\`${chosen.name}\``, Math.min(chosen.size, bytes.length), chosen.originalSize);
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
