/**
 * Writing against transformers' `generate`: SmolLM2-135M, eight prompts of different lengths at once, greedily and by beams; and eight adapters
 * at once against one after the other. Texts must be equal before times are compared.
 */
import { generate, generateLanes, loadModel, tune } from '../../dist/index.js';
import { modelFolder } from '../harness/models.mjs';
import { caseOf, compare, median, secondsOf } from '../harness/rounds.mjs';
import { sentences } from '../harness/texts.mjs';

const kModel = 'SmolLM2-135M';
const kPrompts = 8;
const kTokens = 48;
const kBeams = 4;
const kLanes = 8;
/** Texts that may part from the rival's, where two tokens are as likely to the last digits. */
const kParted = 1;

const kTitles = {
  greedy: `${kPrompts} prompts at once, ${kTokens} new tokens, greedy, ${kModel}, fp32, against transformers' generate`,
  beams: `${kPrompts} prompts at once, ${kTokens} new tokens, ${kBeams} beams, ${kModel}, fp32, against transformers' generate`,
  lanes: `${kPrompts} prompts, ${kTokens} new tokens, ${kLanes} LoRA adapters at once, ${kModel}, fp32, against one after the other`,
};

async function* againstTransformers(bench, model, prompts) {
  const wanted = ['greedy', 'beams'].filter((key) => bench.wants(kTitles[key]));
  if (wanted.length === 0) return;
  const peer = bench.peer('generate.py');
  await peer.ask({ op: 'start', folder: await modelFolder(kModel) });
  const ids = prompts.map((prompt) => [...model.tokenizer.encode(prompt).ids]);
  for (const key of wanted) {
    const beams = key === 'beams' ? kBeams : 1;
    const write = () => generate(model, prompts, { maxNewTokens: kTokens, ends: [], beams });
    const ask = () => peer.ask({ op: 'generate', prompts: ids, tokens: kTokens, beams });
    const [ours, theirs] = [await write(), (await ask()).texts];
    const parted = ours.filter(({ tokens }, i) => tokens.some((token, t) => token !== theirs[i][t])).length;
    if (parted > kParted) throw new Error(`${key}: Expected the texts of transformers, got ${parted} others.`);
    const peers = [{ name: 'generate, sdpa, left-padded batch, cache', run: async () => (await ask()).seconds }];
    yield compare({ name: kTitles[key], goal: 1, ours: () => secondsOf(write), peers }, bench.rounds);
  }
  peer.stop();
}

async function* manyLanes(bench, model, prompts) {
  if (!bench.wants(kTitles.lanes)) return;
  const rates = Array.from({ length: kLanes }, (_, k) => 1e-4 * (k + 1));
  const { lanes } = await tune(model, prompts, { lr: rates, rank: 8, steps: 1, batch: 4 });
  const { lanes: one } = await tune(model, prompts, { lr: rates[0], rank: 8, steps: 1, batch: 4 });
  const options = { maxNewTokens: kTokens, ends: [] };
  const [together, apart] = [[], []];
  for (let round = 0; round < bench.rounds; round++) {
    together.push(await secondsOf(() => generateLanes(model, prompts, { ...options, lanes })));
    apart.push(kLanes * (await secondsOf(() => generateLanes(model, prompts, { ...options, lanes: one }))));
  }
  const ratios = apart.map((seconds, i) => seconds / together[i]);
  const peerName = 'ours, one adapter (times their number)';
  yield caseOf({ name: kTitles.lanes, goal: 1, ours: median(together), peer: median(apart), peerName, ratios });
  lanes.dispose();
  one.dispose();
}

export async function* run(bench) {
  const model = await loadModel(await modelFolder(kModel));
  const all = await sentences(200);
  const prompts = Array.from({ length: kPrompts }, (_, i) => all[25 * i]);
  yield* againstTransformers(bench, model, prompts);
  yield* manyLanes(bench, model, prompts);
  model.dispose();
}
