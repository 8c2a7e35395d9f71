/** Ridge against himalaya: same data, folds and alphas, equal threads; scores and alphas must agree before times are compared. */
import { join } from 'node:path';
import { encode, parseAlphas, Tensor } from '../../dist/index.js';
import { runJob } from '../../dist/native/jobs.js';
import { native } from '../../dist/native/load.js';
import { compare, secondsOf } from '../harness/rounds.mjs';

const kCases = [
  {
    name: 'ROI study: nested 5 x 5, 20 alphas, n 384, p 768, 13 layers, 6 targets',
    n: 384,
    p: 768,
    layers: 13,
    targets: 6,
    alphas: 'logspace:-1:8:20',
    goal: 5,
  },
  {
    name: 'word stream: nested 5 x 5, 10 alphas, n 362, p 2304, 31 layers, 168 targets',
    n: 362,
    p: 2304,
    layers: 31,
    targets: 168,
    alphas: 'logspace:-1:8:10',
    goal: 0,
  },
];
const kPeers = [
  { backend: 'numpy', dtype: 'float64' },
  { backend: 'torch', dtype: 'float64' },
  { backend: 'numpy', dtype: 'float32' },
  { backend: 'torch', dtype: 'float32' },
];

/** Features of shared latent courses and noise, responses of some of the courses and noise; the same in every run. */
function makeData({ n, p, layers, targets }) {
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

function checkEqual(name, ours, theirs) {
  const worst = Math.max(...theirs.r.map((r, i) => Math.abs(r - ours.r[i])));
  const same =
    theirs.alpha.filter((alpha, i) => Math.abs(alpha / ours.alpha[i] - 1) < 1e-4).length / theirs.alpha.length;
  if (!(worst < 1e-4) || same < 0.999)
    throw new Error(
      `${name}: Expected the peer's scores within 1e-4 and 99.9 % of its alphas, got ${worst} and ${100 * same} %.`,
    );
}

/** Writes a case's data where the peer can read them, and gives the work of both sides. */
async function prepare(spec, peer, bench) {
  const { features, responses } = makeData(spec);
  const file = join(bench.folder, 'data.safetensors');
  await runJob(() =>
    native().writeSafetensors({
      path: file,
      names: ['features', 'responses'],
      tensors: [features.handle, responses.handle],
      metadata: {},
    }),
  );
  const request = { op: 'ridge', file, folds: 5, inner: 5, alphas: [...parseAlphas(spec.alphas)] };
  return {
    ours: () => encode(features, responses, { folds: 'contiguous:5', innerFolds: 5, alphas: spec.alphas }),
    theirs: (kind) => peer.ask({ ...request, ...kind }),
    dispose: () => {
      features.dispose();
      responses.dispose();
    },
  };
}

async function runCase(spec, peer, bench) {
  const { ours, theirs, dispose } = await prepare(spec, peer, bench);
  const { folds } = await ours();
  for (const kind of kPeers.filter(({ dtype }) => dtype === 'float64'))
    checkEqual(spec.name, folds, await theirs(kind));
  const peers = kPeers.map((kind) => ({
    name: `himalaya KernelRidgeCV, ${kind.backend} ${kind.dtype}`,
    run: async () => (await theirs(kind)).seconds,
  }));
  const { name, goal } = spec;
  const result = await compare({ name, goal, ours: () => secondsOf(ours), peers }, bench.rounds);
  dispose();
  return result;
}

export async function* run(bench) {
  const peer = bench.peer('ridge.py');
  for (const spec of kCases) if (bench.wants(spec.name)) yield await runCase(spec, peer, bench);
}
