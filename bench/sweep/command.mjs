/** Our side as people meet it: the command, from its start to its end. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { secondsOf } from '../harness/rounds.mjs';

const kProgram = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));

/** Seconds that `cortune ARGS` takes; rejects with what it said where it fails. */
export function secondsOfCommand(args, env = {}) {
  return secondsOf(
    () =>
      new Promise((resolve, reject) => {
        const stdio = ['ignore', 'ignore', 'pipe'];
        const child = spawn(process.execPath, [kProgram, ...args], { stdio, env: { ...process.env, ...env } });
        const stop = () => child.kill();
        process.once('exit', stop);
        let said = '';
        child.stderr.on('data', (text) => {
          said += text;
        });
        child.on('error', reject);
        child.on('close', (status) => {
          process.off('exit', stop);
          if (status === 0) resolve();
          else reject(new Error(`cortune ${args[0]} ended with ${status}: ${said.trim()}`));
        });
      }),
  );
}

/** Seconds of `cortune run`, with a line every half minute of how far it is. Fewer threads than cores: in one process that has as many. */
export async function secondsOfRun({ threads, note }, study, out, runs) {
  const few = threads < availableParallelism();
  const env = few ? { OMP_NUM_THREADS: String(threads) } : {};
  const done = () => {
    try {
      return readdirSync(join(out, 'runs')).length;
    } catch {
      return 0;
    }
  };
  const timer = setInterval(() => note(`  cortune run: ${done()} of ${runs} runs`), 30_000);
  try {
    return await secondsOfCommand(['run', study, '--out', out, ...(few ? ['--workers', '0'] : [])], env);
  } finally {
    clearInterval(timer);
  }
}
