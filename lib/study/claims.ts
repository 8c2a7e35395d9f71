/**
 * Claims: who is computing which run, so that several processes share a store without doing the same work twice.
 * A claim is a file made exclusively, written again every few seconds. Results are whole because they are renamed into place, so a
 * claim that fails its purpose (a process that is stopped for minutes and wakes up again) costs time and never a result.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, isDead, type Owner, ownedName, self } from './atomic.js';

const kLock = '.taking-';
const kBeat = 5_000; // ms between heartbeats
/** ms of silence after which the claim of a process of another host may be taken. */
export const kExpiry = 60_000;

export class Claims {
  readonly #folder: string;
  /** Open, so that a heartbeat reaches our own file even when another has been made in its place. */
  readonly #held = new Map<string, FileHandle>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens (and makes) the folder of claims of a store. */
  static async open(store: string): Promise<Claims> {
    const folder = join(store, 'claims');
    await mkdir(folder, { recursive: true }).catch((error) => {
      throw ioError(error, `make the folder ${folder}`);
    });
    const claims = new Claims(folder);
    await claims.#endLocks();
    return claims;
  }

  /** Claims all of these runs, or none when another live process holds one of them. Throws ERR_IO. */
  async takeAll(ids: readonly string[]): Promise<boolean> {
    const taken: string[] = [];
    try {
      // All processes take them in one order, so that of two that want the same, one gets all.
      for (const id of [...ids].sort()) {
        if (!(await this.#take(id))) {
          await this.release(taken);
          return false;
        }
        taken.push(id);
      }
    } catch (error) {
      await this.release(taken);
      throw ioError(error, `claim a run in ${this.#folder}`);
    }
    this.#timer ??= setInterval(() => void this.#beat(), kBeat).unref();
    return true;
  }

  async release(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const file = this.#held.get(id);
      this.#held.delete(id);
      await file?.close().catch(() => {});
      await rm(this.#path(id), { force: true }).catch(() => {}); // the store may be gone: others will see this process silent
    }
    if (this.#held.size === 0 && this.#timer) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #path(id: string): string {
    return join(this.#folder, id);
  }

  async #take(id: string): Promise<boolean> {
    const path = this.#path(id);
    const file = (await makeExclusively(path)) ?? (await this.#takeOver(path, id));
    if (file) this.#held.set(id, file);
    return file !== undefined;
  }

  /**
   * Takes a dead process's claim. Only the holder of the lock beside it may remove a claim that is not its own, and it looks again once it
   * has the lock: what it removes is the dead claim, never one that another process has made in between.
   */
  async #takeOver(path: string, id: string): Promise<FileHandle | undefined> {
    if (!(await this.#isDead(path))) return undefined;
    const lock = join(this.#folder, `${kLock}${id}`);
    const locked = await makeExclusively(lock);
    if (!locked) {
      await this.#endLock(lock);
      return undefined;
    }
    try {
      if (!(await this.#isDead(path))) return undefined;
      await rm(path, { force: true });
      return await makeExclusively(path);
    } finally {
      await locked.close().catch(() => {});
      await rm(lock, { force: true });
    }
  }

  /** Ends the lock of a process that was killed while it held it, for which there are some milliseconds. One of us wins the rename. */
  async #endLock(lock: string): Promise<void> {
    if (!(await this.#isDead(lock))) return;
    const aside = join(this.#folder, ownedName('expired'));
    await rename(lock, aside).catch(() => {});
    await rm(aside, { force: true });
  }

  async #endLocks(): Promise<void> {
    const names = await readdir(this.#folder);
    for (const name of names.filter((each) => each.startsWith(kLock))) await this.#endLock(join(this.#folder, name));
  }

  /** Whether the owner of a claim has ended; also true when there is none any more. */
  async #isDead(path: string): Promise<boolean> {
    try {
      const [content, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
      const owner = parseOwner(content);
      if (owner?.host === self.host) return isDead(owner, 0);
      const silent = (await this.#now()) - mtimeMs;
      return owner ? isDead(owner, silent, kExpiry) : silent > kBeat; // without owner: killed while writing it
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
      throw error;
    }
  }

  /** The time by the clock that stamps files: that of a file server may differ from ours. */
  async #now(): Promise<number> {
    const probe = join(this.#folder, ownedName('tmp'));
    try {
      await writeFile(probe, '');
      return (await stat(probe)).mtimeMs;
    } finally {
      await rm(probe, { force: true });
    }
  }

  async #beat(): Promise<void> {
    for (const file of this.#held.values()) await file.write(kSelf, 0).catch(() => {});
  }
}

const kSelf = JSON.stringify(self);

/** Makes a file that names this process; undefined when it is there already. A file that could not be written is taken away again. */
async function makeExclusively(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
  try {
    await file.write(kSelf, 0);
    return file;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(path, { force: true }).catch(() => {});
    throw error;
  }
}

function parseOwner(content: string): Owner | undefined {
  try {
    return JSON.parse(content) as Owner;
  } catch {
    return undefined;
  }
}
