/**
 * Every head of a model zeroed, one at a time, and items scored: all heads as lanes of one batch, against a forward pass of transformers for
 * each head. Items are test trials of the decision task: few of all wordings, and those that examples/decisions.yaml ablates in its full size.
 * Log probabilities of both choices and accuracies must be equal before times are compared. The rival's passes cost the same for every
 * head, so a few are measured, evenly spread, half of them before ours and half after, and multiplied.
 */

import { loadModel } from '../../dist/index.js';
import { ablate } from '../../dist/probe/ablate.js';
import { choiceScores, planItems, rightItems } from '../../dist/probe/items.js';
import { scoreVariants } from '../../dist/probe/variants.js';
import { decisions } from '../../dist/tasks/decisions.js';
import { ablationProducts } from '../harness/flops.mjs';
import { modelFolder } from '../harness/models.mjs';
import { caseOf, median, secondsOf } from '../harness/rounds.mjs';

const kModels = ['SmolLM2-135M', 'GPT-2-small shape'];
const kGoal = 5;
const kSets = [
  { what: '24 decision trials', items: decisions({ train: 1, test: 24, seed: 1 }).test },
  {
    what: '48 decision trials of one wording',
    // probe.where, tasks and sizes.full of examples/decisions.yaml
    items: decisions({ train: 3000, test: 400, seed: 1 }).test.filter(
      ({ variables }) => variables.template === 0 && variables.order === 'colour',
    ),
  },
];
/** Heads of the rival that are measured. */
const kHeads = 4;
const kBatches = [6, 12, 24, 48];
/** Of log probabilities, in nats: float32 through 30 layers of sums of 576 to 1536 terms. */
const kTolerance = 1e-3;
const titleOf = (what, name) => `every head zeroed, ${what}, ${name}, fp32`;
const sum = (values) => values.reduce((total, value) => total + value, 0);

async function* ofModel(bench, name, { what, items }) {
  const title = titleOf(what, name);
  if (!bench.wants(title)) return;
  const folder = await modelFolder(name);
  const model = await loadModel(folder);
  const peer = bench.peer('ablate.py');
  await peer.ask({ op: 'start', folder });
  const { layers, heads, headDim } = model.config;
  const plan = planItems(model, items);
  const sequences = plan.sequences.map((ids) => [...ids]);
  const tokens = [plan.scored[2], plan.scored[5]]; // of the first item: its completion, and the other choice
  const sample = Array.from({ length: kHeads }, (_, i) => Math.floor(((i + 0.5) * layers * heads) / kHeads));
  const chosen = sample.map((at) => [Math.floor(at / heads), at % heads]);
  const ask = (batch, some) => peer.ask({ op: 'ablate', sequences, tokens, width: headDim, heads: some, batch });

  // Equal first.
  const theirs = await ask(items.length, chosen);
  const edits = chosen.map(([layer, head]) => [{ point: 'heads', layer, head, to: 'zero' }]);
  const scores = await scoreVariants(model, { plan }, edits, {});
  for (let v = 0; v < chosen.length; v++) {
    const right = rightItems(plan, scores, v + 1);
    for (const [i, item] of items.entries()) {
      const own = choiceScores(plan, scores, v + 1, i);
      const [first, second] = theirs.logP[v][i];
      const same = item.completion === items[0].completion;
      const expected = same ? [first, second] : [second, first];
      const apart = Math.max(...own.map((value, c) => Math.abs(value - expected[c])));
      if (!(apart < kTolerance))
        throw new Error(
          `Expected transformers' log probabilities within ${kTolerance}, got ${apart} with head ${chosen[v]}.`,
        );
      if (right[i] !== (expected[0] > expected[1] ? 1 : 0) && Math.abs(expected[0] - expected[1]) > kTolerance)
        throw new Error(`Expected item ${i + 1} to be as right as in transformers with head ${chosen[v]}.`);
    }
  }

  const tries = [];
  for (const batch of kBatches.filter((size) => size <= items.length))
    tries.push({ batch, seconds: (await ask(batch, chosen.slice(0, 1))).seconds[0] });
  const { batch } = tries.reduce((best, next) => (next.seconds < best.seconds ? next : best));
  const [mine, others] = [[], []];
  for (let round = 0; round < bench.rounds; round++) {
    const passes = (await ask(batch, chosen.slice(0, kHeads / 2))).seconds;
    mine.push(await secondsOf(() => ablate(model, items)));
    passes.push(...(await ask(batch, chosen.slice(kHeads / 2))).seconds);
    others.push((sum(passes) / kHeads) * layers * heads);
  }
  const ratios = others.map((seconds, i) => seconds / mine[i]);
  const { whole, needed } = ablationProducts(model, sequences);
  yield caseOf({
    name: title,
    goal: kGoal,
    ours: median(mine),
    peer: median(others),
    peerName: `transformers, a pass for each of ${layers * heads} heads, batches of ${batch} (${kHeads} measured, multiplied)`,
    ratios,
    limit: `the products themselves, which run near the sgemm peak on both sides: the part of the model above each head, for every token that differs in what is before it, is ${(whole / needed).toFixed(1)} times less than whole passes over all tokens`,
  });
  peer.stop();
  model.dispose();
}

export async function* run(bench) {
  for (const name of kModels) for (const set of kSets) yield* ofModel(bench, name, set);
}
