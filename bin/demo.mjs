// The demo: one study from the model to the report, on the Alice recordings where they are, else on a simulated subject.
//   node bin/demo.mjs [--data DIR] [--out DIR]
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCli } from '../dist/cli/main.js';
import { loadDataset } from '../dist/data/dataset.js';

const kUsage = 'Usage: npm run demo -- [--data DIR] [--out DIR]';

/** Whether the recordings are at hand. A folder that was named must hold them; the usual places need not. */
async function hasAlice(root) {
  try {
    await loadDataset('alice', { root });
    return true;
  } catch (error) {
    if (error.code === 'ERR_NOT_FOUND' && root === undefined) return false;
    throw error;
  }
}

function readArguments() {
  try {
    return parseArgs({ options: { data: { type: 'string' }, out: { type: 'string' }, help: { type: 'boolean' } } })
      .values;
  } catch (error) {
    console.error(`${error.message}\n${kUsage}`);
    process.exit(2);
  }
}

const { data, out = fileURLToPath(new URL('../results/demo', import.meta.url)), help } = readArguments();
if (help) {
  console.log(kUsage);
  process.exit(0);
}
let alice;
try {
  alice = await hasAlice(data);
} catch (error) {
  console.error(`${error.message} [${error.code}]`);
  process.exit(1);
}
console.error(
  alice
    ? 'Demo on real measurements: fMRI of people listening to Alice in Wonderland (Brennan et al. 2016, CC-BY 4.0).'
    : 'Demo on a SIMULATED subject: the Alice recordings are not here. The README says where to get them; then: npm run demo -- --data DIR',
);
const study = fileURLToPath(new URL(`../examples/${alice ? 'alice' : 'simulated'}.yaml`, import.meta.url));
const code = await runCli(['run', study, '--out', out, ...(alice && data ? ['--data', data] : [])]);
await new Promise((drained) => process.stdout.write('', drained));
process.exit(code);
