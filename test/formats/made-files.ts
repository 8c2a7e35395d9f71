/**
 * The folder of files that other programs wrote (make_files.py), made when it is not there: CORTUNE_DATA_PYTHON when set, else a Python with pip
 * and the packages of requirements.txt, which are put into the user cache. Both are named by a hash of what makes them.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseNpy } from '../../lib/data/formats/npy.js';
import type { Matrix } from '../../lib/data/types.js';
import { cacheDir, withLock } from '../../lib/native/cache.js';
import { pythonWithPip } from '../../lib/native/python.js';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const kMaker = path('make_files.py');
const kRequirements = path('requirements.txt');

function hashOf(...parts: (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 12);
}

/** The interpreter and where its packages lie; installs them when they are not there. */
function pythonWithPackages(): { python: string; packages?: string } {
  const named = process.env.CORTUNE_DATA_PYTHON;
  if (named) return { python: named };
  const python = pythonWithPip();
  const version = execFileSync(python, ['-V']);
  const packages = join(cacheDir(), `test-data-${hashOf(version, readFileSync(kRequirements))}`);
  if (!existsSync(packages)) {
    const draft = `${packages}.${process.pid}`;
    rmSync(draft, { recursive: true, force: true });
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--only-binary=:all:',
      '--no-compile',
    ];
    // --target leaves the user's own Python as it is, and needs no venv module.
    execFileSync(python, [...pip, '--target', draft, '-r', kRequirements], { stdio: ['ignore', 2, 2] });
    renameSync(draft, packages);
  }
  return { python, packages };
}

/** Installing the packages and making the files may take so long, the first time. */
export const kMakingTime = 300_000;

/** The folder; made once, by one process at a time. */
export async function madeFiles(): Promise<string> {
  const folder = join(cacheDir(), `test-files-${hashOf(readFileSync(kMaker), readFileSync(kRequirements))}`);
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    const { python, packages } = pythonWithPackages();
    const draft = `${folder}.${process.pid}`;
    mkdirSync(draft, { recursive: true });
    const env = { ...process.env, ...(packages && { PYTHONPATH: packages }) };
    execFileSync(python, [kMaker, draft], { stdio: ['ignore', 2, 2], env });
    renameSync(draft, folder);
  });
  return folder;
}

/** A .npy file of the folder. */
export function npy(folder: string, name: string): Matrix {
  return parseNpy(readFileSync(join(folder, name)), name);
}
