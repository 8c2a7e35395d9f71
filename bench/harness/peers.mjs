/**
 * The Python of the rivals, and processes in it that answer requests.
 *
 * `peerPython` gives the interpreter: CORTUNE_PEER_PYTHON when set, else a virtual environment in the user cache, made on first use: torch
 * from the very wheel `cortune setup` takes its libtorch from, then bench/peers/requirements.txt. It is named by a hash of these, so that
 * a change of versions makes a new one.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cacheDir, withLock } from '../../dist/native/cache.js';
import { downloadTorch } from '../../dist/native/install.js';
import { kTorchVersion } from '../../dist/native/libtorch.js';
import { pythonWithPip } from '../../dist/native/python.js';

const kPeers = fileURLToPath(new URL('../peers/', import.meta.url));
const kRequirements = join(kPeers, 'requirements.txt');

/** The interpreter that has the rivals; makes its environment when there is none. `note` is given a line for people. */
export async function peerPython(note = () => {}) {
  const named = process.env.CORTUNE_PEER_PYTHON;
  if (named) return named;
  const base = pythonWithPip();
  const version = execFileSync(base, ['-V']).toString();
  const made = createHash('sha256').update(`${version}\0${kTorchVersion}\0`).update(readFileSync(kRequirements));
  const dir = join(cacheDir(), `peers-${made.digest('hex').slice(0, 12)}`);
  const python = join(dir, 'bin', 'python');
  // Written last: an environment without it was cut off and is made anew.
  const done = join(dir, 'complete');
  const install = async () => {
    if (existsSync(done)) return;
    note(`The rivals' Python environment: installing into ${dir} (torch, transformers, peft and more; about 1.5 GB)`);
    await rm(dir, { recursive: true, force: true });
    execFileSync(base, ['-m', 'venv', dir], { stdio: ['ignore', 2, 2] });
    const wheels = join(dir, 'wheels');
    await mkdir(wheels);
    const torch = await downloadTorch(wheels, { stage: 'downloading torch' });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    execFileSync(python, [...pip, torch], { stdio: ['ignore', 2, 2] });
    execFileSync(python, [...pip, '-r', kRequirements], { stdio: ['ignore', 2, 2] });
    await rm(wheels, { recursive: true });
    await writeFile(done, version);
  };
  if (!existsSync(done)) await withLock(`${dir}.lock`, install);
  return python;
}

/**
 * Starts bench/peers/`script`, a long-lived process that answers one JSON request a line (bench/peers/serve.py).
 * `ask` sends a request and gives the answer; an error in Python rejects with its traceback. `stop` ends the process.
 */
export function startPeer(python, script, { threads }) {
  const child = spawn(python, [join(kPeers, script)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TOKENIZERS_PARALLELISM: 'false', HF_HUB_OFFLINE: '1', OMP_NUM_THREADS: String(threads) },
  });
  child.stdin.on('error', () => {}); // the missing answer says it
  // One that computes would go on to the end of that.
  process.on('exit', () => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid,
    async ask(request) {
      child.stdin.write(`${JSON.stringify({ threads, ...request })}\n`);
      const { value, done } = await lines.next();
      if (done)
        throw new Error(`The peer ${script} ended. It needs torch and the packages of bench/peers/requirements.txt.`);
      const answer = JSON.parse(value);
      if (answer.error) throw new Error(`The peer ${script} failed:\n${answer.error}`);
      return answer;
    },
    stop: () => child.stdin.end(),
  };
}
