/** The programs that set-up needs: which are there, in which version, and what installs those that are not. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CortuneError } from '../errors.js';
import { pythons } from './libtorch.js';

export interface Tool {
  name: string;
  /** Absolute path, when found. */
  path?: string | undefined;
  /** The line with its version in what it says of itself. */
  version?: string | undefined;
  /** What installs it. */
  mend: string;
}

export function onPath(name: string): string | undefined {
  const dirs = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return dirs.map((dir) => join(dir, name)).find(existsSync);
}

async function versionLine(path: string, args: string[]): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, args, { timeout: 20_000 });
    return stdout
      .split('\n')
      .find((line) => line.trim())
      ?.trim();
  } catch {
    return undefined;
  }
}

async function tool(
  name: string,
  candidates: (string | undefined)[],
  mend: string,
  args = ['--version'],
): Promise<Tool> {
  for (const path of candidates) {
    const version = path && (await versionLine(path, args));
    if (version) return { name, path, version, mend };
  }
  return { name, mend };
}

export function python(): Promise<Tool> {
  return tool('Python 3', pythons(), 'apt-get install python3 python3-pip');
}

/** Running pip itself takes many times longer than asking for its package. */
const kPipVersion = 'import pip, os; print("pip", pip.__version__, "from", os.path.dirname(pip.__file__))';

export function pip(): Promise<Tool> {
  return tool('pip', pythons(), 'apt-get install python3-pip', ['-c', kPipVersion]);
}

export function cmake(): Promise<Tool> {
  return tool('CMake', [onPath('cmake')], 'apt-get install cmake');
}

/** `CXX`, else the usual names, as CMake looks for it. */
export function compiler(): Promise<Tool> {
  const named = process.env.CXX;
  const names = named ? [named] : ['c++', 'g++', 'clang++'];
  return tool(
    'C++ compiler',
    names.map((name) => (name.includes('/') ? name : onPath(name))),
    'apt-get install g++',
  );
}

/** Ninja, else make: what CMake drives. */
export function make(): Promise<Tool> {
  return tool('Ninja or make', [onPath('ninja'), onPath('make')], 'apt-get install ninja-build');
}

/** Only for compiling CUDA kernels; never needed. */
export function nvcc(): Promise<Tool> {
  return tool('nvcc', [onPath('nvcc'), '/usr/local/cuda/bin/nvcc'].filter(isThere), 'install the CUDA toolkit');
}

function isThere(path: string | undefined): path is string {
  return path !== undefined && existsSync(path);
}

/** Throws one ERR_SETUP naming everything that is missing of `needed`, and what installs it. */
export function requireTools(needed: Tool[]): void {
  const missing = needed.filter((one) => one.path === undefined);
  if (missing.length === 0) return;
  const sentences = missing.map((one) => `${one.name} was not found; install it (Debian: ${one.mend}).`);
  throw new CortuneError('ERR_SETUP', sentences.join(' '));
}
