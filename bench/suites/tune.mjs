/**
 * Tuning against transformers with peft: same float32 weights, same token batches, same method, equal threads. Before a case is timed its
 * losses must agree step by step, from the same adapter. K lanes are compared with K runs of peft one after the other, of which one is
 * timed and taken K times. Cases in fp32 meet peft in fp32, cases in bf16 the better of its fp32 and its bf16 autocast.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../dist/index.js';
import { methodOf } from '../../dist/tune/methods.js';
import { loraFlops } from '../harness/flops.mjs';
import { modelFolder } from '../harness/models.mjs';
import { noBf16 } from '../harness/precision.mjs';
import { caseOf, compare, median, unavailable } from '../harness/rounds.mjs';
import { sentences } from '../harness/texts.mjs';
import { batchesOf, ourLosses, ourSeconds } from '../tune/ours.mjs';

const [kSmol, kGpt2] = ['SmolLM2-135M', 'GPT-2-small shape'];
/** Methods by the rival's name for them: ours, its title, and the rate at which losses are compared. */
const kMethods = {
  'lora-all': { method: 'lora', title: 'LoRA r 8, all linears', lr: 1e-3 },
  'lora-qv': { method: 'lora', title: 'LoRA r 8, q and v', lr: 1e-3 },
  ia3: { method: 'ia3', title: 'IA3', lr: 1e-3 },
  prompt: { method: 'prompt', title: 'prompt tuning, 20 tokens', lr: 1e-3 },
  full: { method: 'full', title: 'full', lr: 1e-5 },
};

const spec = (model, method, lanes, data, precision, goal = 0) => ({ model, method, lanes, data, precision, goal });
const grid = (model, method, data, precision, goals) =>
  Object.entries(goals).map(([lanes, goal]) => spec(model, method, Number(lanes), data, precision, goal));

/** Rows of the table carry its goals; the others none (0). */
const kCases = [
  ...grid(kSmol, 'lora-all', 'sentences', 'fp32', { 1: 1.5, 4: 0, 16: 2.5 }),
  ...grid(kSmol, 'lora-qv', 'sentences', 'fp32', { 1: 0, 4: 0, 16: 2 }),
  ...grid(kSmol, 'ia3', 'sentences', 'fp32', { 1: 0, 4: 0, 16: 2.2 }),
  ...grid(kSmol, 'prompt', 'sentences', 'fp32', { 1: 0, 4: 0, 16: 3.5 }),
  ...grid(kSmol, 'full', 'sentences', 'fp32', { 1: 1.8 }),
  ...grid(kSmol, 'lora-all', 'blocks', 'fp32', { 1: 0, 16: 1.6 }),
  ...grid(kSmol, 'lora-qv', 'blocks', 'fp32', { 16: 0 }),
  ...grid(kSmol, 'full', 'blocks', 'fp32', { 1: 0 }),
  ...grid(kSmol, 'lora-all', 'sentences', 'bf16', { 1: 0, 4: 0, 16: 5 }),
  ...grid(kSmol, 'lora-qv', 'sentences', 'bf16', { 16: 0 }),
  ...grid(kSmol, 'ia3', 'sentences', 'bf16', { 16: 0 }),
  ...grid(kSmol, 'prompt', 'sentences', 'bf16', { 16: 0 }),
  ...grid(kSmol, 'full', 'sentences', 'bf16', { 1: 0 }),
  ...grid(kSmol, 'lora-all', 'blocks', 'bf16', { 16: 2.3 }),
  ...['lora-all', 'lora-qv', 'ia3', 'prompt'].flatMap((method) =>
    grid(kGpt2, method, 'sentences', 'fp32', { 1: 0, 4: 0, 16: 0 }),
  ),
  ...grid(kGpt2, 'full', 'sentences', 'fp32', { 1: 0 }),
  ...grid(kGpt2, 'lora-all', 'blocks', 'fp32', { 16: 0 }),
  ...grid(kGpt2, 'lora-all', 'sentences', 'bf16', { 16: 0 }),
];

const kDataTitles = { sentences: '8 sentences', blocks: '2 blocks of 256' };
const nameOf = ({ model, method, lanes, data, precision }) =>
  `${model}, ${kMethods[method].title}, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}, ${kDataTitles[data]}, ${precision}`;

/** Losses may differ by this much: float32 over some 100 products of 500 to 50,000 terms; bf16 keeps 8 bits. */
const kTolerance = { fp32: 1e-3, bf16: 2e-2 };
const kCheckSteps = 3;
/** Timed steps of one call, and the same for the rival: few where they are long, for rounds say more than steps. */
const stepsOf = ({ data, lanes }) => (data === 'sentences' && lanes < 16 ? 3 : 1);

/** One model with one method: ours loaded, and the rival's, both at the same fresh adapter. */
class Match {
  constructor(bench, modelName, method) {
    Object.assign(this, { bench, modelName, method });
  }

  async start() {
    const { bench, modelName, method } = this;
    this.folder = await modelFolder(modelName);
    this.adapter = method === 'full' ? undefined : join(bench.folder, `adapter-${modelName}-${method}`);
    this.model = await loadModel(this.folder);
    this.texts = await sentences(200);
    this.peer = bench.peer('tune.py');
    await this.restart();
  }

  restart() {
    return this.peer.ask({ op: 'start', folder: this.folder, method: this.method, adapter: this.adapter, seed: 0 });
  }

  async checkLosses({ data, lanes, precision }) {
    const { lr } = kMethods[this.method];
    const batches = batchesOf(this.model, this.texts, data, kCheckSteps);
    await this.restart();
    const { losses } = await this.peer.ask({ op: 'losses', batches, lr, precision: 'fp32' });
    const run = { data, steps: kCheckSteps, lr, lanes: Math.min(lanes, 2), adapter: this.adapter, precision };
    for (const lane of await ourLosses(this.model, this.texts, run))
      for (const [step, loss] of lane.entries())
        if (!(Math.abs(loss / losses[step] - 1) < kTolerance[precision]))
          throw new Error(`Expected losses as peft's, ${losses.join(', ')}, got ${lane.join(', ')}.`);
  }

  /** Seconds of the timed steps of K lanes together. */
  ours({ data, lanes, precision, steps = stepsOf({ data, lanes }) }) {
    const run = { data, steps: steps + 1, lr: 1e-4, lanes, adapter: this.adapter, precision };
    return ourSeconds(this.model, this.texts, run);
  }

  /** Seconds of the same steps of one run of the rival. */
  async theirs({ data, lanes, precision }) {
    const batches = batchesOf(this.model, this.texts, data, stepsOf({ data, lanes }) + 1);
    return (await this.peer.ask({ op: 'train', batches, lr: 1e-4, precision })).seconds;
  }

  async time(run) {
    const { lanes, precision, goal } = run;
    const times = lanes === 1 ? '' : `, one run taken ${lanes} times`;
    const peers = (precision === 'fp32' ? ['fp32'] : ['fp32', 'bf16 autocast']).map((kind) => ({
      name: `peft ${kind}${times}`,
      run: async () => lanes * (await this.theirs({ ...run, precision: kind.split(' ')[0] })),
    }));
    return compare({ name: nameOf(run), goal, ours: () => this.ours(run), peers, warm: true }, this.bench.rounds);
  }

  stop() {
    this.peer.stop();
    this.model.dispose();
  }
}

/** Why our engine cannot run a case, or undefined. */
function missing({ method, precision }) {
  try {
    methodOf(kMethods[method].method);
  } catch (error) {
    return error.message;
  }
  return precision === 'bf16' ? noBf16 : undefined;
}

async function* timings(bench) {
  let match;
  try {
    for (const run of kCases) {
      const name = nameOf(run);
      if (!bench.wants(name)) continue;
      const reason = missing(run);
      if (reason) {
        yield unavailable(name, run.goal, reason);
        continue;
      }
      if (match?.modelName !== run.model || match.method !== run.method) {
        match?.stop();
        match = new Match(bench, run.model, run.method);
        await match.start();
      }
      await match.checkLosses(run);
      yield await match.time(run);
    }
  } finally {
    match?.stop();
  }
}

/** Useful FLOP/s of the 16-lane LoRA step against the sgemm peak, both measured in the same round. */
async function* throughput(bench) {
  const name = `useful FLOP/s, ${kSmol}, LoRA r 8, all linears, 16 lanes, 8 sentences, fp32, share of the sgemm peak`;
  if (!bench.wants(name)) return;
  const match = new Match(bench, kSmol, 'lora-all');
  await match.start();
  const peak = bench.peer('peak.py');
  const batches = batchesOf(match.model, match.texts, 'sentences', 2).slice(1);
  const flops = batches.reduce((sum, batch) => sum + loraFlops(match.model, batch, 16, 8), 0);
  const [rates, peaks] = [[], []];
  for (let round = 0; round < bench.rounds; round++) {
    peaks.push((await peak.ask({ op: 'peak', seconds: 0.2 })).sgemm);
    rates.push(flops / (await match.ours({ data: 'sentences', lanes: 16, precision: 'fp32', steps: 1 })));
  }
  const ratios = rates.map((rate, i) => rate / peaks[i]);
  yield caseOf({
    name,
    goal: 0.75,
    unit: 'FLOP/s',
    ours: median(rates),
    peer: median(peaks),
    peerName: 'sgemm peak',
    ratios,
  });
  match.stop();
  peak.stop();
}

/** K lanes against K calls of one lane, both ours: 1 is linear cost. */
async function* scaling(bench) {
  const counts = [2, 4, 8, 16, 32, 64];
  const title = (lanes) => `cost against K: ${kSmol}, LoRA r 8, all linears, ${lanes} lanes, 8 sentences, fp32`;
  if (!counts.some((lanes) => bench.wants(title(lanes)))) return;
  const match = new Match(bench, kSmol, 'lora-all');
  await match.start();
  const seconds = (lanes, steps) => match.ours({ data: 'sentences', lanes, precision: 'fp32', steps });
  for (const lanes of counts.filter((count) => bench.wants(title(count)))) {
    const steps = stepsOf({ data: 'sentences', lanes });
    const peers = [{ name: `${lanes} times one lane of ours`, run: async () => lanes * (await seconds(1, steps)) }];
    const spec = { name: title(lanes), goal: 1, ours: () => seconds(lanes, steps), peers, warm: true };
    yield await compare(spec, Math.min(bench.rounds, 2));
  }
  match.stop();
}

/** The most memory a process of ours, and one of the rival, ever held. */
async function* memory(bench) {
  // At most 1.5 times (K = 16) and 0.8 times (K = 1) of one peft run: the ratio is theirs over ours.
  for (const [lanes, goal] of [
    [16, 1 / 1.5],
    [1, 1 / 0.8],
  ]) {
    const name = `peak memory, ${kSmol}, LoRA r 8, all linears, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}, 8 sentences, fp32`;
    if (!bench.wants(name)) continue;
    const match = new Match(bench, kSmol, 'lora-all');
    await match.start();
    const { folder, texts, model, peer, adapter } = match;
    const batches = batchesOf(model, texts, 'sentences', 4);
    await peer.ask({ op: 'train', batches, lr: 1e-4, precision: 'fp32' });
    const { bytes } = await peer.ask({ op: 'peak' });
    const run = { data: 'sentences', steps: 4, lr: 1e-4, lanes, adapter, precision: 'fp32' };
    const script = fileURLToPath(new URL('../tune/memory.mjs', import.meta.url));
    const child = spawnSync(process.execPath, [script, JSON.stringify({ folder, texts, threads: bench.threads, run })]);
    if (child.status !== 0) throw new Error(`The process that measures memory failed: ${child.stderr}`);
    const ours = Number(child.stdout);
    const figures = { unit: 'bytes', ours, peer: bytes, peerName: 'one peft run', ratios: [bytes / ours] };
    yield caseOf({ name, goal: Number(goal.toFixed(3)), ...figures });
    match.stop();
  }
}

/** Losses in bf16 may leave those in fp32 by this share, at every one of so many steps. */
const [kMayLeave, kLongRun] = [0.02, 200];

/** The same run in both precisions: how far the losses are apart where they are farthest. */
async function* precision(bench) {
  const name = `bf16 against fp32: ${kSmol}, LoRA r 8, all linears, 8 sentences, largest difference of a loss in ${kLongRun} steps at the default rate`;
  if (!bench.wants(name)) return;
  if (noBf16) {
    yield unavailable(name, 1, noBf16);
    return;
  }
  const match = new Match(bench, kSmol, 'lora-all');
  await match.start();
  const { model, texts, adapter } = match;
  const run = { data: 'sentences', steps: kLongRun, lr: methodOf('lora').lr, lanes: 1, adapter };
  const [full] = await ourLosses(model, texts, { ...run, precision: 'fp32' });
  const [half] = await ourLosses(model, texts, { ...run, precision: 'bf16' });
  const apart = half.map((loss, step) => Math.abs(loss / full[step] - 1));
  bench.note(
    `Mean difference ${((100 * apart.reduce((a, b) => a + b, 0)) / apart.length).toFixed(2)} %, last loss ${full.at(-1).toFixed(2)}`,
  );
  const figures = { unit: 'share of the loss', ours: Math.max(...apart), peer: kMayLeave, peerName: '2 % allowed' };
  yield caseOf({ name, goal: 1, ...figures, ratios: [kMayLeave / Math.max(...apart)] });
  match.stop();
}

export async function* run(bench) {
  yield* timings(bench);
  yield* throughput(bench);
  yield* scaling(bench);
  yield* memory(bench);
  yield* precision(bench);
}
