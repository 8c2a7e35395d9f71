/**
 * Ridge against himalaya, scikit-learn and numpy: same data, folds and alphas, float32, equal threads; scores and alphas must agree with the
 * peer's float64 before times are compared.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { drawWeights } from '../../dist/encode/banded.js';
import { encode, encodeBanded, parseAlphas, refitPermuted, Tensor } from '../../dist/index.js';
import { runJob } from '../../dist/native/jobs.js';
import { native } from '../../dist/native/load.js';
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
    limit: 'held-out errors at about 28 of 100 alphas, and float64 setting up of a fit for every alpha in use',
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
    rounds: 2,
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

/** Peers that were the fastest on fewer targets (and layers). */
async function fastest(kinds, ask, count = 2) {
  const times = [];
  for (const kind of kinds) {
    await ask(kind);
    times.push({ kind, seconds: (await ask(kind)).seconds });
  }
  times.sort((a, b) => a.seconds - b.seconds);
  return times.slice(0, count).map(({ kind }) => kind);
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
  checkEqual(name, 'errors', folds.error, reference.mse);
  const kinds = models.flatMap((model) => kBackends.map((backend) => ({ model, backend })));
  if (!spec.models && spec.alphas === 10) kinds.push(...kBackends.map((backend) => ({ model: 'primal', backend })));
  const ask = (kind) => peer.ask({ ...base, ...kind, targets: spec.targets / 10 });
  const chosen = await fastest(kinds, ask, spec.rounds ? 1 : 2);
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
  const chosen = await fastest(kinds, (kind) => peer.ask({ ...base, ...kind, ...sample }), 1);
  const peers = chosen.map((kind) => ({
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
  const [mine, theirs] = [20, 2];
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
        ? 'numpy, SVDs made beforehand (2 permutations, multiplied)'
        : 'scikit-learn Ridge(svd) (2 permutations, multiplied)',
    run: async () => (1000 / theirs) * (await peer.ask({ ...base, how, orders: some })).seconds,
  }));
  const ours = async () =>
    (1000 / mine) *
    (await secondsOf(() => refitPermuted(features, responses, { ...options, orders, chosen: first.folds })));
  const timedCase = await timed({ name: kPermute, goal: 5, ours, peers, rounds: 2 }, bench);
  for (const tensor of [features, responses, result.scores]) tensor.dispose();
  return timedCase;
}

const kBanded = { n: 627, p: 768, targets: 5000, folds: 5, alphas: 10, tried: 100 };
const kBandedName = 'banded ridge, 2 bands, 100 random-search iterations, t 5,000, n 627, p 768, 5 folds, 10 alphas';

/** Relative, of mean squared errors: a few units in the last place of float32. */
const kTie = 3e-7;

/** gamma / alpha of both bands of a target, [2, t]. One that is a millionth of the other counts as that much: draws that near a corner give equal fits. */
function strengths(values) {
  const t = values.length / 2;
  return values.map((value, i) => Math.max(value, 1e-6 * values[(i + t) % (2 * t)]));
}

/** Ours does all 100 weights of the bands; the peer a sixth of them, multiplied, weights and errors compared on these. */
async function bandedCase(peer, bench) {
  const { features: layered, responses } = makeData(kBanded);
  const features = Tensor.from(layered.toArray(), [kBanded.n, kBanded.p]);
  const file = await writeData(bench.folder, { features: layered, responses });
  const alphas = [...parseAlphas(kAlphas(kBanded.alphas))];
  const drawn = drawWeights(kBanded.tried, 2, 1);
  const gammas = Array.from({ length: kBanded.tried }, (_, g) => [...drawn.subarray(2 * g, 2 * g + 2)]);
  const part = gammas.slice(0, 16);
  const sizes = [384, 384];
  const options = {
    sizes,
    alphas,
    folds: 'contiguous:5',
    selection: 'fixed',
    standardize: 'center',
    precision: 'single',
    refine: 0,
  };
  const base = { op: 'banded', file, folds: 5, sizes, alphas, targets: kBanded.targets, gammas: part, check: false };
  const some = firstTargets(responses, 500);
  const mine = await encodeBanded(features, some, { ...options, gammas: part });
  const reference = await peer.ask({ ...base, targets: 500, backend: 'numpy', dtype: 'float64', check: true });
  checkEqual(kBandedName, 'errors', mine.error, reference.mse);
  // Choices, but for ties: weights next to each other whose errors differ by less than float32 holds.
  const [chosen, best] = [
    strengths(Array.from(mine.gamma, (gamma, i) => gamma / mine.alpha[i % 500])),
    strengths(reference.deltas.map(Math.exp)),
  ];
  const tied = (i) => Math.abs(mine.error[i % 500] / reference.mse[i % 500] - 1) < kTie;
  checkEqual(
    kBandedName,
    'alphas',
    chosen.map((value, i) => (tied(i) ? best[i] : value)),
    best,
  );
  const few = (kind) => peer.ask({ ...base, ...kind, gammas: part.slice(0, 3) });
  const peers = (
    await fastest(
      kBackends.map((backend) => ({ backend })),
      few,
      1,
    )
  ).map((kind) => ({
    name: `himalaya MultipleKernelRidgeCV, ${kind.backend} float32 (16 iterations, multiplied)`,
    run: async () => (kBanded.tried / part.length) * (await peer.ask({ ...base, ...kind })).seconds,
  }));
  const ours = () => secondsOf(() => encodeBanded(features, responses, { ...options, gammas }));
  const limit =
    'of 1,000 pairs of weighting and alpha about 210 are computed: a triangle set up in float64 and a product with it each';
  const result = await timed({ name: kBandedName, goal: 3, ours, peers, rounds: 1, limit }, bench);
  for (const tensor of [features, layered, responses, some]) tensor.dispose();
  return result;
}

const kMatch = '2v2 over all pairs, n 627, p 768';

/** Both rivals: a double loop over every tenth row's pairs, multiplied, and a matrix of correlations. */
async function* matchCases(peer, bench) {
  const { features, responses } = makeData({ n: 627, p: 768, targets: 768 });
  const predicted = Tensor.from(features.toArray(), [1, 627, 768]);
  const file = await writeData(bench.folder, {
    predicted: Tensor.from(features.toArray(), [627, 768]),
    actual: responses,
  });
  const work = () =>
    runJob(() =>
      native().matchRows({
        predicted: predicted.handle,
        actual: responses.handle,
        metric: 'correlation',
        groups: new Int32Array(),
        orders: new Int32Array(),
      }),
    );
  const { wins, pairs } = await work();
  const { accuracy } = await peer.ask({ op: 'match', how: 'matrix', file, check: true });
  checkEqual(kMatch, 'accuracy', [wins[0] / pairs[0]], accuracy);
  for (const [how, step, goal, label] of [
    ['loop', 10, 50, 'numpy, a double loop over a tenth of the rows, multiplied'],
    ['matrix', 1, 3, 'numpy, one matrix of correlations'],
  ]) {
    const ask = async () => {
      const { seconds, pairs: done } = await peer.ask({ op: 'match', how, step, file, check: false });
      return (seconds * pairs[0]) / done;
    };
    const spec = {
      name: `${kMatch}, against ${how === 'loop' ? 'a loop' : 'a matrix'}`,
      goal,
      ours: () => secondsOf(work),
      peers: [{ name: label, run: ask }],
    };
    yield await timed(spec, bench);
  }
  for (const tensor of [features, responses, predicted]) tensor.dispose();
}

const kMemory = 'memory at t 200,000 (n 600, p 768, 5 folds, 10 alphas), streamed from a .npy file';

/** A process of its own encodes 200,000 and 100,000 targets of one file; the most memory it ever held, and time against half the targets. */
async function* memoryCases(bench) {
  const script = fileURLToPath(new URL('../ridge/memory.mjs', import.meta.url));
  const measure = (targets) =>
    JSON.parse(
      execFileSync(process.execPath, [script, bench.folder, String(targets), String(bench.threads)], {
        encoding: 'utf8',
      }),
    );
  const [half, whole] = [measure(100_000), measure(200_000)];
  const allowed = 2 * 1024 ** 3;
  yield caseOf({
    name: kMemory,
    goal: 1,
    unit: 'bytes',
    ours: whole.bytes,
    peer: allowed,
    peerName: '2 GiB allowed',
    ratios: [allowed / whole.bytes],
  });
  yield caseOf({
    name: `${kMemory}: time against twice that of half the targets`,
    goal: 0.9,
    ours: whole.seconds,
    peer: 2 * half.seconds,
    peerName: 'twice half the targets',
    ratios: [(2 * half.seconds) / whole.seconds],
  });
}

export async function* run(bench) {
  const peer = bench.peer('ridge.py');
  for (const spec of kFixed) {
    const name = `n ${grouped(spec.n)}, p ${grouped(spec.p)}, t ${grouped(spec.targets)}, ${spec.folds} folds, ${spec.alphas} alphas`;
    if (bench.wants(name)) yield await fixedCase(spec, name, peer, bench);
  }
  for (const spec of kNested) if (bench.wants(spec.name)) yield await nestedCase(spec, peer, bench);
  if (bench.wants(kPermute)) yield await permuteCase(peer, bench);
  if (bench.wants(kMatch)) yield* matchCases(peer, bench);
  if (bench.wants(kBandedName)) yield await bandedCase(peer, bench);
  if (bench.wants(kMemory)) yield* memoryCases(bench);
}
