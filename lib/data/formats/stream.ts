/** A file read from front to back in pieces of the size one asks for, unpacked on the way when it is gzip. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { CortuneError } from '../../errors.js';
import { readFailure, readHead } from './bytes.js';

/** Bytes in order. Memory does not grow with the file. Close it with `using`. */
export class ByteStream implements AsyncDisposable {
  /** Whether the file is gzip. */
  readonly packed: boolean;
  readonly #name: string;
  readonly #path: string;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #close: () => void;
  #rest: Buffer = Buffer.alloc(0);
  #at = 0;

  private constructor(path: string, name: string, packed: boolean) {
    this.packed = packed;
    this.#name = name;
    this.#path = path;
    const file = createReadStream(path, { highWaterMark: 1 << 18 });
    const stream = packed ? file.pipe(createGunzip({ chunkSize: 1 << 18 })) : file;
    if (packed) file.on('error', (error) => stream.destroy(error));
    this.#pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#close = () => {
      file.destroy();
      stream.destroy();
    };
  }

  /** Opens a file; it is gzip when its first bytes say so, whatever its name. @throws ERR_NOT_FOUND, ERR_IO. */
  static async open(path: string, name: string): Promise<ByteStream> {
    const head = await readHead(path, 2);
    return new ByteStream(path, name, head[0] === 0x1f && head[1] === 0x8b);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
  }

  /** Fills `target`, of which `what` says the meaning. @throws ERR_FORMAT when the file ends before, or is no whole gzip file. */
  async fill(target: Uint8Array, what: string): Promise<void> {
    const whole = target.length;
    for (let done = 0; done < whole; ) {
      if (this.#rest.length === 0 && !(await this.#next())) throw this.#cut(what, whole, done);
      const piece = this.#rest.subarray(0, whole - done);
      target.set(piece, done);
      this.#take(piece.length);
      done += piece.length;
    }
  }

  async take(count: number, what: string): Promise<Buffer> {
    const bytes = Buffer.alloc(count);
    await this.fill(bytes, what);
    return bytes;
  }

  /** Passes over bytes, down to the byte `to` of the (unpacked) file. */
  async skipTo(to: number, what: string): Promise<void> {
    for (const from = this.#at; this.#at < to; ) {
      if (this.#rest.length === 0 && !(await this.#next())) throw this.#cut(what, to - from, this.#at - from);
      this.#take(Math.min(this.#rest.length, to - this.#at));
    }
  }

  #take(count: number): void {
    this.#rest = this.#rest.subarray(count);
    this.#at += count;
  }

  async #next(): Promise<boolean> {
    try {
      const { value, done } = await this.#pieces.next();
      if (done) return false;
      this.#rest = value;
      return true;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (!code?.startsWith('Z_')) throw readFailure(this.#path, cause);
      throw new CortuneError(
        'ERR_FORMAT',
        `${this.#name}: Expected a whole gzip file, got: ${message}. It is truncated or damaged; copy it again.`,
        { cause },
      );
    }
  }

  #cut(what: string, wanted: number, got: number): CortuneError {
    return new CortuneError(
      'ERR_FORMAT',
      `${this.#name}: Expected ${wanted} bytes of ${what}, and the file ends after ${got}. It is truncated or its header is wrong; copy it again.`,
    );
  }
}
