/** Data of the ridge suite: features of shared latent courses and noise, responses of some of the courses and noise; the same in every run. */
import { join } from 'node:path';
import { Tensor } from '../../dist/index.js';
import { runJob } from '../../dist/native/jobs.js';
import { native } from '../../dist/native/load.js';

export function makeData({ n, p, layers = 1, targets }) {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296 - 0.5;
  };
  const latent = 40;
  const courses = Float64Array.from({ length: n * latent }, uniform);
  const mix = (columns, used, noise) => {
    const weights = Float64Array.from({ length: used * columns }, uniform);
    return Float32Array.from({ length: n * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      let sum = noise * uniform();
      for (let k = 0; k < used; k++) sum += courses[row * latent + k] * weights[k * columns + column];
      return sum;
    });
  };
  const features = new Float32Array(layers * n * p);
  for (let l = 0; l < layers; l++) features.set(mix(p, latent, 1 + l), l * n * p);
  return { features: Tensor.from(features, [layers, n, p]), responses: Tensor.from(mix(targets, 8, 3), [n, targets]) };
}

/** Writes tensors where the peer reads them. */
export async function writeData(folder, tensors) {
  const file = join(folder, 'data.safetensors');
  await runJob(() =>
    native().writeSafetensors({
      path: file,
      names: Object.keys(tensors),
      tensors: Object.values(tensors).map(({ handle }) => handle),
      metadata: {},
    }),
  );
  return file;
}

/** The first targets alone. */
export function firstTargets(responses, count) {
  const [n, t] = responses.shape;
  const values = responses.toArray();
  const out = new Float32Array(n * count);
  for (let row = 0; row < n; row++) out.set(values.subarray(row * t, row * t + count), row * count);
  return Tensor.from(out, [n, count]);
}

/** Throws unless values are within 1e-4 (relative where large) and 99.9 % of alphas are equal. */
export function checkEqual(name, what, ours, theirs) {
  if (ours.length !== theirs.length) throw new Error(`${name}: Expected ${theirs.length} ${what}, got ${ours.length}.`);
  if (what === 'alphas') {
    let same = 0;
    for (let i = 0; i < ours.length; i++) if (Math.abs(theirs[i] / ours[i] - 1) < 1e-4) same++;
    if (same / ours.length < 0.999)
      throw new Error(`${name}: Expected 99.9 % of the peer's alphas, got ${(100 * same) / ours.length} %.`);
    return;
  }
  let worst = 0;
  for (let i = 0; i < ours.length; i++)
    worst = Math.max(worst, Math.abs(theirs[i] - ours[i]) / Math.max(1, Math.abs(theirs[i])));
  if (!(worst < 1e-4)) throw new Error(`${name}: Expected the peer's ${what} within 1e-4, got ${worst}.`);
}
