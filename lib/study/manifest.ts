/**
 * manifest.json: every file of a run's folder with its size and SHA-256, and what was freed since. It is written with the run, before the
 * folder gets its name, so a run without one, or whose files differ from it, was damaged afterwards.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CortuneError, stopIfAborted } from '../errors.js';
import { replaceFile, writeFlushed } from './atomic.js';
import { canonicalJson } from './hash.js';

export const kManifest = 'manifest.json';

/** A file of a run; its path is relative to the run's folder, with forward slashes. */
export interface ManifestFile {
  path: string;
  bytes: number;
  sha256: string;
}

export interface Manifest {
  format: number;
  /** Sorted by path; all but the manifest itself. */
  files: ManifestFile[];
  /** Files that `cortune gc` removed. */
  freed: ManifestFile[];
}

/** Everything below a folder that is no folder, as sorted relative paths with forward slashes. Links are not followed. */
export async function filesBelow(folder: string, below = ''): Promise<{ path: string; plain: boolean }[]> {
  const found: { path: string; plain: boolean }[] = [];
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = posix.join(below, entry.name);
    if (entry.isDirectory()) found.push(...(await filesBelow(folder, path)));
    else found.push({ path, plain: entry.isFile() });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** SHA-256 and size of a file, read piece by piece. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(
    createReadStream(path),
    async (source) => {
      for await (const piece of source as AsyncIterable<Buffer>) {
        bytes += piece.length;
        hash.update(piece);
      }
    },
    { signal },
  ).catch((error) => {
    stopIfAborted(signal);
    throw error;
  });
  return { bytes, sha256: hash.digest('hex') };
}

/** Writes the manifest of a folder that is about to become a run. */
export async function writeManifest(folder: string): Promise<void> {
  const files: ManifestFile[] = [];
  for (const { path } of await filesBelow(folder)) files.push({ path, ...(await hashFile(join(folder, path))) });
  await writeFlushed(join(folder, kManifest), manifestText({ format: 1, files, freed: [] }));
}

/** Replaces the manifest of a run. */
export async function replaceManifest(folder: string, manifest: Manifest): Promise<void> {
  await replaceFile(join(folder, kManifest), manifestText(manifest));
}

/** One line a file, and a checksum of all of it, so that a flipped bit in the manifest itself is seen as well. */
function manifestText({ format, files, freed }: Manifest): string {
  const lines = (list: ManifestFile[]) => `[${list.map((file) => `\n  ${JSON.stringify(file)}`).join(',')}]`;
  const own = ownChecksum({ format, files, freed });
  return `{"format": ${format}, "sha256": "${own}",\n "files": ${lines(files)},\n "freed": ${lines(freed)}}\n`;
}

function ownChecksum(manifest: Manifest): string {
  return createHash('sha256').update(canonicalJson(manifest)).digest('hex');
}

/** @throws ERR_NOT_FOUND when there is none, ERR_FORMAT when it is not as it was written. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, kManifest);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT';
    throw new CortuneError(
      missing ? 'ERR_NOT_FOUND' : 'ERR_IO',
      missing
        ? 'there is no manifest.json, so nothing tells whether its files are as they were written'
        : `manifest.json cannot be read (${cause.code})`,
      { cause },
    );
  });
  try {
    const { format, sha256, files, freed } = JSON.parse(text) as Manifest & { sha256: string };
    const manifest = { format, files, freed };
    if (ownChecksum(manifest) === sha256 && [...files, ...freed].every(({ path }) => isBelow(path))) return manifest;
  } catch {
    // Told below.
  }
  throw new CortuneError('ERR_FORMAT', 'manifest.json is not as it was written');
}

/** A path of a manifest can only name what lies in the run's folder. */
function isBelow(path: string): boolean {
  return (
    !path.startsWith('/') && !path.includes('\\') && !path.split('/').some((part) => ['', '.', '..'].includes(part))
  );
}
