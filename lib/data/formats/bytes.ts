/** Reading whole data files: bytes or text, with our errors. */
import { readFile } from 'node:fs/promises';
import { CortuneError } from '../../errors.js';

/** Beyond this Node cannot read a file into one buffer. */
const kMaxBytes = 2 ** 31 - 1;

/** The bytes of a file. Throws ERR_NOT_FOUND, ERR_IO, or ERR_DATA when it is larger than 2 GiB. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new CortuneError('ERR_NOT_FOUND', `Expected a file at ${path}, and there is none. Check the path.`, {
        cause,
      });
    if (code === 'ERR_FS_FILE_TOO_LARGE')
      throw new CortuneError(
        'ERR_DATA',
        `Expected a file of at most ${kMaxBytes} bytes, ${path} is larger. Split it.`,
        {
          cause,
        },
      );
    const reason = code === 'EISDIR' ? 'it is a folder' : message;
    throw new CortuneError('ERR_IO', `Expected to read the file ${path}, got: ${reason}.`, { cause });
  }
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
