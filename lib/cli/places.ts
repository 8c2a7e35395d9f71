/** Where a command writes: checked before its work, so that a slip in --out costs no minutes; folders appear whole or not at all. */
import { constants } from 'node:fs';
import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CortuneError } from '../errors.js';
import { flushTree, ioError, isDead, ownedName, ownerOf } from '../study/atomic.js';

/** Throws ERR_IO when no file can be written at `path`: no such folder, not allowed, or a folder or device of that name. */
export async function checkFile(path: string): Promise<void> {
  const folder = dirname(path);
  const refused = (error: unknown) => ioError(error, `write ${path}`);
  const found = await stat(folder).catch((error) => Promise.reject(refused(error)));
  if (!found.isDirectory()) throw refused({ code: 'ENOTDIR' });
  await access(folder, constants.W_OK).catch((error) => Promise.reject(refused(error)));
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory()) throw refused({ code: 'EISDIR' });
  // The result is renamed to its place, which would take the place of a device, too.
  if (there && !there.isFile()) throw refused({ message: 'it is no regular file. Choose another place.' });
}

/**
 * Makes the folder `out`, and removes from it what dead processes were still writing.
 * Throws ERR_IO when it cannot be written, ERR_CONFIG when one of the folders `names` is there already and `force` is not set.
 */
export async function checkFolders(out: string, names: readonly string[], force: boolean): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
    await access(out, constants.W_OK);
    const there = await readdir(out);
    for (const name of there) {
      const owner = ownerOf(name, 'lane') ?? ownerOf(name, 'old');
      if (owner && isDead(owner, 0)) await rm(join(out, name), { recursive: true, force: true });
    }
    const taken = names.find((name) => there.includes(name));
    if (taken !== undefined && !force) throw alreadyThere(out, taken);
  } catch (error) {
    throw ioError(error, `write into ${out}`);
  }
}

function alreadyThere(out: string, name: string): CortuneError {
  return new CortuneError(
    'ERR_CONFIG',
    `Expected no ${name} in ${out}, and there is one. Choose another --out, or replace it with --force.`,
  );
}

/** Writes the folder `name` in `out`: `fill` writes beside it, and a rename makes it appear whole. Throws what `fill` throws, ERR_IO. */
export async function writeFolder(
  out: string,
  name: string,
  force: boolean,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const draft = join(out, ownedName('lane'));
  const old = join(out, ownedName('old'));
  try {
    await mkdir(draft);
    await fill(draft);
    await flushTree(draft);
    if (force) await rename(join(out, name), old).catch(() => {}); // there may be none
    await rename(draft, join(out, name)).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOTEMPTY' || error.code === 'EEXIST' ? alreadyThere(out, name) : error;
    });
  } catch (error) {
    throw ioError(error, `write ${name} into ${out}`);
  } finally {
    for (const rest of [draft, old]) await rm(rest, { recursive: true, force: true }).catch(() => {});
  }
}
