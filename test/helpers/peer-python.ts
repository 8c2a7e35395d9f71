/** A Python that has peft, where there is one: for tests that give our files to the reference implementation. */
import { execFileSync } from 'node:child_process';
import { pythons } from '../../lib/native/libtorch.js';

function hasPeft(python: string): boolean {
  try {
    execFileSync(python, ['-c', 'import peft, transformers'], { stdio: 'ignore', timeout: 120_000 });
    return true;
  } catch {
    return false;
  }
}

/** The active environment's Python or one on PATH that imports peft; undefined when there is none. */
export function pythonWithPeft(): string | undefined {
  return pythons().find(hasPeft);
}

/** Why a test that needs it was left out. */
export const kNoPeft = 'no Python with peft and transformers: activate an environment that has them to run this test';

/** What a script prints, parsed as JSON. */
export function runPython<T>(python: string, script: string, args: readonly string[]): T {
  const said = execFileSync(python, [script, ...args], { maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'pipe'] });
  return JSON.parse(said.toString()) as T;
}
