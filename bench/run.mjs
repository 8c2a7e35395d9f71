/**
 * Benchmarks side by side with their rivals: `node bench/run.mjs SUITE [--json FILE] [--rounds 5] [--threads N]`.
 * The rivals run in a Python of their own, named by CORTUNE_PEER_PYTHON (default python3). Needs a set-up checkout (dist/ and the addon).
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { native } from '../dist/native/load.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});
const suite = positionals[0];
if (suite !== 'ridge') {
  process.stderr.write(`Expected a suite, \`ridge\`, got \`${suite}\`.\n`);
  process.exit(2);
}

const threads = Number(values.threads);
const { run } = await import(`./suites/${suite}.mjs`);
const cases = await run({
  python: process.env.CORTUNE_PEER_PYTHON ?? 'python3',
  rounds: Number(values.rounds),
  threads,
});
const info = native().info();
const machine = {
  cpu: cpus()[0].model,
  cores: availableParallelism(),
  threads,
  simd: info.cpuCapability,
  libtorch: info.libtorch,
};
if (values.json) writeFileSync(values.json, `${JSON.stringify({ machine, cases }, null, 2)}\n`);
for (const { name, ours, peer, peerName, ratio, goal, spread } of cases) {
  const aim = goal > 0 ? ` (goal ${goal})` : '';
  process.stdout.write(
    `${name}\n  ours ${ours} s, ${peerName} ${peer} s: ${ratio}x${aim}, ${spread[0]} to ${spread[1]}\n`,
  );
}
