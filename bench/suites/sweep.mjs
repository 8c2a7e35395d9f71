/**
 * A whole study, `cortune run` from its start to its end, against a loop over peft, transformers and himalaya in one process: 64 runs (4 methods x 4
 * learning rates x 4 seeds) of SmolLM2-135M on the words of Alice and the recordings. The rival runs one of each method and is taken as often as the study has
 * them. Both must agree before: scores of the model as it is, losses and scores of a tuned run from the same adapter.
 * Then stores of 10,000 runs, and what a command takes to start. `--quick`: 4 runs of 2 steps and 200 runs, to see that it works.
 */
import { join } from 'node:path';
import { loadModel } from '../../dist/index.js';
import { prepareStudy } from '../../dist/study/run.js';
import { Store } from '../../dist/study/store.js';
import { modelFolder } from '../harness/models.mjs';
import { caseOf, median, secondsOf, unavailable } from '../harness/rounds.mjs';
import { secondsOfCommand, secondsOfRun } from '../sweep/command.mjs';
import { extrapolate, largestDifference, overheadOf, sampleOf, stagesOf } from '../sweep/figures.mjs';
import { writeAdapter, writePlan } from '../sweep/plan.mjs';
import { makeStore } from '../sweep/store.mjs';
import { writeStudies } from '../sweep/study.mjs';

const kModel = 'SmolLM2-135M';
/** Largest difference of a mean r over folds: float32 states through 30 layers, alphas from a coarse grid. */
const kUntuned = 1e-3;
/** Of tuned runs: an alpha may be another where two are as good, which moves one region of one layer. In the mean they agree better. */
const kTuned = 2e-2;
/** Of losses in nats, after a few updates in another order of sums. */
const kLoss = 2e-3;
const kStoreRuns = 10_000;

const titles = (quick) => {
  const what = quick ? '4 runs (4 methods), quick' : '64 runs (4 methods x 4 rates x 4 seeds)';
  return {
    sweep: `${what}, ${kModel}, Alice, fp32: tuned, embedded, encoded, stored, reported`,
    overhead: `time outside of tuning, embedding and encoding, ${what}`,
    apart: `largest difference of a mean r of a layer and region from the rival's, runs measured, ${what}`,
    help: 'start-up: cortune --help',
    doctor: 'start-up: cortune doctor',
  };
};

/** A case of what may be used; `allowed` as said in words. */
const within = ({ name, used, limit, allowed, unit = 's' }) =>
  caseOf({
    ...{ name, goal: 1, ours: median(used), peer: limit, peerName: `${allowed} allowed`, unit },
    ratios: used.map((value) => limit / value),
  });

async function timed(rounds, args) {
  const taken = [];
  // The first reads files from the disk.
  for (let round = 0; round <= rounds; round++) taken.push(await secondsOfCommand(args));
  return taken.slice(1);
}

async function* startUp(bench, name) {
  if (bench.wants(name.help)) {
    const used = await timed(bench.rounds, ['--help']);
    yield within({ name: name.help, used, limit: 0.15, allowed: '150 ms' });
  }
  if (bench.wants(name.doctor)) {
    const used = await timed(bench.rounds, ['doctor']);
    yield within({ name: name.doctor, used, limit: 1.5, allowed: '1.5 s' });
  }
}

async function* largeStore(bench) {
  const count = bench.quick ? 200 : kStoreRuns;
  const of = `a store of ${count.toLocaleString('en')} runs`;
  const cases = [
    { name: `${of}: cortune status`, args: (folder) => ['status', folder], limit: 1, allowed: '1 s' },
    {
      name: `${of}: cortune query, tables up to date`,
      args: (folder) => ['query', folder, 'select method, max(best_r) from runs group by method'],
      ...{ limit: 1, allowed: '1 s' },
    },
    { name: `${of}: cortune report`, args: (folder) => ['report', folder], limit: 30, allowed: '30 s', once: true },
  ].filter(({ name }) => bench.wants(name));
  if (cases.length === 0) return;
  bench.note(`Writing ${of}`);
  const folder = join(bench.folder, 'store');
  await makeStore(folder, count);
  for (const { name, args, limit, allowed, once } of cases) {
    const used = once ? [await secondsOfCommand(args(folder))] : await timed(bench.rounds, args(folder));
    yield within({ name, used, limit, allowed });
  }
}

/** Throws where two sides that should agree do not. */
function agree(what, difference, tolerance) {
  if (!(difference <= tolerance))
    throw new Error(`${what}: Expected both sides within ${tolerance}, got ${difference}.`);
}

/** The rival's answer to one run of a study, from the adapter that ours begins with. */
async function peerRun(bench, { model, peer, prepared }, run) {
  const [adapter, out] = ['adapter', 'peer'].map((kind) => join(bench.folder, `${kind}-${run.id}`));
  await writeAdapter(adapter, model, run);
  const { method, seed, lr } = run.labels;
  const order = prepared.study.seeds.indexOf(seed);
  return peer.ask({ op: 'run', method, adapter, order, lr, out });
}

/** How far losses and scores of a run lie apart. */
async function differences(bench, store, run, theirs) {
  const loss = largestDifference(await store.losses(run.id), theirs.losses);
  const r = largestDifference((await store.scores(run.id)).r, theirs.r);
  const title = `${run.labels.method} lr ${run.labels.lr} seed ${run.labels.seed}`;
  bench.note(`  ${title}: losses within ${loss.toExponential(1)}, r within ${r.toExponential(1)}`);
  return { loss, r };
}

/** Numbers first: the model as it is, and a run after two updates. */
async function check(bench, { model, peer, study }) {
  bench.note('Comparing numbers: the model as it is, and a tuned run');
  const out = join(bench.folder, 'check');
  const prepared = await prepareStudy(study);
  await secondsOfRun(bench, study, out, prepared.plan.runs.length);
  const store = await Store.open(out);
  await peer.ask({ op: 'load', plan: await writePlan(bench.folder, model, prepared) });
  const [untuned, tuned] = prepared.plan.runs;
  const { r, solver } = await peer.ask({ op: 'untuned' });
  const difference = largestDifference((await store.scores(untuned.id)).r, r);
  bench.note(`  untuned: r within ${difference.toExponential(1)}; himalaya is fastest with ${solver}`);
  agree('r of the untuned model', difference, kUntuned);
  const apart = await differences(bench, store, tuned, await peerRun(bench, { model, peer, prepared }, tuned));
  agree('Losses of a tuned run', apart.loss, kLoss);
  agree('r of a tuned run', apart.r, kTuned);
  return solver;
}

async function* sweep(bench, name) {
  if (!bench.wants(name.sweep) && !bench.wants(name.overhead)) return;
  const folder = await modelFolder(kModel);
  const studies = await writeStudies(bench.folder, folder, bench.quick ? 'quick' : 'whole');
  let prepared;
  try {
    prepared = await prepareStudy(studies.sweep);
  } catch (error) {
    if (error.code !== 'ERR_NOT_FOUND') throw error;
    yield unavailable(
      name.sweep,
      2.5,
      'The Alice recordings are not there: CORTUNE_DATA names the folder that holds alice/.',
    );
    return;
  }
  const { runs } = prepared.plan;
  const model = await loadModel(folder);
  const peer = bench.peer('sweep.py');
  const once = await secondsOf(() => peer.ask({ op: 'start', folder }));
  const solver = await check(bench, { model, peer, study: studies.check });

  bench.note(`Ours: cortune run, ${runs.length} runs`);
  const out = join(bench.folder, 'out');
  const ours = await secondsOfRun(bench, studies.sweep, out, runs.length);
  const store = await Store.open(out);
  const [{ batches }] = await store.studies();
  const mine = stagesOf(batches, await store.runs());

  await peer.ask({ op: 'load', plan: await writePlan(bench.folder, model, prepared) });
  const chosen = sampleOf(runs);
  bench.note(`The rival: ${chosen.length} of ${runs.length} runs`);
  const [sample, apart] = [[], []];
  for (const run of chosen) {
    const theirs = await peerRun(bench, { model, peer, prepared }, run);
    apart.push((await differences(bench, store, run, theirs)).r);
    sample.push({ method: run.labels.method, seconds: theirs.seconds });
  }
  peer.stop();
  model.dispose();
  const methods = runs.map(({ labels }) => labels.method);
  const { seconds, stages } = extrapolate(methods, sample, once);
  const peerName = `a loop over peft, transformers and himalaya (${solver}), ${chosen.length} runs measured, multiplied`;
  const ratios = [seconds / ours];
  yield {
    ...caseOf({ name: name.sweep, goal: 2.5, ours, peer: seconds, peerName, ratios }),
    stages: { ours: mine, peer: stages },
  };
  // After as many updates as the study has, rounding has grown: said, not refused.
  yield within({ name: name.apart, used: [Math.max(...apart)], limit: kTuned, allowed: String(kTuned), unit: 'of r' });
  const used = [100 * overheadOf(ours, mine)];
  yield within({ name: name.overhead, used, limit: 3, allowed: '3 %', unit: '%' });
}

export async function* run(bench) {
  const name = titles(bench.quick);
  yield* startUp(bench, name);
  yield* largeStore(bench);
  yield* sweep(bench, name);
}
