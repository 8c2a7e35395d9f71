/**
 * Claims: who is computing which run, so that several processes share a store without doing the same work twice.
 * A claim is a file made exclusively, touched every few seconds. It only saves work: results are whole because they are renamed
 * into place, so a claim that fails its purpose (a stopped process that wakes up again) costs time and never a result.
 */
import { link, mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, isDead, type Owner, ownedName, self } from './atomic.js';

const kBeat = 5_000; // ms between heartbeats
const kExpiry = 60_000; // ms of silence after which another host's claim may be taken

export class Claims {
  readonly #folder: string;
  readonly #held = new Set<string>();
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
    return new Claims(folder);
  }

  /** Claims all of these runs, or none when another live process holds one of them. */
  async takeAll(ids: readonly string[]): Promise<boolean> {
    const taken: string[] = [];
    for (const id of [...ids].sort()) {
      if (await this.#take(id)) taken.push(id);
      else {
        await this.release(taken);
        return false;
      }
    }
    this.#timer ??= setInterval(() => void this.#beat(), kBeat).unref();
    return true;
  }

  async release(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      this.#held.delete(id);
      await rm(this.#path(id), { force: true });
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
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        const file = await open(this.#path(id), 'wx');
        await file.writeFile(JSON.stringify(self)).finally(() => file.close());
        this.#held.add(id);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw ioError(error, `claim a run in ${this.#folder}`);
      }
      if (!(await this.#expire(id))) return false;
    }
    return false;
  }

  /** Removes a dead process's claim. True when the claim is gone. */
  async #expire(id: string): Promise<boolean> {
    const claim = await readClaim(this.#path(id));
    if (claim === undefined) return true;
    if (!claim.dead) return false;
    // Of several processes that saw it dead, one wins this rename. Should it catch a fresh claim instead, it gives it back.
    const aside = join(this.#folder, ownedName('expired'));
    try {
      await rename(this.#path(id), aside);
    } catch {
      return true;
    }
    const caught = await readClaim(aside);
    if (caught && !caught.dead) await link(aside, this.#path(id)).catch(() => {});
    await rm(aside, { force: true });
    return true;
  }

  async #beat(): Promise<void> {
    const now = new Date();
    for (const id of this.#held) await utimes(this.#path(id), now, now).catch(() => {});
  }
}

async function readClaim(path: string): Promise<{ dead: boolean } | undefined> {
  try {
    const [content, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    const silent = Date.now() - mtimeMs;
    try {
      return { dead: isDead(JSON.parse(content) as Owner, silent, kExpiry) };
    } catch {
      return { dead: silent > kBeat }; // a claim without its owner: killed while writing it
    }
  } catch {
    return undefined;
  }
}
