/** Our side of the tune suite: one call of `tune` for K lanes, timed from its first step to its last. */
import { loadAdapter, tune } from '../../dist/index.js';
import { drawOrder } from '../../dist/tune/batches.js';
import { packSequences, prepareExamples } from '../../dist/tune/examples.js';

/** Sentences in batches of 8, or 2 blocks of 256 tokens. */
export const kData = {
  sentences: { packing: 'texts', batch: 8, block: 256 },
  blocks: { packing: 'blocks', batch: 2, block: 256 },
};

/** The token ids of each step's sequences, as `tune` draws them: what the rival is given. [steps][batch][T] */
export function batchesOf(model, texts, data, steps) {
  const { packing, batch, block } = kData[data];
  const how = { objective: 'causal', packing, block, classes: [], noun: 'text' };
  const { ids, lengths } = packSequences(prepareExamples(model, texts, how));
  let at = 0;
  const sequences = Array.from(lengths, (length) => {
    at += length;
    return [...ids.subarray(at - length, at)];
  });
  const order = drawOrder(lengths.length, steps, batch, 0);
  return Array.from({ length: steps }, (_, step) =>
    [...order.subarray(step * batch, (step + 1) * batch)].filter((n) => n >= 0).map((n) => sequences[n]),
  );
}

/** Options of `tune` for K lanes that all start from the rival's fresh adapter (from the weights, where there is none). */
function optionsOf({ data, steps, lr, lanes, from, precision }) {
  const start = from ? { from } : { method: 'full' };
  const precise = precision === 'fp32' ? {} : { precision };
  return { ...start, ...precise, ...kData[data], lr: Array(lanes).fill(lr), steps, schedule: 'constant', clip: 1 };
}

/** Losses [lanes][steps] of `steps` steps from the adapter in `adapter`. */
export async function ourLosses(model, texts, run) {
  const from = run.adapter ? await loadAdapter(model, run.adapter) : undefined;
  const { lanes, losses } = await tune(model, texts, optionsOf({ ...run, from }));
  lanes.dispose();
  from?.dispose();
  return losses;
}

/**
 * Seconds of the steps after the first of all lanes: what comes before is set-up, on the rival's side too. Lanes that take turns report the
 * steps of every turn.
 */
export async function ourSeconds(model, texts, run) {
  const seen = [];
  const onProgress = ({ done, total, stage }) => {
    if (stage === 'tuning') seen.push({ done, turns: total / run.steps, at: performance.now() });
  };
  const from = run.adapter ? await loadAdapter(model, run.adapter) : undefined;
  const { lanes } = await tune(model, texts, { ...optionsOf({ ...run, from }), onProgress });
  lanes.dispose();
  from?.dispose();
  const [first, last] = [seen[0], seen.at(-1)];
  // A report that came late stands for the one after it: count the steps between those that came.
  return ((last.at - first.at) / 1000) * ((last.turns * (run.steps - 1)) / (last.done - first.done));
}
