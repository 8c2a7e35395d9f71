/** Files that are whole or absent: written, flushed to the disk, and only then given their name. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { CortuneError } from '../errors.js';

const kStranger = 3_600_000; // ms without a change after which another host's leftovers count as dead

/** Start time of a process in clock ticks since boot, so that a reused process id is not taken for its old owner. '' off Linux. */
function startTime(pid: number | 'self'): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Who is writing: host, process id and its start time. */
export interface Owner {
  host: string;
  pid: number;
  start: string;
}

const host = hostname().replace(/[^A-Za-z0-9]/g, '_') || 'host';
export const self: Owner = { host, pid: process.pid, start: startTime('self') };

/** `.KIND-HOST-PID-START-RANDOM`: a name that says whose it is. */
export function ownedName(kind: string): string {
  return `.${kind}-${self.host}-${self.pid}-${self.start || 0}-${randomBytes(4).toString('hex')}`;
}

/** The owner written in such a name, or undefined when it is another kind of name. */
export function ownerOf(name: string, kind: string): Owner | undefined {
  const found = /^\.([a-z]+)-(\w+)-(\d+)-(\d+)-[0-9a-f]{8}$/.exec(name);
  if (!found || found[1] !== kind) return undefined;
  return { host: found[2]!, pid: Number(found[3]), start: found[4] === '0' ? '' : found[4]! };
}

/** Whether a process of this host has ended. Of other hosts one only knows how long they have been silent. */
export function isDead(owner: Owner, silentMs: number, patience = kStranger): boolean {
  if (owner.host !== self.host) return silentMs > patience;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const now = startTime(owner.pid);
  return owner.start !== '' && now !== '' && now !== owner.start;
}

/** An error of the file system as one sentence with what to do. */
export function ioError(error: unknown, doing: string): CortuneError {
  if (error instanceof CortuneError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const advice: Record<string, string> = {
    ENOSPC: 'the disk is full. Free some space and run again; everything complete is kept.',
    EDQUOT: 'the disk quota is used up. Free some space and run again; everything complete is kept.',
    EACCES: 'permission denied. Choose a folder you may write to.',
    EPERM: 'permission denied. Choose a folder you may write to.',
    EROFS: 'the file system is read-only. Choose another folder with --out.',
    ENOENT: 'the folder is not there. Create it first.',
    EEXIST: 'something of that name is there already. Choose another place.',
    ENOTDIR: 'a file stands where a folder should be. Choose another place.',
    EIO: 'the disk or the network share does not answer. Run again when it does; everything complete is kept.',
    ESTALE: 'the network share went away. Run again when it is back; everything complete is kept.',
    EFBIG:
      'the file is larger than this process may write (see `ulimit -f`). Raise the limit and run again; everything complete is kept.',
    EISDIR: 'a folder stands where the file should be. Choose another place.',
  };
  return new CortuneError('ERR_IO', `Expected to ${doing}, got: ${advice[code ?? ''] ?? message}`, { cause: error });
}

async function flushed<T>(path: string, flags: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, flags);
  try {
    const result = await work(file);
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}

/** Writes a new file and flushes it; for use inside a folder that is renamed later. */
export async function writeFlushed(path: string, content: string | Uint8Array): Promise<void> {
  await flushed(path, 'w', (file) => file.writeFile(content));
}

/** Flushes every file below a folder, and the folders, so that a rename of the folder is safe against power loss. */
export async function flushTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await flushTree(path);
    else await flushed(path, 'r', async () => {});
  }
  await flushFolder(folder);
}

/** Flushes a folder's list of names. Some systems cannot open folders; there the rename alone has to do. */
export async function flushFolder(folder: string): Promise<void> {
  await flushed(folder, 'r', async () => {}).catch(() => {});
}

/** Replaces a file in one step: a reader sees the old or the new content. Throws ERR_IO. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, ownedName('tmp'));
  try {
    await writeFlushed(temporary, content);
    await rename(temporary, path);
    await flushFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw ioError(error, `write ${basename(path)} in ${folder}`);
  }
}
