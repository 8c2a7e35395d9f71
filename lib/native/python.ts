/** Downloads wheels with the user's own Python and pip, so that their indexes, proxies and certificates are honoured. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CortuneError } from '../errors.js';
import type { JobOptions } from './jobs.js';
import { pythons } from './libtorch.js';

/** A Python that has pip. Throws ERR_SETUP with what to install when there is none. */
export function pythonWithPip(): string {
  const candidates = pythons();
  if (candidates.length === 0)
    throw new CortuneError(
      'ERR_SETUP',
      'Expected python3 on PATH, found none. Install Python 3 with pip (Debian: apt-get install python3-pip).',
    );
  const found = candidates.find(
    (python) => spawnSync(python, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0,
  );
  if (found) return found;
  throw new CortuneError(
    'ERR_SETUP',
    `Expected pip in ${candidates[0]}, found none. Install it (Debian: apt-get install python3-pip).`,
  );
}

export interface PipOptions extends JobOptions {
  /** Shown with the progress. */
  stage: string;
  /** More arguments for `pip download`. */
  args?: string[];
  /** Called with the size pip announces, in bytes, before the download; throwing stops it. */
  onSize?: ((bytes: number) => void) | undefined;
}

/** Downloads one wheel, without what it depends on, into the folder `into`; returns its path. pip checks its hash. */
export async function pipDownload(requirement: string, into: string, options: PipOptions): Promise<string> {
  const python = pythonWithPip();
  const scratch = join(into, 'tmp');
  await mkdir(scratch, { recursive: true });
  const args = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--no-cache-dir',
    '--no-input',
    '--retries',
    '2',
  ];
  try {
    await runPip(
      python,
      [...args, ...(options.args ?? []), '--dest', into, requirement],
      scratch,
      requirement,
      options,
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const wheel = (await readdir(into)).find((name) => name.endsWith('.whl'));
  if (wheel) return join(into, wheel);
  throw new CortuneError(
    'ERR_NETWORK',
    `pip ended without a wheel of ${requirement}. Try: ${python} -m pip download ${requirement}`,
  );
}

async function runPip(
  python: string,
  args: string[],
  scratch: string,
  requirement: string,
  options: PipOptions,
): Promise<void> {
  const { signal, onProgress, stage } = options;
  if (signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
  // pip streams a download into TMPDIR: watching that folder is the only progress it shows to another program.
  const env = { ...process.env, TMPDIR: scratch, PYTHONUNBUFFERED: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' };
  const child = spawn(python, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  let size = 0;
  let refused: unknown;
  const stop = () => child.kill('SIGTERM');
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  createInterface(child.stderr).on('line', (line) => said.push(line));
  createInterface(child.stdout).on('line', (line) => {
    said.push(line);
    size = announcedSize(line) ?? size;
    try {
      if (size > 0) options.onSize?.(size);
    } catch (error) {
      refused = error;
      stop();
    }
  });
  const watch = setInterval(
    () => size > 0 && onProgress?.({ done: Math.min(size, bytesIn(scratch)), total: size, stage }),
    200,
  );
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const status = await ended;
    if (refused) throw refused;
    if (signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
    if (status !== 0) throw pipError(requirement, said);
  } finally {
    clearInterval(watch);
    signal?.removeEventListener('abort', stop);
  }
}

/** The bytes in pip's line `Downloading NAME.whl (190.2 MB)`. */
export function announcedSize(line: string): number | undefined {
  const found = /^\s*Downloading .*\((\d+(?:\.\d+)?) (bytes|kB|MB|GB)\)/.exec(line);
  return found
    ? Number(found[1]) * { bytes: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[found[2] as 'bytes' | 'kB' | 'MB' | 'GB']
    : undefined;
}

function bytesIn(dir: string): number {
  try {
    const files = readdirSync(dir, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
    return files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
  } catch {
    return 0; // pip removes its files as it goes
  }
}

/** What pip said, as one sentence with a code. */
export function pipError(requirement: string, said: string[]): CortuneError {
  const all = said.join('\n');
  const last =
    said.filter((line) => /^\s*ERROR:/.test(line)).pop() ?? said.filter((line) => line.trim()).pop() ?? 'nothing';
  const cause = new Error(all);
  if (/No space left on device/.test(all))
    return new CortuneError(
      'ERR_IO',
      `The disk is full: ${requirement} could not be downloaded. Free some space, or set CORTUNE_CACHE to a larger disk.`,
      { cause },
    );
  if (
    /ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution|Name or service not known|SSLError|unreachable|refused/i.test(
      all,
    )
  )
    return new CortuneError(
      'ERR_NETWORK',
      `pip could not reach its package index for ${requirement}. Check the network, or name a mirror with PIP_INDEX_URL.`,
      { cause },
    );
  return new CortuneError(
    'ERR_NETWORK',
    `pip could not download ${requirement}: ${last.replace(/^\s*ERROR:\s*/, '').trim()}`,
    { cause },
  );
}
