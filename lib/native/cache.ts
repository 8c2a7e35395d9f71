/** The user cache: where it is, folders that appear in it whole or not at all, and a lock between processes. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CortuneError } from '../errors.js';

/** `$CORTUNE_CACHE`, else `$XDG_CACHE_HOME/cortune`, else `~/.cache/cortune`. */
export function cacheDir(): string {
  if (process.env.CORTUNE_CACHE) return resolve(process.env.CORTUNE_CACHE);
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cortune');
}

/** Bytes of all files under a folder; 0 when it is not there. Links are not followed. */
export async function folderSize(dir: string): Promise<number> {
  if (!existsSync(dir)) return 0;
  const entries = await readdir(dir, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map((file) =>
      stat(join(file.parentPath, file.name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

const kHeartbeat = 2_000; // ms between signs of life of a lock's holder
const kStale = 15_000; // ms without one after which a holder on another machine is taken for dead

/**
 * Runs `work` while holding the lock file `path`. A holder that was killed is passed over: at once on its own machine, elsewhere after
 * 15 s without a sign of life.
 * The lock only saves work twice done: what it guards is written beside and renamed, so even two holders do no harm.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: { signal?: AbortSignal | undefined; onWait?: (() => void) | undefined } = {},
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const token = `${process.pid} ${hostname()} ${randomUUID()}`;
  let told = false;
  while (!(await tryLock(path, token))) {
    if (options.signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
    if (!told) options.onWait?.();
    told = true;
    await sleep(200);
  }
  const beat = setInterval(() => utimes(path, new Date(), new Date()).catch(() => {}), kHeartbeat);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if ((await readFile(path, 'utf8').catch(() => '')) === token) await rm(path, { force: true });
  }
}

async function tryLock(path: string, token: string): Promise<boolean> {
  try {
    await writeFile(path, token, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (await isHeld(path)) return false;
  // Renaming is atomic: of several that saw the stale lock, one takes it away.
  const aside = `${path}.${randomUUID()}`;
  await rename(path, aside).then(
    () => rm(aside, { force: true }),
    () => {},
  );
  return tryLock(path, token);
}

async function isHeld(path: string): Promise<boolean> {
  try {
    const [pid, host] = (await readFile(path, 'utf8')).split(' ');
    if (host === hostname()) return isAlive(Number(pid));
    return Date.now() - (await stat(path)).mtimeMs < kStale;
  } catch {
    return true; // given up just now: the next try takes it
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's living process
  }
}

/**
 * Makes `target` by filling a folder beside it and renaming that into place: a reader sees all of it or nothing.
 * What killed attempts left is removed. Call it under a lock.
 */
export async function installFolder(target: string, fill: (staging: string) => Promise<void>): Promise<void> {
  const parent = dirname(target);
  await mkdir(parent, { recursive: true });
  const leftovers = (await readdir(parent)).filter((name) => name.startsWith(`${basename(target)}.part-`));
  await Promise.all(leftovers.map((name) => rm(join(parent, name), { recursive: true, force: true })));
  const staging = `${target}.part-${randomUUID().slice(0, 8)}`;
  await mkdir(staging);
  try {
    await fill(staging);
    await rm(target, { recursive: true, force: true });
    await rename(staging, target);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}
