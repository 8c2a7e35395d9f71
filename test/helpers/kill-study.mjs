// Works through a study that is killed with -9 at many moments, and compares its table with that of an undisturbed run.
//   node test/helpers/kill-study.mjs STUDY KILLS [SEED]
// Each kill ends the command or one of its workers; the moments follow from the seed. Ends with 0 when the tables are equal.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Random } from '../../dist/random.js';

const [study, count, seed = '0'] = process.argv.slice(2);
const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cortune-kill-'));
const random = new Random(Number(seed));

const cortune = (...args) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });

/** The worker processes of a command. Linux only; elsewhere the command itself is killed. */
function workersOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

const kills = { command: 0, worker: 0 };
let ended = 0;

/**
 * Starts the study and kills it within `most` ms, sometimes after one of its workers. Not after two: a run that ends its worker twice is
 * recorded as failed, as it should be. Returns the exit code, null when it was killed.
 */
async function killOnce(out, most) {
  const child = spawn(process.execPath, [program, 'run', study, '--out', out], { stdio: 'ignore' });
  const end = new Promise((resolve) => child.on('exit', resolve));
  for (const workerFirst of random.uniform() < 0.5 ? [true, false] : [false]) {
    await Promise.race([end, sleep(most * random.uniform())]);
    const victim = workerFirst ? workersOf(child.pid)[0] : child.pid;
    if (victim === undefined || child.exitCode !== null) continue;
    try {
      process.kill(victim, 'SIGKILL');
      kills[workerFirst ? 'worker' : 'command']++;
    } catch {
      // It has just ended.
    }
  }
  const code = await end;
  if (code !== null) ended++;
  return code;
}

try {
  const whole = join(folder, 'whole');
  const start = performance.now();
  if (cortune('run', study, '--out', whole).status !== 0) throw new Error('The undisturbed run failed.');
  const took = performance.now() - start;
  const table = cortune('export', whole).stdout;
  const out = join(folder, 'killed');
  let wrong = 0;
  const check = () => {
    const { status, stderr } = cortune('run', study, '--out', out);
    const same = status === 0 && cortune('export', out).stdout === table && cortune('verify', out).status === 0;
    const rest = [...readdirSync(out), ...readdirSync(join(out, 'claims'))].filter((name) => name.startsWith('.'));
    if (!same || rest.length > 0) {
      wrong++;
      console.error(
        `After ${kills.command + kills.worker} kills: ${same ? `left over: ${rest}` : `another table. ${stderr}`}`,
      );
    }
  };
  while (kills.command + kills.worker < Number(count)) {
    // A study that came to its end is compared, and begun anew.
    if ((await killOnce(out, took)) !== 0) continue;
    check();
    rmSync(out, { recursive: true, force: true });
  }
  check();
  console.log(
    `${kills.command} kills of the command, ${kills.worker} of workers, ${ended} ends; ${wrong} of the tables differ.`,
  );
  process.exitCode = wrong === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
