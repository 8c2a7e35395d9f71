/**
 * Benchmarks side by side with their rivals: `npm run bench -- SUITE [--json FILE] [--rounds 5] [--threads N] [--case PATTERN] [--quick]`.
 *
 * A suite is bench/suites/SUITE.mjs with `export async function* run(bench)`, which yields cases one by one as `compare` (or `caseOf`,
 * `unavailable`) of bench/harness/rounds.mjs makes them. `bench` is
 *   threads, rounds   what was asked for; native code already uses `threads`
 *   quick             whether less is to be done, to see that a suite works (only some suites know it); its figures mean nothing
 *   wants(name)       whether --case, a regular expression without regard to capitals, picks the case; ask before any work
 *   peer(script)      starts a rival, bench/peers/SCRIPT (which calls `serve` of bench/peers/serve.py): `await peer.ask({op, ...})`;
 *                     every request carries `threads`; stopped when the suite ends, or by `peer.stop()`
 *   python            the rivals' interpreter
 *   machine           what the JSON says of it, with `sgemmPeak` and `bf16GemmPeak` in FLOP/s
 *   folder            an empty folder, removed at the end
 *   note(line)        a line for people on stderr
 * The JSON is {machine, cases: [{name, unit, ours, peer, peerName, ratio, goal, spread, limit?}]}; a greater `ratio` is better; a goal of 0 is none.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

class Usage extends Error {}

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: String(availableParallelism()) },
      case: { type: 'string', default: '' },
      quick: { type: 'boolean', default: false },
    },
  });
  const suites = readdirSync(new URL('./suites/', import.meta.url)).map((file) => file.replace(/\.mjs$/, ''));
  if (positionals.length !== 1 || !suites.includes(positionals[0]))
    throw new Usage(`Expected one suite of ${suites.join(', ')}, got \`${positionals.join(' ')}\`.`);
  const count = (name) => {
    const value = Number(values[name]);
    if (!(Number.isInteger(value) && value >= 1))
      throw new Usage(`Expected \`--${name}\` to be an integer from 1, got \`${values[name]}\`.`);
    return value;
  };
  const { json, quick } = values;
  const options = { suite: positionals[0], json, quick, rounds: count('rounds'), threads: count('threads') };
  try {
    return { ...options, pattern: new RegExp(values.case, 'i') };
  } catch (error) {
    throw new Usage(`Expected \`--case\` to be a regular expression, got \`${values.case}\`: ${error.message}.`);
  }
}

async function main() {
  const { suite, json, quick, rounds, threads, pattern } = readOptions();
  if (!existsSync(new URL('../dist/native/load.js', import.meta.url)))
    throw new Usage('Expected a set-up checkout; run: node bin/prepare.mjs');
  const { native } = await import('../dist/native/load.js');
  const { peerPython, startPeer } = await import('./harness/peers.mjs');
  const { describeMachine } = await import('./harness/machine.mjs');
  const { lineOf } = await import('./harness/table.mjs');
  const { run } = await import(`./suites/${suite}.mjs`);

  const note = (line) => process.stderr.write(`${line}\n`);
  const python = await peerPython(note);
  const folder = mkdtempSync(join(tmpdir(), 'cortune-bench-'));
  // Also where the run is interrupted.
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  const peers = [];
  const peer = (script) => {
    const started = startPeer(python, script, { threads });
    peers.push(started);
    return started;
  };
  const bench = { python, threads, rounds, quick, folder, note, peer, wants: (name) => pattern.test(name) };
  try {
    native().setThreads(threads);
    bench.machine = await describeMachine(bench);
    const cases = [];
    for await (const result of run(bench)) {
      cases.push(result);
      process.stdout.write(lineOf(result));
      // After each case, so that a long run cut off has given what it measured.
      if (json) writeFileSync(json, `${JSON.stringify({ machine: bench.machine, cases }, null, 2)}\n`);
    }
    if (cases.length === 0) throw new Usage(`Expected \`--case\` to pick a case of ${suite}, it picks none.`);
  } finally {
    for (const each of peers) each.stop();
  }
}

try {
  await main();
} catch (error) {
  const wrong = error instanceof Usage || error.code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`${wrong ? error.message : error.stack}\n`);
  process.exitCode = wrong ? 2 : 1;
}
