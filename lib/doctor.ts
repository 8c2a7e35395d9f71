/** Examines this machine: what cortune runs on, what is missing, and the command that mends it. Changes nothing. */
import { existsSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { hubCacheDir, hubToken, hubUrl, isOffline } from './model/hub-cache.js';
import { isUpToDate } from './native/build.js';
import { cacheDir, folderSize } from './native/cache.js';
import { findLibtorch, installedDir, kTorchMinor, type Libtorch, type Rejected } from './native/libtorch.js';
import { type Addon, findAddon, kMend, libtorchFor, native } from './native/load.js';
import { cmake, compiler, make, nvcc, pip, python, type Tool } from './native/tools.js';
import type { NativeInfo } from './native/types.js';

/** Something that is not as it should be. Only what is `needed` keeps cortune from working. */
export interface Finding {
  what: string;
  /** A command, or what to do. */
  mend: string;
  needed: boolean;
}

export interface Examination {
  /** Nothing needed is missing. */
  ok: boolean;
  node: string;
  system: string;
  libtorch: Libtorch | null;
  /** Other torches that were passed over, and why. */
  rejected: Rejected[];
  addon: (Addon & { upToDate: boolean }) | null;
  /** What the loaded addon says: threads, SIMD, bf16; null when it does not load. */
  compute: NativeInfo | null;
  tools: Tool[];
  caches: { name: string; path: string; bytes: number }[];
  /** The Hub as it would be asked; of the token only whether there is one. */
  hub: { endpoint: string; offline: boolean; token: boolean };
  findings: Finding[];
}

/** Examines everything; takes about a second. Never throws for what it finds missing. */
export async function examine(): Promise<Examination> {
  // Programs answer while the addon is loaded, which holds this thread.
  const asked = Promise.all([python(), pip(), cmake(), compiler(), make(), nvcc()]);
  const measured = caches();
  const findings: Finding[] = [];
  const rejected: Rejected[] = [];
  const found = attempt(findings, () => findAddon());
  const libtorch = attempt(findings, () => (found && libtorchFor(found)) ?? findLibtorch(rejected)) ?? null;
  const addon = found
    ? { ...found, upToDate: found.kind === 'prebuild' || (libtorch !== null && isUpToDate(libtorch)) }
    : null;
  if (!libtorch && findings.length === 0)
    findings.push({ what: `libtorch ${kTorchMinor} is not there`, mend: kMend, needed: true });
  if (!addon) findings.push({ what: 'the addon is not compiled', mend: kMend, needed: true });
  else if (!addon.upToDate) findings.push({ what: 'the addon is older than its sources', mend: kMend, needed: false });
  const compute = addon && libtorch ? (attempt(findings, () => native().info()) ?? null) : null;
  const tools = await asked;
  findings.push(...toolFindings(tools, { libtorch: libtorch !== null, addon: addon?.upToDate === true }));
  return {
    ok: !findings.some((finding) => finding.needed),
    node: process.versions.node,
    system: `${platform()} ${release()} ${arch()}, ${cpus()[0]?.model ?? 'CPU'} x ${availableParallelism()}, ${Math.round(totalmem() / 1e9)} GB`,
    libtorch,
    rejected,
    addon,
    compute,
    tools,
    caches: await measured,
    hub: { endpoint: hubUrl(), offline: isOffline(), token: hubToken() !== undefined },
    findings,
  };
}

/** The value, or a finding made of the error's sentence. */
function attempt<T>(findings: Finding[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    const mend = process.env.CORTUNE_LIBTORCH ? 'unset CORTUNE_LIBTORCH' : kMend;
    findings.push({ what: (error as Error).message.replace(/\.$/, ''), mend, needed: true });
    return undefined;
  }
}

/** A missing program is needed only while what it makes is missing; nvcc never is. */
function toolFindings(tools: Tool[], there: { libtorch: boolean; addon: boolean }): Finding[] {
  const installs = new Set(['Python 3', 'pip']);
  return tools
    .filter((tool) => tool.path === undefined && tool.name !== 'nvcc')
    .map((tool) => ({
      what: `${tool.name} is not there`,
      mend: tool.mend,
      needed: installs.has(tool.name) ? !there.libtorch : !there.addon,
    }));
}

async function caches(): Promise<Examination['caches']> {
  const places = [
    { name: 'libtorch', path: installedDir() },
    { name: 'models', path: join(cacheDir(), 'models') },
    { name: 'Hugging Face', path: hubCacheDir() },
  ];
  return Promise.all(
    places.map(async (place) => ({ ...place, bytes: existsSync(place.path) ? await folderSize(place.path) : 0 })),
  );
}
