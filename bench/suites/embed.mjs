/**
 * Embedding against transformers' AutoModel: SmolLM2-135M, all layers, the last token. 1,000 short sentences in the rival's best batches and
 * one at a time; a story of 2,000 words, word by word in context, against the way that reads every sentence, or every word, again with
 * all before it. States must be equal before times are compared.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planAlone, planCumulative } from '../../dist/embed/plan.js';
import { embed, loadModel } from '../../dist/index.js';
import { forwardFlops } from '../harness/flops.mjs';
import { modelFolder } from '../harness/models.mjs';
import { noBf16 } from '../harness/precision.mjs';
import { caseOf, median, secondsOf, unavailable } from '../harness/rounds.mjs';
import { sentences, storyWords } from '../harness/texts.mjs';

const kModel = 'SmolLM2-135M';
const kSentences = 1000;
/** Sentences of the comparison of states; twice as many for the choice of the rival's batch. */
const kSample = 100;
const kBatches = [10, 20, 40];
/** The sentences, sorted by length, are timed in so many parts on all sides in turn: what else the machine does then hits all alike. */
const kParts = 10;
const kWords = 2000;
const kWordsInSentence = 10;
/** Contexts of the growing way that are measured, evenly spread; all others are taken to cost their mean. */
const kContexts = 5;
/** ||difference|| / ||state|| of a vector: float32 through 30 layers of sums of 576 to 1536 terms. */
const kTolerance = 1e-4;

const kTitles = {
  batches: `1,000 sentences, all layers, ${kModel}, fp32, against the best length-sorted batches`,
  batches16: `1,000 sentences, all layers, ${kModel}, bf16, against the best length-sorted batches`,
  share: `useful FLOP/s of 1,000 sentences, all layers, ${kModel}, fp32, share of the sgemm peak`,
  single: `1,000 sentences, all layers, ${kModel}, fp32, against one sentence at a time`,
  bySentence: `2,000-word story word by word, ${kModel}, fp32, against every sentence with all before it`,
  byWord: `2,000-word story word by word, ${kModel}, fp32, against every word with all before it`,
};

/** Token ids of each sequence of a plan. */
function sequencesOf({ ids, lengths }) {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return [...ids.subarray(at - length, at)];
  });
}

/** The largest relative difference between vectors of two [L, n, C]; `rows` picks those of ours. */
function worstDifference(ours, [layers, n, width], theirs, rows) {
  let worst = 0;
  for (let layer = 0; layer < layers; layer++)
    for (const [i, row] of rows.entries()) {
      const [a, b] = [(layer * n + row) * width, (layer * rows.length + i) * width];
      let [difference, size] = [0, 0];
      for (let c = 0; c < width; c++) {
        difference += (ours[a + c] - theirs[b + c]) ** 2;
        size += theirs[b + c] ** 2;
      }
      worst = Math.max(worst, Math.sqrt(difference / size));
    }
  return worst;
}

function statesIn(file) {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

async function checkEqual(what, tensor, file, rows, tolerance = kTolerance) {
  const worst = worstDifference(tensor.toArray(), tensor.shape, statesIn(file), rows);
  tensor.dispose();
  if (!(worst < tolerance))
    throw new Error(`${what}: Expected transformers' states within ${tolerance}, got ${worst}.`);
}

/** Sentences: one loop serves both rivals, since our side is the same. */
async function* ofSentences(bench, model, peer) {
  const goals = [
    ['batches', 1.4],
    ['single', 8],
    ['share', 0],
    ['batches16', 2.5],
  ].filter(([key]) => bench.wants(kTitles[key]) && !(key === 'batches16' && noBf16));
  const wants = (key) => goals.some(([goal]) => goal === key);
  if (goals.length === 0) return;
  const texts = await sentences(kSentences);
  const sequences = sequencesOf(planAlone(texts, { tokenizer: model.tokenizer, window: model.config.maxPositions }));
  const sample = sequences.slice(0, kSample);
  const file = join(bench.folder, 'states.bin');
  const ask = (request) => peer.ask({ op: 'embed', precision: 'fp32', ...request });
  await ask({ sequences: sample, batch: 8, file });
  await checkEqual('Sentences', await embed(model, texts.slice(0, kSample)), file, [...sample.keys()]);
  const half = { precision: 'bf16' };
  if (wants('batches16')) {
    // As near to transformers' float32 states as its own bf16 ones are.
    const file16 = join(bench.folder, 'states16.bin');
    await ask({ sequences: sample, batch: 8, file: file16, ...half });
    const ours = await embed(model, texts.slice(0, kSample), half);
    const theirs = worstDifference(statesIn(file16), ours.shape.with(1, kSample), statesIn(file), [...sample.keys()]);
    await checkEqual('bf16', ours, file, [...sample.keys()], theirs);
  }

  const tries = [];
  for (const batch of kBatches) {
    const { seconds } = await ask({ sequences: sequences.slice(0, 2 * kSample), batch });
    tries.push({ batch, seconds });
  }
  const { batch } = tries.reduce((best, next) => (next.seconds < best.seconds ? next : best));
  const peaks = bench.peer('peak.py');
  const order = [...sequences.keys()].sort((a, b) => sequences[b].length - sequences[a].length);
  const size = kSentences / kParts;
  const parts = Array.from({ length: kParts }, (_, i) => order.slice(i * size, (i + 1) * size));
  const rounds = [];
  for (let round = 0; round < bench.rounds; round++) {
    const total = {};
    const add = (key, seconds) => {
      total[key] = (total[key] ?? 0) + seconds;
      return seconds;
    };
    for (const part of parts) {
      const some = part.map((i) => texts[i]);
      const ids = part.map((i) => sequences[i]);
      const seconds = async (options) => secondsOf(async () => (await embed(model, some, options)).dispose());
      add('ours', await seconds({}));
      const batched = add('batches', (await ask({ sequences: ids, batch })).seconds);
      if (wants('share'))
        add('share', forwardFlops(model, ids) / (await peaks.ask({ op: 'peak', seconds: 0.1 })).sgemm);
      // Every kParts-th, so that the sample is as long in the mean.
      const few = ids.filter((_, i) => i % kParts === 0);
      if (wants('single')) add('single', kParts * (await ask({ sequences: few, batch: 1 })).seconds);
      if (!wants('batches16')) continue;
      add('ours16', await seconds(half));
      // The rival's better precision counts.
      add('batches16', Math.min(batched, (await ask({ sequences: ids, batch, ...half })).seconds));
    }
    rounds.push(total);
  }
  peaks.stop();
  const rivals = {
    share: 'as fast as the sgemm peak',
    batches: `AutoModel fp32, batches of ${batch}`,
    batches16: `AutoModel, the better of fp32 and bf16 autocast, batches of ${batch}`,
    single: `AutoModel fp32, one at a time (a tenth measured)`,
  };
  for (const [key, goal] of goals) {
    const mine = rounds.map((taken) => (key === 'batches16' ? taken.ours16 : taken.ours));
    const theirs = rounds.map((taken) => taken[key]);
    const ratios = theirs.map((value, i) => value / mine[i]);
    const figures = { ours: median(mine), peer: median(theirs), peerName: rivals[key], ratios };
    yield caseOf({ name: kTitles[key], goal, ...figures });
  }
}

/** Token positions after each stimulus' last token, in the order of the story. */
const endsOf = ({ spans }) => Array.from({ length: spans.length / 2 }, (_, i) => spans[2 * i + 1]);

/** Evenly spread members, each in the middle of its part. */
function spread(list, count) {
  return Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * list.length) / count)).map((at) => list[at]);
}

async function* ofStory(bench, model, peer) {
  const goals = [
    ['bySentence', 20],
    ['byWord', 20],
  ].filter(([key]) => bench.wants(kTitles[key]));
  if (goals.length === 0) return;
  const words = await storyWords(kWords);
  const reach = { tokenizer: model.tokenizer, window: model.config.maxPositions };
  const plan = planCumulative(words, reach);
  if (plan.lengths.length > 1) throw new Error('Expected a model whose context holds the story.');
  const ids = [...plan.ids];
  const ends = endsOf(plan);
  const numbers = spread([...ends.keys()], kContexts);
  const file = join(bench.folder, 'states.bin');
  const ask = (more) => peer.ask({ op: 'grow', precision: 'fp32', ids, ends: numbers.map((n) => ends[n]), ...more });
  const ours = () => embed(model, words, { context: 'cumulative', pool: 'last' });
  await ask({ file });
  await checkEqual('Story', await ours(), file, numbers);

  const [mine, theirs] = [[], []];
  for (let round = 0; round < bench.rounds; round++) {
    mine.push(await secondsOf(async () => (await ours()).dispose()));
    const { seconds } = await ask({});
    theirs.push(seconds.reduce((sum, value) => sum + value, 0) / kContexts);
  }
  const passes = { bySentence: kWords / kWordsInSentence, byWord: kWords };
  for (const [key, goal] of goals) {
    const all = theirs.map((seconds) => seconds * passes[key]);
    const ratios = all.map((seconds, i) => seconds / mine[i]);
    const peerName = `AutoModel, ${passes[key]} growing contexts (${kContexts} measured)`;
    yield caseOf({ name: kTitles[key], goal, ours: median(mine), peer: median(all), peerName, ratios });
  }
}

export async function* run(bench) {
  const folder = await modelFolder(kModel);
  const model = await loadModel(folder);
  const peer = bench.peer('embed.py');
  await peer.ask({ op: 'start', folder });
  yield* ofSentences(bench, model, peer);
  yield* ofStory(bench, model, peer);
  if (noBf16 && bench.wants(kTitles.batches16)) yield unavailable(kTitles.batches16, 2.5, noBf16);
  model.dispose();
}
