/** The parts of set-up that need no network: finding libtorch and the addon, wheels, locks, folders that appear whole. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildProgress } from '../../lib/native/build.js';
import { cacheDir, folderSize, installFolder, withLock } from '../../lib/native/cache.js';
import { place } from '../../lib/native/install.js';
import { findLibtorch, inspectLibtorch, kTorchMinor, kTorchVersion } from '../../lib/native/libtorch.js';
import { findAddon } from '../../lib/native/load.js';
import { announcedSize, pipError } from '../../lib/native/python.js';
import { unpackWheel } from '../../lib/native/wheel.js';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cortune-setup-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

function put(path: string, text = ''): string {
  const full = join(dir, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  return full;
}

function fakeTorch(name: string, version: string): string {
  put(`${name}/lib/libtorch_cpu.so`);
  put(`${name}/include/ATen/ATen.h`);
  put(`${name}/version.py`, `__version__ = '${version}'\n`);
  return join(dir, name);
}

describe('libtorch', () => {
  it('is taken when the minor fits', () => {
    const found = inspectLibtorch(fakeTorch('torch', `${kTorchMinor}.1+cpu`), 'python');
    expect(found).toMatchObject({ version: `${kTorchMinor}.1+cpu`, cuda: false });
  });

  it('is refused with the reason', () => {
    expect(inspectLibtorch(fakeTorch('old', '2.9.1'), 'python')).toBe(
      `its version is 2.9.1; cortune needs ${kTorchMinor}`,
    );
    expect(inspectLibtorch(join(dir, 'none'), 'python')).toBe('it has no lib/libtorch_cpu.so');
  });

  it('named by CORTUNE_LIBTORCH is never replaced silently', () => {
    vi.stubEnv('CORTUNE_LIBTORCH', fakeTorch('old', '2.9.1'));
    expect(() => findLibtorch()).toThrow(/Expected CORTUNE_LIBTORCH to be a folder .*2\.9\.1.*Correct it or unset it/);
    vi.stubEnv('CORTUNE_LIBTORCH', fakeTorch('new', kTorchVersion));
    expect(findLibtorch()).toMatchObject({ origin: 'CORTUNE_LIBTORCH', version: kTorchVersion });
  });

  it('is found in a Python, then in the user cache, with what was passed over', () => {
    vi.stubEnv('CORTUNE_LIBTORCH', '');
    vi.stubEnv('CORTUNE_CACHE', join(dir, 'cache'));
    vi.stubEnv('CONDA_PREFIX', '');
    vi.stubEnv('VIRTUAL_ENV', join(dir, 'venv'));
    vi.stubEnv('PATH', '');
    const old = fakeTorch('site/torch', '2.9.1');
    mkdirSync(join(dir, 'venv/bin'), { recursive: true });
    writeFileSync(join(dir, 'venv/bin/python'), `#!/bin/sh\necho ${old}\n`, { mode: 0o755 });
    const rejected: { place: string; reason: string }[] = [];
    expect(findLibtorch(rejected)).toBeUndefined();
    expect(rejected).toEqual([{ place: old, reason: `its version is 2.9.1; cortune needs ${kTorchMinor}` }]);
    fakeTorch(`cache/libtorch-${kTorchVersion}-${process.platform}-${process.arch}`, kTorchVersion);
    expect(findLibtorch()).toMatchObject({ origin: 'cache' });
    fakeTorch('site/torch', kTorchVersion);
    expect(findLibtorch()).toMatchObject({ origin: 'python', dir: old });
  });
});

describe('the addon', () => {
  const prebuilds = `prebuilds/${process.platform}-${process.arch}`;

  it('is a local build, else a prebuild of the same libtorch minor', () => {
    expect(findAddon(dir)).toBeUndefined();
    put(`${prebuilds}/cortune.node`);
    put(`${prebuilds}/preload.node`);
    put(`${prebuilds}/torch-version.txt`, `${kTorchMinor}.0\n`);
    expect(findAddon(dir)).toMatchObject({ kind: 'prebuild', path: join(dir, prebuilds, 'cortune.node') });
    put('build/Release/cortune.node');
    expect(findAddon(dir)).toMatchObject({ kind: 'prebuild' }); // half a local build is none
    put('build/Release/preload.node');
    expect(findAddon(dir)).toMatchObject({ kind: 'local build' });
  });

  it('of another libtorch minor is passed over', () => {
    put(`${prebuilds}/cortune.node`);
    put(`${prebuilds}/preload.node`);
    put(`${prebuilds}/torch-version.txt`, '2.9.1\n');
    expect(findAddon(dir)).toBeUndefined();
  });
});

describe('wheels', () => {
  const text = (value: string) => new TextEncoder().encode(value);
  const record = (name: string, content: string) =>
    `${name},sha256=${createHash('sha256').update(content).digest('base64url')},${content.length}\n`;

  it('are unpacked in part, each file checked', async () => {
    const wheel = put('a.whl');
    writeFileSync(
      wheel,
      zipSync({
        'torch/lib/libc10.so': text('library'),
        'torch/nn/module.py': text('python'),
        'torch/version.py': text('version'),
        'torch-2.13.0.dist-info/RECORD': text(record('torch/lib/libc10.so', 'library')),
      }),
    );
    const got = await unpackWheel(wheel, join(dir, 'out'), { stage: 'unpacking', place });
    expect(got).toEqual({ files: 2, bytes: 14 });
    expect(readFileSync(join(dir, 'out/lib/libc10.so'), 'utf8')).toBe('library');
    expect(readdirSync(join(dir, 'out')).sort()).toEqual(['lib', 'version.py']);
  });

  it('that are damaged or cut are refused', async () => {
    const damaged = zipSync({
      'torch/lib/libc10.so': text('librarx'),
      'torch-2.13.0.dist-info/RECORD': text(record('torch/lib/libc10.so', 'library')),
    });
    const wheel = put('a.whl');
    const unpack = () => unpackWheel(wheel, join(dir, 'out'), { stage: 'unpacking', place });
    writeFileSync(wheel, damaged);
    await expect(unpack()).rejects.toMatchObject({ code: 'ERR_FORMAT' });
    writeFileSync(wheel, damaged.subarray(0, 60));
    await expect(unpack()).rejects.toMatchObject({ code: 'ERR_FORMAT' });
  });

  it('of torch give libraries, headers and licences, and nothing of Python', () => {
    expect(place('torch/lib/libtorch_cpu.so')).toBe('lib/libtorch_cpu.so');
    expect(place('torch/include/ATen/ATen.h')).toBe('include/ATen/ATen.h');
    expect(place('torch/share/cmake/Torch/TorchConfig.cmake')).toBe('share/cmake/Torch/TorchConfig.cmake');
    expect(place('torch-2.13.0+cpu.dist-info/licenses/LICENSE')).toBe('LICENSE');
    for (const name of [
      'torch/lib/libtorch_python.so',
      'torch/lib/libjitbackend_test.so',
      'torch/nn/__init__.py',
      'torch/lib/x.a',
    ])
      expect(place(name)).toBeUndefined();
  });
});

describe('pip', () => {
  it('announces sizes', () => {
    expect(announcedSize('  Downloading torch-2.13.0-cp311.whl (190.5 MB)')).toBe(190.5e6);
    expect(announcedSize('Downloading six-1.16.0-py2.py3-none-any.whl (11 kB)')).toBe(11e3);
    expect(announcedSize('Saved ./six.whl')).toBeUndefined();
  });

  it('has its failures told apart', () => {
    expect(pipError('a==1', ['OSError: [Errno 28] No space left on device']).code).toBe('ERR_IO');
    expect(pipError('a==1', ['NewConnectionError: Name or service not known']).message).toMatch(/could not reach/);
    expect(pipError('a==1', ['ERROR: No matching distribution found for a==1']).message).toBe(
      'pip could not download a==1: No matching distribution found for a==1',
    );
  });
});

describe('the user cache', () => {
  it('is where the environment says', () => {
    vi.stubEnv('CORTUNE_CACHE', '');
    vi.stubEnv('XDG_CACHE_HOME', '/xdg');
    expect(cacheDir()).toBe('/xdg/cortune');
    vi.stubEnv('CORTUNE_CACHE', dir);
    expect(cacheDir()).toBe(dir);
  });

  it('gets folders whole or not at all, and is rid of what killed attempts left', async () => {
    const target = join(dir, 'model');
    put('model.part-dead/half');
    await expect(
      installFolder(target, async (staging) => {
        writeFileSync(join(staging, 'half'), 'x');
        throw new Error('killed');
      }),
    ).rejects.toThrow('killed');
    expect(readdirSync(dir)).toEqual([]);
    await installFolder(target, async (staging) => writeFileSync(join(staging, 'whole'), 'abc'));
    expect(readdirSync(target)).toEqual(['whole']);
    expect(await folderSize(dir)).toBe(3);
  });

  it('is worked on by one at a time', async () => {
    const lock = join(dir, 'lock');
    const order: string[] = [];
    const work = (name: string) => async () => {
      order.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push(`${name} out`);
    };
    await Promise.all([withLock(lock, work('a')), withLock(lock, work('b'))]);
    expect(order).toHaveLength(4);
    expect(order[0]!.replace('in', 'out')).toBe(order[1]);
    expect(existsSync(lock)).toBe(false);
  });

  it('is not held by the dead, and waiting for the living can be stopped', async () => {
    const lock = put('lock', 'killed');
    utimesSync(lock, new Date(0), new Date(0));
    expect(await withLock(lock, async () => 'in')).toBe('in');
    writeFileSync(lock, `${spawnSync('true').pid} ${hostname()} token`);
    expect(await withLock(lock, async () => 'in')).toBe('in');
    writeFileSync(lock, `${process.pid} ${hostname()} token`);
    const stop = new AbortController();
    const waiting = withLock(lock, async () => 'in', { signal: stop.signal, onWait: () => stop.abort() });
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });
});

it('reads the progress of Ninja and make', () => {
  expect(buildProgress('[12/40] Building CXX object a.o')).toEqual({ done: 12, total: 40 });
  expect(buildProgress('[ 30%] Building CXX object a.o')).toEqual({ done: 30, total: 100 });
  expect(buildProgress('-- Configuring done')).toBeUndefined();
});
