// Makes a clone ready to run: npm packages, compiled TypeScript, libtorch, the addon. Needs only Node; doing it twice costs nothing.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const logs = join(root, 'build');

class Unprepared extends Error {}

/** Runs a program quietly, its output in build/NAME.log, whose path is told when it fails. */
function run(name, program, args) {
  mkdirSync(logs, { recursive: true });
  const log = join(logs, `${name}.log`);
  const ended = spawnSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  writeFileSync(log, `${ended.stdout ?? ''}${ended.stderr ?? ''}`);
  if (ended.error) throw new Unprepared(`${program} does not run: ${ended.error.message}`);
  if (ended.status === 0) return;
  const lines = readFileSync(log, 'utf8').split('\n');
  const said = lines.find((line) => /error/i.test(line)) ?? 'no reason was given';
  throw new Unprepared(`${name} failed: ${said.trim()} The whole log is ${log}`);
}

/** Every package of package-lock.json that this machine needs is in node_modules, in that version. */
function packagesAreThere() {
  const inside = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(inside)) return false;
  const have = JSON.parse(readFileSync(inside, 'utf8')).packages;
  const want = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(want).every(
    ([path, { version, optional, link }]) => path === '' || optional || link || have[path]?.version === version,
  );
}

/** A hash of all that the compiled TypeScript is made of. */
function sourcesHash() {
  const hash = createHash('sha256');
  const files = readdirSync(join(root, 'lib'), { recursive: true }).filter((name) => /\.(ts|css)$/.test(name));
  for (const file of ['tsconfig.json', 'package-lock.json', ...files.sort().map((name) => join('lib', name))])
    hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function compileTypeScript() {
  const stamp = join(root, 'dist', 'made-of.txt');
  const made = sourcesHash();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return;
  console.error('TypeScript: compiling');
  rmSync(stamp, { force: true });
  run('tsc', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root]);
  run('report-page', process.execPath, [join(root, 'bin', 'bundle-report.mjs')]);
  writeFileSync(stamp, made);
}

/** The steps before lib/ is compiled, one process at a time; a lock whose holder was killed is taken over. */
async function exclusively(work) {
  const lock = join(root, 'build', 'prepare.lock');
  mkdirSync(join(root, 'build'), { recursive: true });
  for (let told = false; ; told = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!isHeld(lock)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!told) console.error('Another process is preparing this folder; waiting for it.');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const release = () => rmSync(lock, { force: true });
  process.once('exit', release);
  try {
    work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function isHeld(lock) {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    if (pid === 0) return Date.now() - statSync(lock).mtimeMs < 5000; // its holder is about to write its number
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM'; // somebody else's living process
  }
}

async function main() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 17))
    throw new Unprepared(`cortune needs Node 20.17 or newer, got ${process.versions.node}. Install a current Node.`);
  // An installed package is compiled already, and npm brought what it needs.
  const isClone = existsSync(join(root, 'tsconfig.json')) && existsSync(join(root, 'lib'));
  await exclusively(() => {
    if (!isClone) return;
    if (!packagesAreThere()) {
      console.error('npm packages: installing');
      // Not `npm ci`: it refuses a lock file made where the registry shows only this platform's optional packages.
      run('npm', 'npm', ['install', '--no-save', '--no-audit', '--no-fund']);
    }
    compileTypeScript();
  });
  const { setUp } = await import('../dist/native/setup.js');
  const { progressBar } = await import('../dist/cli/progress.js');
  const bar = progressBar();
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'])
    process.on(name, () => (stop.signal.aborted ? process.exit(130) : stop.abort()));
  const note = (line) => {
    bar.clear();
    console.error(line);
  };
  try {
    await setUp({ build: true, note, onProgress: bar.update, signal: stop.signal });
  } finally {
    bar.clear();
  }
}

try {
  await main();
} catch (error) {
  const code = typeof error.code === 'string' ? ` [${error.code}]` : '';
  console.error(`${error.message}${code}`);
  if (process.env.CORTUNE_DEBUG === '1' || !(error instanceof Unprepared || code)) console.error(error.stack);
  process.exit(error.code === 'ERR_CANCELLED' ? 130 : 1);
}
