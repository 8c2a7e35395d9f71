// Encodes in a fresh process with the least `memory` that is not refused, and prints it with the most that work and results held:
// `node encode-peak.mjs JSON`, the JSON {n, p, t, options}.
import { readFileSync, writeFileSync } from 'node:fs';
import { encode } from '../../dist/encode/encode.js';
import { Random } from '../../dist/random.js';
import { Tensor } from '../../dist/tensor.js';

const bytes = (key) =>
  1024 * Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]);
const random = new Random(1);
const normal = (...shape) =>
  Tensor.from(
    Float32Array.from({ length: shape.reduce((product, size) => product * size) }, () => random.normal()),
    shape,
  );

const { n, p, t, options } = JSON.parse(process.argv[2]);
await encode(normal(1, 40, 5), normal(40, 2), options); // what libraries take once
const [features, responses] = [normal(1, n, p), normal(n, t)];
const refused = await encode(features, responses, { ...options, memory: 1 }).catch((error) => error);
const memory = 2 ** 20 * Number(/needs about (\d+) MiB/.exec(refused.message)[1]);
global.gc();
const before = bytes('VmRSS');
writeFileSync('/proc/self/clear_refs', '5'); // the peak begins anew
await encode(features, responses, { ...options, memory });
console.log(JSON.stringify({ memory, held: bytes('VmHWM') - before }));
