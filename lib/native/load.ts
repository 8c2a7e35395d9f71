/** Loads the addon: finds it and its libtorch, loads libtorch's libraries by absolute path, then requires the addon. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CortuneError } from '../errors.js';
import { findLibtorch, kTorchMinor, type Libtorch, recordedLibtorch } from './libtorch.js';
import type { Native } from './types.js';

const require = createRequire(import.meta.url);

/** The package's own folder (two above lib/native and dist/native alike). */
export const kPackageDir = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/** The addon found on this machine. */
export interface Addon {
  /** Absolute path of cortune.node; preload.node lies beside it. */
  path: string;
  kind: 'local build' | 'prebuild';
  /** The libtorch minor it was compiled on. */
  torchMinor: string;
}

/** The command that makes what is missing. */
export const kMend =
  existsSync(join(kPackageDir, 'bin', 'prepare.mjs')) && existsSync(join(kPackageDir, 'tsconfig.json'))
    ? 'node bin/prepare.mjs'
    : 'npx cortune setup';

/** The local build, else the prebuild for this platform of the pinned libtorch minor; undefined when there is neither. */
export function findAddon(packageDir = kPackageDir): Addon | undefined {
  const places = [
    { dir: join(packageDir, 'build', 'Release'), kind: 'local build' as const },
    { dir: join(packageDir, 'prebuilds', `${process.platform}-${process.arch}`), kind: 'prebuild' as const },
  ];
  for (const { dir, kind } of places) {
    const path = join(dir, 'cortune.node');
    if (!existsSync(path) || !existsSync(join(dir, 'preload.node'))) continue;
    const record = join(dir, 'torch-version.txt');
    const torchMinor = existsSync(record) ? minorOf(readFileSync(record, 'utf8').trim()) : kTorchMinor;
    if (torchMinor === kTorchMinor) return { path, kind, torchMinor };
  }
  return undefined;
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

/** The libtorch to run an addon with: the one it was built on while that is there, else what the search finds. */
export function libtorchFor(addon: Addon): Libtorch | undefined {
  return recordedLibtorch(join(dirname(addon.path), 'torch-dir.txt')) ?? findLibtorch();
}

/** libtorch's libraries in the order of their dependence; those a build lacks are passed over. */
const kLibraries = [
  'libgomp.so.1',
  'libc10.so',
  'libtorch_cpu.so',
  'libc10_cuda.so',
  'libtorch_cuda.so',
  'libtorch.so',
];

function setupError(message: string, cause?: unknown): CortuneError {
  return new CortuneError('ERR_SETUP', message, cause === undefined ? undefined : { cause });
}

/**
 * libgomp's threads wait for each other by spinning for a millisecond, which on cores shared with other work (a second run, a worker
 * thread) makes every short parallel region wait for the scheduler. A short spin, then sleeping, costs nearly nothing on idle cores
 * and is several times faster on busy ones. Read by libgomp when it is loaded; what the user set is kept.
 */
function waitPolitely(): void {
  if (!process.env.OMP_WAIT_POLICY) process.env.GOMP_SPINCOUNT ??= '1000';
}

function load(): Native {
  waitPolitely();
  const addon = findAddon();
  if (!addon) throw setupError(`The compiled part of cortune is missing. Make it with: ${kMend}`);
  const libtorch = libtorchFor(addon);
  if (!libtorch) throw setupError(`libtorch ${kTorchMinor} was not found. Install it with: ${kMend}`);
  let preload: (path: string) => string | undefined;
  try {
    ({ preload } = require(join(dirname(addon.path), 'preload.node')));
  } catch (cause) {
    throw setupError(`${addon.path} does not load: ${reason(cause)}. Build it again with: ${kMend}`, cause);
  }
  for (const library of kLibraries) {
    const path = join(libtorch.dir, 'lib', library);
    const refused = existsSync(path) ? preload(path) : undefined;
    if (refused) throw setupError(`libtorch ${libtorch.version} does not load: ${refused}. See: npx cortune doctor`);
  }
  try {
    return require(addon.path) as Native;
  } catch (cause) {
    throw setupError(
      `${addon.path} does not load with libtorch ${libtorch.version} in ${libtorch.dir}: ${reason(cause)}. Build it again with: ${kMend}`,
      cause,
    );
  }
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
}

let loaded: Native | undefined;

/** The native surface, loaded at the first call (once in each thread). Throws ERR_SETUP naming the command that mends it. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}
