/** A Python that has peft, where there is one: for tests that give our files to the reference implementation. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pythons } from '../../lib/native/libtorch.js';

const kFindPeft =
  'from importlib.util import find_spec as f; exit(not (f("torch") and f("peft") and f("transformers")))';
const kLoadSaved = fileURLToPath(new URL('../parity/models/load_saved.py', import.meta.url));

function hasPeft(python: string): boolean {
  try {
    execFileSync(python, ['-c', kFindPeft], { cwd: '/', stdio: 'ignore', timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

/** The active environment's Python, or one on PATH, that has peft; undefined when there is none. */
export function pythonWithPeft(): string | undefined {
  return pythons().find(hasPeft);
}

/** Why a test that needs it was left out. */
export const kNoPeft = 'no Python with peft and transformers: activate an environment that has them to run this test';

/** What to load: a base folder, an adapter's folder or none, and the tokens to read. */
export interface Saved {
  base: string;
  adapter: string | null;
  ids: readonly number[];
  /** The head to read through. */
  head?: 'masked' | 'sequences';
}

/** Logits [T, V] that peft or transformers compute from saved files, all in one process (importing them takes long). */
export function logitsInPython(python: string, saved: readonly Saved[]): { shape: number[]; logits: number[] }[] {
  const said = execFileSync(python, [kLoadSaved, JSON.stringify(saved)], {
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(said.toString()) as { shape: number[]; logits: number[] }[];
}
