/** What identifies the content of a model's files, whatever their path. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cacheDir } from '../native/cache.js';

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * SHA-256 of a file's bytes, in hexadecimal. Read once: the result is kept in the user cache under the file's path, size, inode and times,
 * any of which changes when the content does.
 */
export async function fileHash(path: string, signal?: AbortSignal): Promise<string> {
  const { size, ino, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const key = sha256([resolve(path), size, ino, mtimeNs, ctimeNs].join('\n'));
  const kept = join(cacheDir(), 'hashes', key);
  const known = await readFile(kept, 'utf8').catch(() => '');
  if (/^[0-9a-f]{64}$/.test(known)) return known;
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(piece as Buffer);
  const digest = hash.digest('hex');
  await keep(kept, digest).catch(() => {}); // a cache that cannot be written costs time only
  return digest;
}

async function keep(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  const draft = `${path}.${process.pid}.part`;
  await writeFile(draft, text);
  await rename(draft, path);
}

/** One hash of plain values and of the contents of files, in this order. */
export async function contentHash(values: unknown, files: string[], signal?: AbortSignal): Promise<string> {
  const digests: string[] = [];
  for (const file of files) digests.push(await fileHash(file, signal));
  return sha256(JSON.stringify([values, digests]));
}
