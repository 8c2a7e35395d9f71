/** Reading data files: whole, their beginning or their hash, with our errors; and bounds on what files may unpack to. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { CortuneError } from '../../errors.js';

/** Beyond this Node cannot read a file into one buffer. */
const kMaxBytes = 2 ** 31 - 1;

/** Packed data may unpack to this much whatever its packed size, and beyond it to `kMaxRatio` times its packed size. */
const kFreeBytes = 256 * 2 ** 20;
/** Deflate reaches 1000:1 on zeros; measurements stay far below 100:1. */
const kMaxRatio = 100;

/** The bytes of a file. Throws ERR_NOT_FOUND, ERR_IO, or ERR_DATA when it is larger than 2 GiB. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw readFailure(path, cause);
  }
}

/** What the system said when a file was opened or read, as our error. */
export function readFailure(path: string, cause: unknown): CortuneError {
  if (cause instanceof CortuneError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new CortuneError('ERR_NOT_FOUND', `Expected a file at ${path}, and there is none. Check the path.`, {
      cause,
    });
  if (code === 'ERR_FS_FILE_TOO_LARGE')
    return new CortuneError('ERR_DATA', `Expected a file of at most ${kMaxBytes} bytes, ${path} is larger. Split it.`, {
      cause,
    });
  const reason = code === 'EISDIR' ? 'it is a folder' : message;
  return new CortuneError('ERR_IO', `Expected to read the file ${path}, got: ${reason}.`, { cause });
}

/** Bytes of a file. @throws ERR_NOT_FOUND, ERR_IO. */
export async function fileSize(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    return found.size;
  } catch (cause) {
    throw readFailure(path, cause);
  }
}

/** The first `count` bytes of a file; fewer when it is shorter. @throws ERR_NOT_FOUND, ERR_IO. */
export async function readHead(path: string, count: number): Promise<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { buffer, bytesRead } = await file.read(new Uint8Array(count), 0, count, 0);
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    throw readFailure(path, cause);
  } finally {
    await file?.close();
  }
}

/** A checksum of a file of any size, in hexadecimal; SHA-256 by default. @throws ERR_NOT_FOUND, ERR_IO. */
export async function hashFile(path: string, algorithm: 'sha256' | 'sha1' | 'md5' = 'sha256'): Promise<string> {
  const hash = createHash(algorithm);
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  } catch (cause) {
    throw readFailure(path, cause);
  }
  return hash.digest('hex');
}

/**
 * Refuses packed data that says it unpacks to more than measurements do: a bomb, or a header that lies.
 * @param what the array or file, as the sentence calls it. @throws ERR_DATA.
 */
export function checkUnpacked(name: string, what: string, packed: number, unpacked: number): void {
  if (unpacked <= Math.max(kFreeBytes, packed * kMaxRatio)) return;
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected ${what} to unpack to at most ${kMaxRatio} times its packed ${packed} bytes, its header says ${unpacked}. Save it uncompressed.`,
  );
}

/** Refuses a matrix that cannot lie in this machine's memory beside what is made of it. @throws ERR_MEMORY. */
export function checkMatrixSize(name: string, rows: number, columns: number): void {
  const bytes = rows * columns * 4;
  if (bytes <= totalmem() / 2) return;
  throw new CortuneError(
    'ERR_MEMORY',
    `${name}: Expected a matrix of at most half of this machine's memory, got [${rows}, ${columns}], ${Math.ceil(bytes / 2 ** 30)} GiB. Read some of its columns (a mask, regions, \`columns\`).`,
  );
}

/**
 * Text of a file's bytes: UTF-16 when a byte order mark says so (Praat writes it), else UTF-8, else Windows-1252
 * (old Praat and old spreadsheets). The mark is dropped.
 */
export function decodeText(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

/** Number (from 1) of the line that holds character `offset`. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}
