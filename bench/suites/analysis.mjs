/**
 * Matching and permutation tests against numpy: 2v2 over all pairs, as a plain double loop and as a vectorised product, and 1,000 block permutations
 * of 20,000 targets against a loop over permutations. Counts, scores and p-values must be equal before times are compared. Its cases are
 * generators, so that another suite can take them in: `yield* pairs(bench, peer)`.
 */
import { join } from 'node:path';
import { surrogateOrders } from '../../dist/analysis/surrogates.js';
import { makeFolds, matchRows, permutationTest, Tensor } from '../../dist/index.js';
import { runJob } from '../../dist/native/jobs.js';
import { native } from '../../dist/native/load.js';
import { Random } from '../../dist/random.js';
import { caseOf, compare, median, secondsOf } from '../harness/rounds.mjs';

const kPairs = { n: 627, p: 768 };
const kPermuted = { n: 600, targets: 20_000, folds: 5, block: 10, permutations: 1000 };
/** Rows of the plain double loop that are measured, of all pairs of one row with the later ones; permutations of the rival's loop. */
const kLoopRows = 60;
const kLoopPermutations = 10;

const kTitles = {
  loop: '2v2 over all pairs, n 627, p 768, against a plain numpy double loop',
  vectorised: '2v2 over all pairs, n 627, p 768, against vectorised numpy',
  permuted: '1,000 block permutations of held-out scores, n 600, t 20,000, against a numpy loop',
};

async function write(file, tensors) {
  const names = Object.keys(tensors);
  const handles = names.map((name) => tensors[name].handle);
  await runJob(() => native().writeSafetensors({ path: file, names, tensors: handles, metadata: {} }));
}

function noise(random, count) {
  return Float32Array.from({ length: count }, () => random.normal());
}

export async function* pairs(bench, peer) {
  if (![kTitles.loop, kTitles.vectorised].some((title) => bench.wants(title))) return;
  const random = new Random(1);
  const { n, p } = kPairs;
  const truth = noise(random, n * p);
  const actual = Tensor.from(truth, [n, p]);
  const predicted = Tensor.from(
    truth.map((value) => 0.05 * value + random.normal()),
    [n, p],
  );
  const file = join(bench.folder, 'pairs.safetensors');
  await write(file, { predicted, actual });
  await peer.ask({ op: 'load', file });
  const [{ twoVsTwo, pairs: count }] = await matchRows(predicted, actual);
  const ours = () => secondsOf(() => matchRows(predicted, actual));
  const kinds = ['float64', 'float32'];
  for (const dtype of kinds) {
    const { wins } = await peer.ask({ op: 'vectorised', dtype });
    if (dtype === 'float64' && wins !== Math.round(twoVsTwo * count))
      throw new Error(`2v2: Expected the rival's ${wins} pairs, got ${twoVsTwo * count}.`);
  }
  if (bench.wants(kTitles.vectorised))
    yield compare(
      {
        name: kTitles.vectorised,
        goal: 3,
        ours,
        peers: kinds.map((dtype) => ({
          name: `numpy, one product in ${dtype}`,
          run: async () => (await peer.ask({ op: 'vectorised', dtype })).seconds,
        })),
        limit:
          'The product in float32 is the same on both sides. Around it ours normalises in float64, counts ranks as well and decides near ties again, in several short parallel pieces.',
      },
      bench.rounds,
    );
  if (bench.wants(kTitles.loop)) {
    const measured = Array.from({ length: kLoopRows }, (_, i) => n - 1 - i).reduce((sum, more) => sum + more, 0);
    const share = measured / ((n * (n - 1)) / 2);
    yield compare(
      {
        name: kTitles.loop,
        goal: 50,
        ours,
        peers: [
          {
            name: `numpy double loop, four dot products a pair (${Math.round(100 * share)} % of the pairs measured)`,
            run: async () => (await peer.ask({ op: 'loop', rows: kLoopRows })).seconds / share,
          },
        ],
      },
      bench.rounds,
    );
  }
  predicted.dispose();
  actual.dispose();
}

export async function* permutations(bench, peer) {
  if (!bench.wants(kTitles.permuted)) return;
  const { n, targets, folds: count, block, permutations: P } = kPermuted;
  const random = new Random(2);
  const signal = noise(random, n * targets);
  const predictions = Tensor.from(signal, [n, targets]);
  const responses = Tensor.from(
    signal.map((value) => 0.05 * value + random.normal()),
    [n, targets],
  );
  const folds = makeFolds({ rows: n, count, inner: 0 });
  const file = join(bench.folder, 'permuted.safetensors');
  await write(file, { predictions, responses });
  const sizes = folds.map(({ test }) => test.length);
  const orders = [...surrogateOrders({ kind: 'block', length: block }, sizes, kLoopPermutations, 0)];
  const request = { op: 'permuted', file, orders, sizes };
  const theirs = await peer.ask(request);
  const few = await permutationTest(predictions, responses, folds, { permutations: kLoopPermutations });
  const apart = Math.max(...theirs.r.map((r, i) => Math.abs(r - few.r[i])));
  const wrong = theirs.exceed.filter(
    (exceed, i) => exceed !== Math.round(few.p[i] * (kLoopPermutations + 1)) - 1,
  ).length;
  // float32 on the rival's side: 1e-5 in r, and now and then another count.
  if (!(apart < 1e-5) || wrong > targets / 1000)
    throw new Error(`Permutations: Expected the rival's scores, got ${apart} apart and ${wrong} other counts.`);
  const [mine, others] = [[], []];
  for (let round = 0; round <= bench.rounds; round++) {
    const seconds = await secondsOf(() => permutationTest(predictions, responses, folds, { permutations: P }));
    const rival = ((await peer.ask(request)).seconds * P) / kLoopPermutations;
    if (round > 0) [mine.push(seconds), others.push(rival)];
  }
  yield caseOf({
    name: kTitles.permuted,
    goal: 5,
    ours: median(mine),
    peer: median(others),
    peerName: `numpy loop over permutations, float32 (${kLoopPermutations} measured)`,
    ratios: others.map((seconds, i) => seconds / mine[i]),
  });
  predictions.dispose();
  responses.dispose();
}

export async function* run(bench) {
  const peer = bench.peer('analysis.py');
  yield* pairs(bench, peer);
  yield* permutations(bench, peer);
}
