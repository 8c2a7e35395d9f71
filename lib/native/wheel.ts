/** Unpacks parts of a Python wheel (a zip file), checking each file against the SHA-256 in the wheel's RECORD. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { CortuneError } from '../errors.js';
import type { JobOptions } from './jobs.js';

export interface UnpackOptions extends JobOptions {
  stage: string;
  /** Where an entry goes, relative to the folder unpacked into; undefined leaves it out. */
  place: (name: string) => string | undefined;
}

export interface Unpacked {
  files: number;
  bytes: number;
}

/** Unpacks `wheel` into `into`. Throws ERR_FORMAT when it is damaged, ERR_CANCELLED when `signal` aborts. */
export async function unpackWheel(wheel: string, into: string, options: UnpackOptions): Promise<Unpacked> {
  const zip = await openPromise(wheel, { autoClose: false }).catch((cause: unknown) => {
    throw new CortuneError('ERR_FORMAT', `${wheel} is not a whole wheel. Run the command again to download it anew.`, {
      cause,
    });
  });
  try {
    const entries = await entriesOf(zip);
    const sums = await recordOf(zip, entries);
    const chosen = entries.flatMap((entry) => {
      const path = entry.fileName.endsWith('/') ? undefined : options.place(entry.fileName);
      return path === undefined ? [] : [{ entry, path }];
    });
    const bytes = chosen.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
    let done = 0;
    for (const { entry, path } of chosen) {
      if (options.signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
      await unpackOne(zip, entry, join(into, path), sums.get(entry.fileName), wheel);
      done += entry.uncompressedSize;
      options.onProgress?.({ done, total: bytes, stage: options.stage });
    }
    return { files: chosen.length, bytes };
  } finally {
    zip.close();
  }
}

async function entriesOf(zip: ZipFile): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of zip.eachEntry()) entries.push(entry);
  return entries;
}

/** Name to SHA-256 (base64url), from the lines `name,sha256=...,size` of the wheel's RECORD. */
async function recordOf(zip: ZipFile, entries: Entry[]): Promise<Map<string, string>> {
  const record = entries.find((entry) => entry.fileName.endsWith('.dist-info/RECORD'));
  if (!record) return new Map();
  const chunks: Buffer[] = [];
  for await (const chunk of await zip.openReadStreamPromise(record)) chunks.push(chunk as Buffer);
  const lines = Buffer.concat(chunks).toString().split(/\r?\n/);
  const rows = lines.flatMap((line) => {
    const found = /^"?(.+?)"?,sha256=([\w-]+)=*,\d*$/.exec(line);
    return found ? [[found[1]!, found[2]!] as const] : [];
  });
  return new Map(rows);
}

async function unpackOne(
  zip: ZipFile,
  entry: Entry,
  path: string,
  sum: string | undefined,
  wheel: string,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const hash = createHash('sha256');
  const hashed = async function* (source: Readable) {
    for await (const chunk of source) {
      hash.update(chunk as Buffer);
      yield chunk as Buffer;
    }
  };
  await pipeline(await zip.openReadStreamPromise(entry), hashed, createWriteStream(path));
  if (sum !== undefined && hash.digest('base64url') !== sum)
    throw new CortuneError(
      'ERR_FORMAT',
      `${entry.fileName} in ${wheel} is damaged: its SHA-256 is not the recorded one. Run the command again to download it anew.`,
    );
}
