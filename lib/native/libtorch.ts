/** Finds the libtorch that cortune uses: a folder with lib/ and include/ of the pinned version. Installing it is in install.ts. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { CortuneError } from '../errors.js';
import { cacheDir } from './cache.js';

/** The release installed when none is found; any patch release of the same minor is accepted. */
export const kTorchVersion = '2.13.0';
export const kTorchMinor = kTorchVersion.split('.').slice(0, 2).join('.');

export interface Libtorch {
  /** Absolute path of the folder with lib/ and include/. */
  dir: string;
  /** As it calls itself, for example `2.13.0+cpu`. */
  version: string;
  /** Who named it: the CORTUNE_LIBTORCH variable, a Python's torch package, or the user cache. */
  origin: 'CORTUNE_LIBTORCH' | 'python' | 'cache';
  /** The CUDA libraries are there. */
  cuda: boolean;
}

/** A place that was looked at and not taken, with the reason. */
export interface Rejected {
  place: string;
  reason: string;
}

/** Where `cortune setup` installs libtorch. */
export function installedDir(): string {
  return join(cacheDir(), `libtorch-${kTorchVersion}-${process.platform}-${process.arch}`);
}

/** The version a libtorch folder says it has, or undefined when it says none. */
export function versionOf(dir: string): string | undefined {
  const sources: [string, RegExp][] = [
    ['version.py', /__version__ = '([^']+)'/], // a Python's torch package, and what we unpack of it
    ['build-version', /^(\S+)/], // the C++ distribution
    ['include/torch/headeronly/version.h', /TORCH_VERSION\s*\\?\s*"([^"]+)"/],
    ['include/torch/csrc/api/include/torch/version.h', /TORCH_VERSION\s*\\?\s*"([^"]+)"/],
  ];
  for (const [file, pattern] of sources) {
    const path = join(dir, file);
    const found = existsSync(path) ? pattern.exec(readFileSync(path, 'utf8')) : null;
    if (found) return found[1];
  }
  return undefined;
}

/** Is this folder a libtorch of the pinned minor? A sentence that says why not, or the Libtorch. */
export function inspectLibtorch(dir: string, origin: Libtorch['origin']): Libtorch | string {
  for (const part of ['lib/libtorch_cpu.so', 'include/ATen/ATen.h'])
    if (!existsSync(join(dir, part))) return `it has no ${part}`;
  const version = versionOf(dir);
  if (version === undefined) return 'it does not say its version (no version.py, build-version or torch/version.h)';
  if (!version.startsWith(`${kTorchMinor}.`)) return `its version is ${version}; cortune needs ${kTorchMinor}`;
  return { dir: resolve(dir), version, origin, cuda: existsSync(join(dir, 'lib/libtorch_cuda.so')) };
}

/** Python interpreters worth asking, in order: the active environment's, then those on PATH. */
export function pythons(): string[] {
  const active = [process.env.VIRTUAL_ENV, process.env.CONDA_PREFIX].filter(Boolean).map((dir) => `${dir}/bin/python`);
  const onPath = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const named = ['python3', 'python'].map((name) => onPath.map((dir) => join(dir, name)).find(existsSync));
  return [...active.filter(existsSync), ...named.filter((path) => path !== undefined)];
}

/** The folder of a Python's torch package, without importing it (an import takes seconds). */
function torchOf(python: string): string | undefined {
  const ask =
    "import importlib.util as u; s = u.find_spec('torch'); print(list(s.submodule_search_locations or [''])[0] if s else '')";
  try {
    // From the root folder, so that a folder called torch in the current one is not taken for it.
    const said = execFileSync(python, ['-c', ask], { cwd: '/', timeout: 20_000, stdio: ['ignore', 'pipe', 'ignore'] });
    return said.toString().trim() || undefined;
  } catch {
    return undefined; // a Python that does not run has no torch for us
  }
}

/**
 * Looks for libtorch: CORTUNE_LIBTORCH, then a Python's torch, then the user cache. Adds what it passed over to `rejected`.
 * Throws ERR_SETUP when CORTUNE_LIBTORCH is set and does not fit: what was asked for by name is never replaced silently.
 */
export function findLibtorch(rejected: Rejected[] = []): Libtorch | undefined {
  const named = process.env.CORTUNE_LIBTORCH;
  if (named) {
    const found = inspectLibtorch(named, 'CORTUNE_LIBTORCH');
    if (typeof found === 'object') return found;
    throw new CortuneError(
      'ERR_SETUP',
      `Expected CORTUNE_LIBTORCH to be a folder with lib/ and include/ of libtorch ${kTorchMinor}, got ${named}: ${found}. Correct it or unset it.`,
    );
  }
  for (const python of pythons()) {
    const dir = torchOf(python);
    if (!dir) continue;
    const found = inspectLibtorch(dir, 'python');
    if (typeof found === 'object') return found;
    rejected.push({ place: dir, reason: found });
  }
  const cached = installedDir();
  if (!existsSync(cached)) return undefined;
  const found = inspectLibtorch(cached, 'cache');
  if (typeof found === 'object') return found;
  rejected.push({ place: cached, reason: found });
  return undefined;
}

/** The libtorch an addon was built on, as its build recorded it, when it is still there and fits. */
export function recordedLibtorch(recordFile: string): Libtorch | undefined {
  if (process.env.CORTUNE_LIBTORCH || !existsSync(recordFile)) return undefined;
  const dir = readFileSync(recordFile, 'utf8').trim();
  const found = inspectLibtorch(dir, dir === installedDir() ? 'cache' : 'python');
  return typeof found === 'object' ? found : undefined;
}
