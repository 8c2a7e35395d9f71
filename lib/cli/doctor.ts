/** `cortune doctor`: prints what this machine has, and how to mend what is missing. */
import type { CommandModule } from 'yargs';
import { type Examination, examine } from '../doctor.js';
import { type CommonOptions, FailedResult, runCommand } from './output.js';
import { bytes } from './progress.js';

export const command: CommandModule<unknown, CommonOptions> = {
  command: 'doctor',
  describe: 'Show what is set up, and how to mend what is not',
  builder: (yargs) =>
    yargs
      .example('$0 doctor', 'libtorch, addon, threads, SIMD and bf16, tools, caches')
      .example('$0 doctor --json', 'The same for programs')
      .epilogue('Exit code 1 when something that cortune needs is missing. Tokens are never printed.') as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      const found = await examine();
      ctx.result(found, () => describe(found));
      if (!found.ok) throw new FailedResult();
    }),
};

function describe(found: Examination): string {
  const { libtorch, addon, compute } = found;
  const rows: [string, string][] = [
    ['node', found.node],
    ['system', found.system],
    ['libtorch', libtorch ? `${libtorch.version} in ${libtorch.dir} (${originText(libtorch.origin)})` : 'missing'],
    ...found.rejected.map(({ place, reason }): [string, string] => ['', `passed over ${place}: ${reason}`]),
    ['addon', addon ? `${addon.path} (${addon.kind}${addon.upToDate ? '' : ', older than its sources'})` : 'missing'],
    [
      'compute',
      compute ? `${compute.threads} threads, SIMD ${compute.cpuCapability}, CUDA ${yes(compute.cuda)}` : 'not loaded',
    ],
    ['bf16', compute ? `fast: ${yes(compute.bf16)} (AMX: ${yes(compute.amx)})` : 'not known'],
    ...found.tools.map(({ name, path, version }): [string, string] => [
      name,
      path ? `${version} (${path})` : name === 'nvcc' ? 'not there (only for CUDA kernels)' : 'missing',
    ]),
    ...found.caches.map(({ name, path, bytes: size }): [string, string] => [
      `cache: ${name}`,
      `${bytes(size)} in ${path}`,
    ]),
    [
      'Hub',
      `${found.hub.endpoint}, ${found.hub.offline ? 'offline (HF_HUB_OFFLINE)' : 'online'}, token ${found.hub.token ? 'set' : 'not set'}`,
    ],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`);
  return [...lines, '', ...verdict(found)].join('\n');
}

function verdict(found: Examination): string[] {
  const lines = found.findings.map(
    ({ what, mend, needed }) => `${needed ? 'MISSING' : 'note'}: ${what}. Mend it with: ${mend}`,
  );
  return found.ok ? [...lines, 'Everything needed is there.'] : lines;
}

function originText(origin: NonNullable<Examination['libtorch']>['origin']): string {
  return { CORTUNE_LIBTORCH: 'from CORTUNE_LIBTORCH', python: "a Python's torch", cache: 'user cache' }[origin];
}

function yes(value: boolean): string {
  return value ? 'yes' : 'no';
}
