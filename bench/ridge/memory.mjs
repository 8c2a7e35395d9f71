/** `node memory.mjs FOLDER TARGETS THREADS`: encodes a file of responses, prints the seconds taken and the most memory this process held. */
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { encode, ResponsesFile, Tensor } from '../../dist/index.js';
import { native } from '../../dist/native/load.js';

const [folder, targets, threads] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const [n, p] = [600, 768];

/** Row by row, so that this process never holds the matrix. */
function writeResponses(path) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${n}, ${targets}), }`.padEnd(117);
  const file = openSync(path, 'w');
  writeSync(
    file,
    Buffer.concat([
      Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]),
      Buffer.from(`${text}\n`, 'latin1'),
    ]),
  );
  let state = 7;
  const row = new Float32Array(targets);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < targets; j++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      row[j] = state / 4294967296 - 0.5;
    }
    writeSync(file, Buffer.from(row.buffer));
  }
  closeSync(file);
}

const path = join(folder, `responses-${targets}.npy`);
if (!existsSync(path)) writeResponses(path);
native().setThreads(threads);
let state = 3;
const features = Tensor.from(
  Float32Array.from({ length: n * p }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296 - 0.5;
  }),
  [n, p],
);
const responses = await ResponsesFile.open(path);
const start = performance.now();
await encode(features, responses, { selection: 'fixed', standardize: 'center' });
const seconds = (performance.now() - start) / 1000;
process.stdout.write(JSON.stringify({ seconds, bytes: process.resourceUsage().maxRSS * 1024 }));
