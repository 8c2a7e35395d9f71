/** Compiles the addon with cmake-js, when what it is made of has changed since the last time. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { CortuneError } from '../errors.js';
import { withLock } from './cache.js';
import type { SetupOptions } from './install.js';
import type { Libtorch } from './libtorch.js';
import { kPackageDir } from './load.js';
import { cmake, compiler, make, requireTools } from './tools.js';

const require = createRequire(import.meta.url);
const kBuildDir = join(kPackageDir, 'build');
/** CMake's own folder; node-gyp keeps a Makefile in build/ itself. */
const kCmakeDir = join(kBuildDir, 'cmake');
const kSession = join(kBuildDir, 'build.pid');
const kStamp = join(kBuildDir, 'made-of.txt');
const kLog = join(kBuildDir, 'build.log');

/** A compiler process with the precompiled header of ATen takes up to this much memory. */
const kBytesPerJob = 3e9;

/** Builds the addon on `libtorch` unless it is up to date. True when it was built. Throws ERR_SETUP naming the log. */
export async function buildAddon(libtorch: Libtorch, options: SetupOptions = {}): Promise<boolean> {
  if (isUpToDate(libtorch)) return false;
  requireTools(await Promise.all([cmake(), compiler(), make()]));
  await mkdir(kBuildDir, { recursive: true });
  const onWait = () => options.note?.('Another process is building the addon; waiting for it.');
  return withLock(
    join(kBuildDir, 'build.lock'),
    async () => {
      if (isUpToDate(libtorch)) return false;
      const made = madeOf(libtorch);
      options.note?.('addon: compiling (some minutes the first time)');
      await rm(kStamp, { force: true });
      await rm(kLog, { force: true });
      endOrphan();
      await dropForeignCache();
      await cmakeJs(['configure', `--CDCORTUNE_LIBTORCH=${libtorch.dir}`, ...generator()], options);
      await cmakeJs(['build', '--parallel', String(jobs())], options);
      await writeFile(kStamp, made);
      return true;
    },
    { signal: options.signal, onWait },
  );
}

/** The addon is there and was built of these very sources on this very libtorch. */
export function isUpToDate(libtorch: Libtorch): boolean {
  const built = ['cortune.node', 'preload.node'].every((name) => existsSync(join(kBuildDir, 'Release', name)));
  return built && existsSync(kStamp) && readFileSync(kStamp, 'utf8') === madeOf(libtorch);
}

/** A hash over everything the addon is made of. */
function madeOf(libtorch: Libtorch): string {
  const hash = createHash('sha256').update(`${libtorch.dir} ${libtorch.version} ${process.arch}\n`);
  const native = join(kPackageDir, 'native');
  const sources = readdirSync(native, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const headers = ['node-addon-api', 'node-api-headers'].map((name) => require.resolve(`${name}/package.json`));
  for (const file of [join(kPackageDir, 'CMakeLists.txt'), ...headers, ...sources])
    hash
      .update(`${file.slice(kPackageDir.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  return hash.digest('hex');
}

function jobs(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / kBytesPerJob)));
}

function cmakeCache(): string {
  const path = join(kCmakeDir, 'CMakeCache.txt');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** A build whose starter was killed goes on compiling: it is ended, so that two never write the same files. */
function endOrphan(): void {
  if (!existsSync(kSession)) return;
  const session = Number(readFileSync(kSession, 'utf8'));
  const leader = `/proc/${session}/cmdline`;
  // While a session has members, its number is given to no other process: a leader that is not ours means that ours has ended.
  if (existsSync(leader) && !readFileSync(leader, 'utf8').includes('cmake-js')) return;
  endSession(session, 'SIGKILL');
}

/** Signals every process of a session: Ninja gives each compiler a process group of its own. */
function endSession(session: number, signal: NodeJS.Signals): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // After the name in parentheses: state, parent, group, session.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]) === session) process.kill(Number(pid), signal);
    } catch {
      // it has ended
    }
  }
}

/** CMake refuses a build folder that was configured for another place: a copied or moved clone starts afresh. */
async function dropForeignCache(): Promise<void> {
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(cmakeCache())?.[1];
  if (home === undefined || home === kPackageDir) return;
  await rm(join(kCmakeDir, 'CMakeCache.txt'));
  await rm(join(kCmakeDir, 'CMakeFiles'), { recursive: true, force: true });
}

/** CMake also refuses a change of generator (Ninja installed since): the first one is kept. */
function generator(): string[] {
  const name = /^CMAKE_GENERATOR:INTERNAL=(.*)$/m.exec(cmakeCache())?.[1];
  return name ? ['--generator', name] : [];
}

async function cmakeJs(args: string[], options: SetupOptions): Promise<void> {
  if (options.signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
  const program = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  const log = createWriteStream(kLog, { flags: 'a' });
  // A session of its own, so that stopping it stops the compilers too.
  const child = spawn(process.execPath, [program, ...args, '--directory', kPackageDir, '--out', kCmakeDir], {
    // make's own variables, when node-gyp drives this, are not for the build inside.
    env: { ...process.env, MAKEFLAGS: undefined, MFLAGS: undefined, MAKELEVEL: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  writeFileSync(kSession, String(child.pid));
  const stop = () => child.pid && endSession(child.pid, 'SIGTERM');
  options.signal?.addEventListener('abort', stop, { once: true });
  for (const stream of [child.stdout, child.stderr])
    createInterface(stream).on('line', (line) => {
      log.write(`${line}\n`);
      const progress = buildProgress(line);
      if (progress) options.onProgress?.({ ...progress, stage: 'addon: compiling' });
    });
  try {
    const status = await new Promise<number | null>((resolve, reject) =>
      child.on('error', reject).on('close', resolve),
    );
    await new Promise<void>((resolve) => log.end(() => resolve()));
    if (options.signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
    if (status !== 0)
      throw new CortuneError('ERR_SETUP', `The addon did not compile: ${complaint()} The whole log is ${kLog}`);
  } finally {
    await rm(kSession, { force: true });
    options.signal?.removeEventListener('abort', stop);
  }
}

/** The first error in the log, as one sentence. */
function complaint(): string {
  const lines = readFileSync(kLog, 'utf8').split('\n');
  const at = lines.findIndex((line) => /\berror:|fatal error|CMake Error|Killed/.test(line));
  if (at < 0) return 'no reason was given.';
  const text = lines[at]!.startsWith('CMake Error') ? `${lines[at]} ${lines[at + 1] ?? ''}` : lines[at]!;
  return `${text.replace(/\s+/g, ' ').trim()}.`;
}

/** `[12/40]` of Ninja or `[ 30%]` of make. */
export function buildProgress(line: string): { done: number; total: number } | undefined {
  const ninja = /^\[(\d+)\/(\d+)\]/.exec(line);
  if (ninja) return { done: Number(ninja[1]), total: Number(ninja[2]) };
  const make = /^\[\s*(\d+)%\]/.exec(line);
  return make ? { done: Number(make[1]), total: 100 } : undefined;
}
