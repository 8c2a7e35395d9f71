/** Lanes of every method in one batch: one that diverges leaves, gradients add up over passes, blocks are computed again; each as if alone. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadModel, type Model } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import { nextTokens, packSequences } from '../../lib/tune/examples.js';
import { kMethods } from '../../lib/tune/methods.js';
import type { RunOptions } from '../../lib/tune/runs.js';
import { type TuneOptions, type TuneResult, tune } from '../../lib/tune/tune.js';
import { expectEachClose } from '../helpers/arrays.js';
import { tinyModel } from '../helpers/tiny-models.js';

// The project's bound for packed against solo.
const kTolerance = 1e-4;
const kTexts = ['the rabbit ran over a small hill', 'rain fell on the river', 'it was only the wind', 'a door opened'];
const kHeld = ['somebody laughed'];
// `vpt` is for models of images: test/parity/vision.
const kStacking = kMethods.filter(({ name, stackable }) => stackable && name !== 'vpt').map(({ name }) => name);
const kTokens = { virtualTokens: 4 };
const kOptions: Record<string, RunOptions['options']> = {
  adalora: { tinit: 1, tfinal: 1, deltaT: 1 },
  prompt: kTokens,
  prefix: kTokens,
  'p-tuning': kTokens,
};
// Of runs that only differ in their rates, neighbours share a method.
const kRuns: RunOptions[] = kStacking.flatMap((method) => {
  const options = kOptions[method];
  const run = (lr: number): RunOptions => ({ method, lr, seed: 3, ...(options && { options }) });
  return method === 'lora' ? [run(1e-3), run(1e30), run(3e-3)] : [run(1e-3)];
});
const kWild = kRuns.findIndex(({ lr }) => lr === 1e30);

let model: Model;
const open: { dispose(): void }[] = [];
beforeAll(async () => {
  model = await loadModel(tinyModel('gpt2')); // has biases for bitfit
  open.push(model);
});
afterAll(() => {
  for (const thing of open) thing.dispose();
});

const runs = kRuns.map((each) => ({ ...each, schedule: 'constant' as const }));
async function together(more: TuneOptions = {}, which: readonly RunOptions[] = runs): Promise<TuneResult> {
  const result = await tune(model, kTexts, { steps: 6, batch: 4, ...more, runs: which });
  open.push(result.lanes);
  return result;
}

/** Losses of the lanes on a text, by the state they ended with; those that are lost left out. */
async function heldLosses(result: TuneResult): Promise<number[]> {
  const { ids } = model.tokenizer.encode(kHeld[0]!);
  const examples = packSequences([{ ids, labels: nextTokens(ids, 1) }]);
  const args = { model: model.handle, objective: 'causal' as const, ...examples, lanes: result.lanes.handle };
  return [...(await runJob(() => native().modelLoss(args)))].filter((_, k) => k !== kWild);
}

it('covers the methods that stack', () => expect(kStacking.length).toBeGreaterThan(5));

it('the others end as if the one that diverged had not been there', async () => {
  const all = await together({ validation: kHeld, evaluateEvery: 2 });
  expect(all.failed[kWild]).not.toBeNull();
  for (const [k, each] of runs.entries()) {
    if (k === kWild) continue;
    const solo = await together({ validation: kHeld, evaluateEvery: 2 }, [each]);
    expectEachClose(all.losses[k]!, solo.losses[0]!, kTolerance, each.method!);
    // Of the state that is put back in its place in the end, too.
    const last = (result: TuneResult, lane: number) => [result.validation[lane]!.at(-1)!.loss];
    expectEachClose(last(all, k), last(solo, 0), kTolerance, `${each.method}, held out`);
  }
});

it('lanes that take turns end as those that go side by side', async () => {
  const held = { validation: kHeld, evaluateEvery: 2, patience: 2 };
  const seen: number[] = [];
  const onProgress = ({ done, total }: { done: number; total: number }) => seen.push(done / total);
  const [all, turns] = [await together(held), await together({ ...held, together: 3, onProgress })];
  expect(turns.failed).toEqual(all.failed);
  expect(turns.stopped).toEqual(all.stopped);
  expect(turns.best).toEqual(all.best);
  const last = (result: TuneResult, k: number) => result.validation[k]!.map(({ loss }) => loss);
  for (const [k, { method }] of runs.entries()) {
    const updates = all.failed[k] ?? all.stopped[k]?.updates ?? all.losses[k]!.length;
    expectEachClose(turns.losses[k]!.slice(0, updates), all.losses[k]!.slice(0, updates), kTolerance, method!);
    expectEachClose(last(turns, k), last(all, k), kTolerance, `${method}, held out`);
  }
  const [states, expected] = await Promise.all([turns, all].map(heldLosses));
  expectEachClose(states!, expected!, kTolerance, 'the states in the end');
  expect(seen.at(-1)).toBe(1);
  expect(seen.every((share, i) => i === 0 || share >= seen[i - 1]!)).toBe(true);
});

it('blocks computed again give the same losses', async () => {
  const tame = runs.filter((_, k) => k !== kWild);
  const [plain, again] = [await together({}, tame), await together({ checkpointing: true }, tame)];
  for (const [k, { method }] of tame.entries()) expectEachClose(again.losses[k]!, plain.losses[k]!, 1e-6, method!);
});

it('gradients of two passes add up to those of one', async () => {
  const tame = runs.filter((_, k) => k !== kWild);
  const [once, twice] = [await together({}, tame), await together({ batch: 2, accumulate: 2 }, tame)];
  for (const [k, { method }] of tame.entries()) expectEachClose(twice.losses[k]!, once.losses[k]!, kTolerance, method!);
});
