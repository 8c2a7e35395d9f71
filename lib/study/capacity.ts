/** What this machine has, and how many worker processes a study should get on it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { expected } from '../errors.js';

/** Cores that one worker uses well: the products of models of hundreds of millions fill them. Tiny models gain from more workers, see docs/running.md. */
const kCoresAWorker = 8;
/** Of the memory that is free, what estimates may fill. */
const kFill = 0.9;

export interface Capacity {
  cores: number;
  /** Bytes that may be used now. */
  memory: number;
  /** Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them. */
  gpus: string[];
}

/** What is there now: cores of this process's affinity, free memory within its control group, GPUs where `cuda` says that they can be used. */
export function capacity(cuda: boolean): Capacity {
  return { cores: availableParallelism(), memory: freeMemory() * kFill, gpus: cuda ? gpus() : [] };
}

function readNumber(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8').trim()); // `max` is NaN
  } catch {
    return Number.NaN;
  }
}

/** Free memory: that of the machine, or of the control group when that is less (a container, a Slurm job). */
function freeMemory(): number {
  let free = totalmem();
  try {
    const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    if (kilobytes) free = Number(kilobytes) * 1024;
  } catch {
    // Not Linux.
  }
  for (const group of controlGroups()) {
    const left = readNumber(join(group, 'memory.max')) - readNumber(join(group, 'memory.current'));
    if (Number.isFinite(left)) free = Math.min(free, Math.max(0, left));
  }
  return free;
}

/** The folders of this process's control group and of those around it (version 2): each may limit it. */
function controlGroups(): string[] {
  let path = '/';
  try {
    path = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  } catch {
    // Not Linux.
  }
  const parts = path.split('/').filter(Boolean);
  return Array.from({ length: parts.length + 1 }, (_, i) => join('/sys/fs/cgroup', ...parts.slice(0, i)));
}

function gpus(): string[] {
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined) return visible.split(',').filter((name) => name !== '' && name !== '-1');
  try {
    const list = execFileSync('nvidia-smi', ['-L'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return list.split('\n').flatMap((line) => /^GPU (\d+):/.exec(line)?.[1] ?? []);
  } catch {
    return [];
  }
}

/** Throws RangeError for `workers` that is no count; 0 is none, all in one process. */
export function checkWorkers(workers: number | 'auto' | undefined): void {
  if (workers === undefined || workers === 'auto') return;
  if (!(Number.isInteger(workers) && workers >= 0 && workers <= 1024))
    throw expected('workers', 'an integer from 0 to 1024', workers);
}

/** How worker processes share a machine. */
export interface Shares {
  workers: number;
  /** Of each worker. */
  threads: number;
  /** Of each worker, in turn; empty without GPUs. */
  gpus: string[];
}

/**
 * Worker processes and their threads. By default one for every eight cores (one for each GPU), as many as there are batches, and no more than
 * fit into memory with the largest of them.
 */
export function shares(
  { cores, memory, gpus }: Capacity,
  work: { batches: number; largest: number },
  asked?: number | undefined,
): Shares {
  const fit = Math.max(1, Math.floor(memory / Math.max(1, work.largest)));
  const wanted = gpus.length > 1 ? gpus.length : Math.max(1, Math.floor(cores / kCoresAWorker));
  const workers = Math.max(1, Math.min(asked ?? Math.min(wanted, fit), work.batches));
  return { workers, threads: Math.max(1, Math.floor(cores / workers)), gpus: gpus.length > 1 ? gpus : [] };
}
