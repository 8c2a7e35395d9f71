/** Installs libtorch into the user cache from the pip wheel of torch: only what C++ needs, whole or not at all. */
import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CortuneError } from '../errors.js';
import { cacheDir, installFolder, withLock } from './cache.js';
import type { JobOptions } from './jobs.js';
import { findLibtorch, inspectLibtorch, installedDir, kTorchVersion, type Libtorch } from './libtorch.js';
import { type PipOptions, pipDownload, pythonWithPip } from './python.js';
import { unpackWheel } from './wheel.js';

export interface SetupOptions extends JobOptions {
  /** A line for people about what is being done. */
  note?: ((line: string) => void) | undefined;
}

/** The official index of CPU builds: on x86-64 Linux the wheel of the default index is the CUDA build. */
const kCpuIndex = 'https://download.pytorch.org/whl/cpu';

/** The largest CPU wheel is about 200 MB; a wheel much larger is a CUDA build, which needs several GB of further packages. */
const kLargestCpuWheel = 400e6;

/** The libtorch found, else one freshly installed into the user cache. */
export async function ensureLibtorch(options: SetupOptions = {}): Promise<Libtorch> {
  return findLibtorch() ?? (await installLibtorch(options));
}

async function installLibtorch(options: SetupOptions): Promise<Libtorch> {
  const target = installedDir();
  const lock = join(cacheDir(), 'libtorch.lock');
  const onWait = () => options.note?.('Another process is installing libtorch; waiting for it.');
  return withLock(
    lock,
    async () => {
      const already = inspectLibtorch(target, 'cache');
      if (typeof already === 'object') return already;
      options.note?.(`libtorch ${kTorchVersion}: installing into ${target}`);
      await installFolder(target, (staging) => fill(staging, options));
      const installed = inspectLibtorch(target, 'cache');
      if (typeof installed === 'object') return installed;
      throw new CortuneError(
        'ERR_SETUP',
        `The wheel of torch ${kTorchVersion} was unpacked into ${target}, but ${installed}.`,
      );
    },
    { signal: options.signal, onWait },
  );
}

async function fill(staging: string, options: SetupOptions): Promise<void> {
  // One Python version for everybody, since its part of the wheel is left out anyway.
  const args = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];
  const wheel = await downloadTorch(join(staging, 'download'), { ...options, stage: 'libtorch: downloading', args });
  const unpacked = await unpackWheel(wheel, staging, { ...options, stage: 'libtorch: unpacking', place });
  await writeFile(join(staging, 'wheel.txt'), `${basename(wheel)}\n`);
  await rm(join(staging, 'download'), { recursive: true });
  options.note?.(`libtorch ${kTorchVersion}: ${unpacked.files} files, ${Math.round(unpacked.bytes / 1e6)} MB`);
}

/** Downloads the CPU wheel of torch, for the user's own Python unless `args` name another, into `into`; returns its path. */
export function downloadTorch(into: string, options: Omit<PipOptions, 'onSize'>): Promise<string> {
  const args = [...(options.args ?? []), ...indexArguments()];
  return pipDownload(`torch==${kTorchVersion}`, into, { ...options, args, onSize: refuseCuda });
}

function refuseCuda(bytes: number): void {
  if (process.arch !== 'x64' || bytes <= kLargestCpuWheel) return;
  throw new CortuneError(
    'ERR_SETUP',
    `pip offers only the CUDA build of torch ${kTorchVersion} (${Math.round(bytes / 1e6)} MB, with several GB of further packages). ` +
      `For the CPU build, set CORTUNE_TORCH_INDEX to an index that has it; for the CUDA build, run: python3 -m pip install torch==${kTorchVersion}`,
  );
}

/** CORTUNE_TORCH_INDEX alone when it is set; else the user's indexes, and the official one of CPU builds when it answers. */
function indexArguments(): string[] {
  const named = process.env.CORTUNE_TORCH_INDEX;
  if (named) return ['--index-url', named];
  if (process.platform !== 'linux' || process.arch !== 'x64') return [];
  // Asked through Python, which honours proxies as pip does; pip itself would retry a closed index for long.
  const ask = `import urllib.request as r; r.urlopen('${kCpuIndex}/torch/', timeout=5).close()`;
  try {
    execFileSync(pythonWithPip(), ['-c', ask], { stdio: 'ignore', timeout: 8_000 });
    return ['--extra-index-url', kCpuIndex];
  } catch {
    return [];
  }
}

/** Python's own parts, tests and the C++ test libraries are of no use to C++. */
const kUseless =
  /^lib\/(libtorch_python|libshm|libtorch_global_deps|libaoti_custom_ops|libbackend_with_compiler|lib\w+_test)|\.(a|py|pyi)$/;

/** Where an entry of the wheel goes: lib/, include/, share/cmake/, the version and the licences. */
export function place(name: string): string | undefined {
  const licence = /^torch-[^/]+\.dist-info\/(?:licenses\/)?((?:LICENSE|NOTICE)[^/]*)$/.exec(name);
  if (licence) return licence[1];
  if (name === 'torch/version.py') return 'version.py';
  const path = name.startsWith('torch/') ? name.slice('torch/'.length) : '';
  return /^(lib|include|share\/cmake)\//.test(path) && !kUseless.test(path) ? path : undefined;
}
