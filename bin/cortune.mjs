#!/usr/bin/env node
// The executable: runs lib/cli and sets the exit code.
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
const main = new URL('../dist/cli/main.js', import.meta.url);

if (major < 20 || (major === 20 && minor < 17)) {
  fail(`cortune needs Node 20.17 or newer, got ${process.versions.node}. Install a current Node.`);
} else if (!existsSync(main)) {
  fail('cortune is not set up yet. Run: node bin/prepare.mjs');
} else {
  // A reader that went away (`cortune export | head`) is no failure.
  process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const { runCli } = await import(main);
  const code = await runCli(process.argv.slice(2));
  // Writes to a pipe are not done when write() returns; leaving before that would cut long results off.
  for (const stream of [process.stdout, process.stderr]) await new Promise((drained) => stream.write('', drained));
  // Idle connections and threads do not keep a finished command alive.
  process.exit(code);
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
