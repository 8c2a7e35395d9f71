/** Ridge against himalaya: same data, folds and alphas, equal threads; scores and alphas must agree before times are compared. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { encode, parseAlphas, Tensor } from '../../dist/index.js';
import { runJob } from '../../dist/native/jobs.js';
import { native } from '../../dist/native/load.js';

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

/** A peer process that answers one request at a time. */
function startPeer(python) {
  const child = spawn(python, [fileURLToPath(new URL('../peers/ridge.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('The peer ended; it needs numpy, torch, scikit-learn, himalaya and safetensors.');
      return JSON.parse(value);
    },
    stop: () => child.stdin.end(),
  };
}

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

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
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

/** Times one case in rounds of ours and every peer, one after the other; the peer of the smallest median counts. */
async function runCase(spec, peer, threads, rounds, folder) {
  const { features, responses } = makeData(spec);
  const file = join(folder, 'data.safetensors');
  await runJob(() =>
    native().writeSafetensors({
      path: file,
      names: ['features', 'responses'],
      tensors: [features.handle, responses.handle],
      metadata: {},
    }),
  );
  const common = { file, threads, folds: 5, inner: 5, alphas: [...parseAlphas(spec.alphas)] };
  const ours = [];
  const theirs = kPeers.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now();
    const { folds } = await encode(features, responses, { folds: 'contiguous:5', innerFolds: 5, alphas: spec.alphas });
    if (round > 0) ours.push((performance.now() - start) / 1000);
    for (const [i, kind] of kPeers.entries()) {
      const answer = await peer.ask({ ...common, ...kind });
      // The first round warms up, and compares with float64.
      if (round > 0) theirs[i].push(answer.seconds);
      else if (kind.dtype === 'float64') checkEqual(spec.name, folds, answer);
    }
  }
  const medians = theirs.map(median);
  const best = medians.indexOf(Math.min(...medians));
  const ratios = ours.map((seconds, i) => theirs[best][i] / seconds);
  const round3 = (value) => Math.round(value * 1000) / 1000;
  return {
    name: spec.name,
    ours: round3(median(ours)),
    peer: round3(medians[best]),
    peerName: `himalaya KernelRidgeCV, ${kPeers[best].backend} ${kPeers[best].dtype}`,
    ratio: round3(median(ratios)),
    goal: spec.goal,
    spread: [round3(Math.min(...ratios)), round3(Math.max(...ratios))],
  };
}

/** Runs all cases; `python` has the peers, `rounds` timed rounds each, `threads` on both sides. */
export async function run({ python, rounds, threads }) {
  native().setThreads(threads);
  const folder = mkdtempSync(join(tmpdir(), 'cortune-bench-'));
  const peer = startPeer(python);
  try {
    const cases = [];
    for (const spec of kCases) cases.push(await runCase(spec, peer, threads, rounds, folder));
    return cases;
  } finally {
    peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
