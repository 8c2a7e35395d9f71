/** How much commands take to start, as multiples of `node -e 0` on the same machine: the least of interleaved tries of each. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const program = join(fileURLToPath(new URL('../../', import.meta.url)), 'bin', 'cortune.mjs');
const cases = { bare: ['-e', '0'], help: [program, '--help'], version: [program, '--version'] };
const kTries = 5;

/** Writes the processor time of the process, us, when it ends: other work on the machine does not count. */
const kMeter = `data:text/javascript,${encodeURIComponent(
  "process.on('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write('\\ncpu ' + (user + system)); })",
)}`;

function cpu(args: string[]): number {
  const { status, stderr } = spawnSync(process.execPath, ['--import', kMeter, ...args], { encoding: 'utf8' });
  expect(status).toBe(0);
  return Number(/cpu (\d+)$/.exec(stderr)![1]);
}

function wall(args: string[]): number {
  const before = performance.now();
  expect(spawnSync(process.execPath, args, { stdio: 'ignore' }).status).toBe(0);
  return performance.now() - before;
}

it('help and version take little more than Node itself', () => {
  const best = { bare: Infinity, help: Infinity, version: Infinity };
  for (let i = 0; i < kTries; i++)
    for (const name of ['bare', 'help', 'version'] as const) best[name] = Math.min(best[name], cpu(cases[name]));
  // 1.2 to 1.3 times; 3 times with the option parser, 10 times with everything that `run` needs.
  expect(best.help / best.bare).toBeLessThan(2);
  expect(best.version / best.bare).toBeLessThan(2);
});

it('doctor asks programs while it loads libtorch', () => {
  const best = { bare: Infinity, doctor: Infinity };
  for (let i = 0; i < 3; i++) {
    best.bare = Math.min(best.bare, wall(cases.bare));
    best.doctor = Math.min(best.doctor, wall([program, 'doctor', '--quiet']));
  }
  // 15 times on an idle machine, nearly all of it libraries of libtorch; 27 times with one program asked after the other. Twice that for neighbours.
  expect(best.doctor / best.bare).toBeLessThan(40);
});
