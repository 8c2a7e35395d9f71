// Loads a model in a fresh process and prints how much the peak of its memory rose, and the float32 size: `node load-peak.mjs PATH`.
import { readFileSync } from 'node:fs';
import { loadModel } from '../../dist/model/load.js';
import { expectedParameters } from '../../dist/model/parameters.js';
import { native } from '../../dist/native/load.js';

const kib = (key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]);

native().info(); // libtorch itself is not the model
const before = kib('VmRSS');
const model = await loadModel(process.argv[2]);
const peak = (kib('VmHWM') - before) * 1024;
const count = expectedParameters(model.config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
console.log(JSON.stringify({ peak, size: 4 * count }));
