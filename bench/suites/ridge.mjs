/**
 * Ridge against himalaya, scikit-learn and numpy: same data, folds and alphas, float32, equal threads; scores and alphas must agree with the
 * peer's float64 before times are compared.
 */
import { encode, parseAlphas, refitPermuted } from '../../dist/index.js';
import { Random } from '../../dist/random.js';
import { caseOf, compare, secondsOf } from '../harness/rounds.mjs';
import { checkEqual, firstTargets, makeData, writeData } from '../ridge/data.mjs';

const kBackends = ['numpy', 'torch'];
/** Scores are compared with float64 peers on this many targets at most. */
const kChecked = 2000;
const kAlphas = (count) => `logspace:-1:8:${count}`;

const small = { n: 627, p: 768, targets: 20_000, folds: 5 };
const kFixed = [
  { ...small, alphas: 10, goal: 2.5, limit: 'ours is bound by sgemm: one triangular product of n x n for each alpha' },
  { ...small, alphas: 20, goal: 3.5, limit: 'ours is bound by sgemm: of 20 alphas over nine decades 17 are needed' },
  {
    ...small,
    alphas: 100,
    goal: 12,
    rounds: 2,
    limit: 'ours is bound by sgemm; himalaya is faster here than where the goal was set',
  },
  { n: 3000, p: 1000, targets: 30_000, folds: 3, alphas: 20, goal: 3, rounds: 1, models: ['primal'] },
];
const kNested = [
  {
    name: 'ROI study: nested 5 x 5, 20 alphas, n 384, p 768, 13 layers, 6 targets',
    n: 384,
    p: 768,
    layers: 13,
    targets: 6,
    alphas: 20,
    goal: 5,
  },
  {
    name: 'nested 5 x 5, 20 alphas, n 384, p 768, 13 layers, 20,000 targets',
    n: 384,
    p: 768,
    layers: 13,
    targets: 20_000,
    alphas: 20,
    goal: 5,
    rounds: 1,
  },
  {
    name: 'word stream: nested 5 x 5, 10 alphas, n 362, p 2304, 31 layers, 168 targets',
    n: 362,
    p: 2304,
    layers: 31,
    targets: 168,
    alphas: 10,
    goal: 0,
    rounds: 2,
  },
];

const grouped = (count) => count.toLocaleString('en-US');

/** Peers that were the fastest two on fewer targets (and layers). */
async function fastest(kinds, ask) {
  const times = [];
  for (const kind of kinds) {
    await ask(kind);
    times.push({ kind, seconds: (await ask(kind)).seconds });
  }
  times.sort((a, b) => a.seconds - b.seconds);
  return times.slice(0, 2).map(({ kind }) => kind);
}

/** A case of few rounds is too long to warm up: its peers ran on fewer targets just before. */
async function timed(spec, bench) {
  const rounds = Math.min(bench.rounds, spec.rounds ?? bench.rounds);
  if (rounds > 2) return await compare(spec, rounds);
  const ours = [];
  const theirs = spec.peers.map(() => []);
  for (let round = 0; round < rounds; round++) {
    ours.push(await spec.ours());
    for (const [i, peer] of spec.peers.entries()) theirs[i].push(await peer.run());
  }
  const mean = (values) => values.reduce((a, b) => a + b) / values.length;
  const best = theirs.map(mean).indexOf(Math.min(...theirs.map(mean)));
  const ratios = ours.map((seconds, round) => theirs[best][round] / seconds);
  return caseOf({ ...spec, ours: mean(ours), peer: mean(theirs[best]), peerName: spec.peers[best].name, ratios });
}

/** The share of the sgemm peak that the plain way (every fold and alpha by itself, as the peer counts it) would take in this time. */
function withShares(result, flops, bench) {
  const share = (seconds) => Number((flops / seconds / bench.machine.sgemmPeak).toPrecision(3));
  return { ...result, plainFlops: flops, sgemmShare: { ours: share(result.ours), peer: share(result.peer) } };
}

async function fixedCase(spec, name, peer, bench) {
  const { features, responses } = makeData(spec);
  const file = await writeData(bench.folder, { features, responses });
  const alphas = kAlphas(spec.alphas);
  const options = {
    folds: `contiguous:${spec.folds}`,
    alphas,
    selection: 'fixed',
    standardize: 'center',
    precision: 'single',
  };
  const base = { op: 'fixed', file, folds: spec.folds, alphas: [...parseAlphas(alphas)], check: false };
  const checked = Math.min(kChecked, spec.targets);
  const models = spec.models ?? ['kernel'];
  const some = firstTargets(responses, checked);
  const { folds } = await encode(features, some, options);
  const reference = await peer.ask({
    ...base,
    targets: checked,
    model: models[0],
    backend: 'numpy',
    dtype: 'float64',
    check: true,
  });
  checkEqual(name, 'alphas', folds.alpha.subarray(0, checked), reference.alpha);
  checkEqual(name, 'errors', folds.error, reference.error);
  const kinds = models.flatMap((model) => kBackends.map((backend) => ({ model, backend })));
  if (!spec.models && spec.alphas === 10) kinds.push(...kBackends.map((backend) => ({ model: 'primal', backend })));
  const chosen = await fastest(kinds, (kind) => peer.ask({ ...base, ...kind, targets: spec.targets / 10 }));
  const peers = chosen.map((kind) => ({
    name: `himalaya ${kind.model === 'kernel' ? 'KernelRidgeCV' : 'RidgeCV'}, ${kind.backend} float32`,
    run: async () => (await peer.ask({ ...base, ...kind, targets: spec.targets })).seconds,
  }));
  // As the peer: alphas, errors, and the fit of all rows (its dual coefficients, or weights of the features).
  const weights = models[0] === 'kernel' ? 'dual' : 'primal';
  const ours = () =>
    secondsOf(async () => {
      const result = await encode(features, responses, { ...options, weights });
      result.weights.dispose();
      result.intercepts?.dispose();
    });
  await ours();
  const { n, targets: t, alphas: A, folds: F } = spec;
  const fold = n / F;
  const flops = 2 * t * (F * A * fold * (n - fold) + n * n);
  const result = withShares(await timed({ ...spec, name, ours, peers }, bench), flops, bench);
  for (const tensor of [features, responses, some]) tensor.dispose();
  return result;
}

async function nestedCase(spec, peer, bench) {
  const { features, responses } = makeData(spec);
  const file = await writeData(bench.folder, { features, responses });
  const options = { folds: 'contiguous:5', innerFolds: 5, alphas: kAlphas(spec.alphas) };
  const base = { op: 'nested', file, folds: 5, inner: 5, alphas: [...parseAlphas(options.alphas)], check: false };
  const many = spec.targets > kChecked;
  const checked = Math.min(500, spec.targets);
  const some = many ? firstTargets(responses, checked) : responses;
  const precision = many ? 'single' : 'auto';
  const { folds } = await encode(features, some, { ...options, precision });
  const reference = await peer.ask({
    ...base,
    layers: 2,
    targets: checked,
    backend: 'numpy',
    dtype: 'float64',
    check: true,
  });
  checkEqual(spec.name, 'alphas', folds.alpha.subarray(0, 10 * checked), reference.alpha);
  checkEqual(spec.name, 'scores', folds.r.subarray(0, 10 * checked), reference.r);
  const dtypes = many ? ['float32'] : ['float32', 'float64'];
  const kinds = kBackends.flatMap((backend) => dtypes.map((dtype) => ({ backend, dtype })));
  const sample = { layers: 1, targets: many ? spec.targets / 10 : spec.targets };
  const chosen = await fastest(kinds, (kind) => peer.ask({ ...base, ...kind, ...sample }));
  const timedKinds = many ? chosen.slice(0, 1) : chosen;
  const peers = timedKinds.map((kind) => ({
    name: `himalaya KernelRidgeCV, ${kind.backend} ${kind.dtype}`,
    run: async () => (await peer.ask({ ...base, ...kind, layers: spec.layers, targets: spec.targets })).seconds,
  }));
  const ours = () => secondsOf(() => encode(features, responses, options));
  const result = await timed({ ...spec, ours, peers }, bench);
  for (const tensor of new Set([features, responses, some])) tensor.dispose();
  return result;
}

const kPermute = '1,000 permutations, t 20,000, fixed alphas, n 627, p 768, 5 folds';

/** Both sides do some of the permutations, and are multiplied; ours sets up in every measurement. */
async function permuteCase(peer, bench) {
  const [mine, theirs] = [50, 3];
  const { features, responses } = makeData(small);
  const file = await writeData(bench.folder, { features, responses });
  const options = { folds: 'contiguous:5', alphas: kAlphas(10), standardize: 'center', precision: 'single' };
  const first = await encode(features, responses, { ...options, selection: 'fixed' });
  const orders = new Int32Array(mine * small.n);
  for (let k = 0; k < mine; k++) orders.set(new Random(k).permutation(small.n), k * small.n);
  const chosen = Array.from({ length: 5 }, (_, f) => [
    ...first.folds.alpha.subarray(f * small.targets, (f + 1) * small.targets),
  ]);
  const base = { op: 'permute', file, folds: 5, chosen, targets: small.targets, check: false };
  const some = Array.from({ length: theirs }, (_, k) => [...orders.subarray(k * small.n, (k + 1) * small.n)]);
  const result = await refitPermuted(features, responses, {
    ...options,
    orders: orders.slice(0, small.n),
    chosen: first.folds,
    keep: true,
  });
  const reference = await peer.ask({ ...base, how: 'numpy', orders: some.slice(0, 1), dtype: 'float64', check: true });
  checkEqual(kPermute, 'scores', result.scores.toArray(), reference.r);
  const peers = ['sklearn', 'numpy'].map((how) => ({
    name:
      how === 'numpy'
        ? 'numpy, SVDs made beforehand (3 permutations, multiplied)'
        : 'scikit-learn Ridge(svd) (3 permutations, multiplied)',
    run: async () => (1000 / theirs) * (await peer.ask({ ...base, how, orders: some })).seconds,
  }));
  const ours = async () =>
    (1000 / mine) *
    (await secondsOf(() => refitPermuted(features, responses, { ...options, orders, chosen: first.folds })));
  const timedCase = await timed({ name: kPermute, goal: 5, ours, peers, rounds: 2 }, bench);
  for (const tensor of [features, responses, result.scores]) tensor.dispose();
  return timedCase;
}

export async function* run(bench) {
  const peer = bench.peer('ridge.py');
  for (const spec of kFixed) {
    const name = `n ${grouped(spec.n)}, p ${grouped(spec.p)}, t ${grouped(spec.targets)}, ${spec.folds} folds, ${spec.alphas} alphas`;
    if (bench.wants(name)) yield await fixedCase(spec, name, peer, bench);
  }
  for (const spec of kNested) if (bench.wants(spec.name)) yield await nestedCase(spec, peer, bench);
  if (bench.wants(kPermute)) yield await permuteCase(peer, bench);
}
