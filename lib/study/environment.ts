/** What computed a run: versions, processor, threads. No names of hosts or users. */
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, release } from 'node:os';
import { join } from 'node:path';
import { kPackageDir, native } from '../native/load.js';
import type { Environment } from './records.js';

export function environment(): Environment {
  const { libtorch, cpuCapability, threads, bf16, cuda, compiler } = native().info();
  const { version } = JSON.parse(readFileSync(join(kPackageDir, 'package.json'), 'utf8')) as { version: string };
  return {
    cortune: version,
    node: process.versions.node,
    libtorch,
    compiler,
    platform: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    simd: cpuCapability,
    threads,
    bf16,
    cuda,
    precision: 'fp32',
  };
}
