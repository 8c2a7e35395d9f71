// Writes 4 MiB of safetensors to the given path and prints the error's code and message, if any: `node write-large.mjs PATH`.
import { native } from '../../dist/native/load.js';

const tensor = native().tensorFrom(new Float32Array(1 << 20), [1 << 20]);
const job = native().writeSafetensors({ path: process.argv[2], names: ['x'], tensors: [tensor], metadata: {} });
await job.promise.then(
  () => console.log('written'),
  (error) => console.log(error.code, error.message),
);
