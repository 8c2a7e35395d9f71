#!/usr/bin/env node
// Packs the compiled addon into prebuilds/PLATFORM-ARCH with prebuildify. Called by it as its node-gyp, it builds with cmake-js.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'build', 'Release');
const beside = join(root, 'build', 'prebuild'); // what goes into the package beside cortune.node

/** prebuildify's `node-gyp rebuild`: the usual build, then what the loader needs beside the addon. */
function buildOne() {
  const { status } = spawnSync(process.execPath, [join(root, 'bin', 'prepare.mjs')], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  rmSync(beside, { recursive: true, force: true });
  mkdirSync(beside, { recursive: true });
  for (const name of ['preload.node', 'torch-version.txt']) copyFileSync(join(built, name), join(beside, name));
}

async function pack() {
  const { default: prebuildify } = await import('prebuildify');
  const options = {
    cwd: root,
    name: 'cortune',
    napi: true,
    strip: true,
    targets: [process.version],
    nodeGyp: fileURLToPath(import.meta.url),
    artifacts: beside,
  };
  await new Promise((resolve, reject) => prebuildify(options, (error) => (error ? reject(error) : resolve())));
  // prebuildify moves the addon away; the local build stays usable.
  const packed = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  copyFileSync(join(packed, 'cortune.node'), join(built, 'cortune.node'));
  console.error(`Packed ${packed}`);
}

if (process.argv[2] === 'rebuild') buildOne();
else await pack();
