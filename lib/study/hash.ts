/** Content hashes: SHA-256 of canonical JSON, the same on every machine and in every order of keys. */
import { createHash } from 'node:crypto';

/**
 * JSON with sorted keys and no spaces. Undefined properties are left out; numbers are as ECMAScript prints them, which is exact.
 * Throws a TypeError for what JSON cannot hold (NaN, infinities, functions): nothing that decides a result may vanish from its name.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
  }
  const json = typeof value === 'number' && !Number.isFinite(value) ? undefined : JSON.stringify(value);
  if (json === undefined) throw new TypeError(`Expected a value that JSON can hold, got ${String(value)}`);
  return json;
}

/** The first 20 hexadecimal digits (80 bits) of the SHA-256 of a value's canonical JSON. */
export function contentId(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 20);
}
