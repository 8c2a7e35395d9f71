/** Lanes that leave a batch (early stopping, halving, divergence), accumulated gradients, blocks computed again: nothing changes for the others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import { nextTokens, packSequences } from '../../lib/tune/examples.js';
import { planRungs } from '../../lib/tune/halving.js';
import { type TuneOptions, type TuneResult, tune } from '../../lib/tune/tune.js';
import { expectEachClose } from '../helpers/arrays.js';
import { tinyModel } from '../helpers/tiny-models.js';

// The project's bound for packed against solo: the same sums in another order.
const kTolerance = 1e-4;
const kTexts = [
  'the rabbit ran over a small hill',
  'rain fell on the river',
  'nobody answered because the room was empty and cold',
  'it was only the wind',
  'a door opened and the lamp went out',
  'she asked whether anyone had seen it',
];
const kHeld = ['somebody laughed', 'the rabbit hid under the old bridge'];
const kRates = [1e-2, 3e-1, 3e-3, 1e-3];

let model: Model;
const open: { dispose(): void }[] = [];
beforeAll(async () => {
  model = await loadModel(tinyModel('llama'));
  open.push(model);
});
afterAll(() => {
  for (const thing of open) thing.dispose();
});

async function run(options: TuneOptions, texts: readonly string[] = kTexts): Promise<TuneResult> {
  const result = await tune(model, texts, { steps: 12, batch: 4, schedule: 'constant', clip: 0, ...options });
  open.push(result.lanes);
  return result;
}

/** Mean loss of each lane on the held-out texts. */
async function heldOut(result: TuneResult): Promise<Float64Array> {
  const sequences = kHeld.map((text) => {
    const { ids } = model.tokenizer.encode(text);
    return { ids, labels: nextTokens(ids, 1) };
  });
  const args = {
    model: model.handle,
    objective: 'causal' as const,
    ...packSequences(sequences),
    lanes: result.lanes.handle,
  };
  return runJob(() => native().modelLoss(args));
}

/** Losses of lane `k` up to where it left equal those of the same lane alone. */
async function expectAsAlone(packed: TuneResult, k: number, options: TuneOptions): Promise<void> {
  const solo = await run({ ...options, lr: [kRates[k]!] });
  const updates = packed.stopped[k]?.updates ?? packed.losses[k]!.length;
  expectEachClose(packed.losses[k]!.slice(0, updates), solo.losses[0]!.slice(0, updates), kTolerance, `lane ${k}`);
}

describe('early stopping', () => {
  const options = { validation: kHeld, evaluateEvery: 1, patience: 2 };

  it('ends a lane whose validation loss gets no better, with its best state; the others go on unchanged', async () => {
    const result = await run({ ...options, lr: kRates });
    expect(result.stopped[1]).toMatchObject({ by: 'patience' });
    expect(result.stopped[1]!.updates).toBeLessThan(12);
    expect(result.losses[1]!.slice(result.stopped[1]!.updates).every(Number.isNaN)).toBe(true);
    expect(result.stopped[3]).toBeNull();
    expect(result.lanes.count).toBe(4);
    const held = await heldOut(result);
    for (const [k, history] of result.validation.entries()) {
      const best = history.reduce((a, b) => (b.loss < a.loss ? b : a));
      expect(result.best[k]).toBe(best.updates);
      expectEachClose([held[k]!], [best.loss], 1e-5, `lane ${k}, best state`);
      await expectAsAlone(result, k, {});
    }
  });

  it('evaluates now and then, and after the last update', async () => {
    const result = await run({ lr: kRates.slice(2), validation: kHeld, evaluateEvery: 5 });
    for (const history of result.validation) expect(history.map(({ updates }) => updates)).toEqual([5, 10, 12]);
    const held = await heldOut(result);
    for (const k of [0, 1]) expectEachClose([held[k]!], [result.validation[k]![2]!.loss], 1e-5, `lane ${k}`);
    expect(result.best).toEqual([12, 12]);
  });

  it.each([
    [{ patience: 2 }, '`validation` to stop by'],
    [{ evaluateEvery: 2 }, '`validation` to evaluate'],
    [{ validation: kHeld, patience: 0 }, '`patience`'],
    [{ validation: kHeld, evaluateEvery: 0.5 }, '`evaluateEvery`'],
    [{ validation: [] }, 'validation text'],
    [{ validation: ['a rabbit', ' '] }, 'validation text to have words, got an empty one at number 2'],
  ] as [TuneOptions, string][])('refuses %o', async (part, says) => {
    await expect(run(part)).rejects.toThrow(says);
  });
});

describe('successive halving', () => {
  const rates = [1e-2, 8e-3, 3e-3, 1e-3, 6e-3, 3e-4, 1e-4, 5e-3, 3e-5];

  it('lets the best third go on after each rung, each as if alone', async () => {
    const result = await run({ lr: rates, halving: { factor: 3 }, steps: 9 });
    const left = result.stopped.map((stop) => stop?.updates ?? 9);
    expect([1, 3, 9].map((updates) => left.filter((at) => at === updates).length)).toEqual([6, 2, 1]);
    expect(result.stopped.every((stop) => stop === null || stop.by === 'halving')).toBe(true);
    // After rung 3 the best of those that were left by their mean loss since rung 1.
    const mean = (k: number) => (result.losses[k]![1]! + result.losses[k]![2]!) / 2;
    const second = left.flatMap((updates, k) => (updates >= 3 ? [k] : []));
    const best = second.reduce((a, b) => (mean(b) < mean(a) ? b : a));
    expect(left[best]).toBe(9);
    const solo = await run({ lr: [rates[best]!], steps: 9 });
    expectEachClose(result.losses[best]!, solo.losses[0]!, kTolerance, 'the winner');
    expect(result.lanes.count).toBe(9);
  });

  it('ranks by the validation loss where there is one, and never keeps a lane that diverged', async () => {
    const result = await run({
      lr: [1e30, ...kRates.slice(0, 3)],
      halving: { factor: 2, rungs: [4] },
      validation: kHeld,
      steps: 8,
    });
    expect(result.failed[0]).not.toBeNull();
    expect(result.stopped.filter((stop) => stop !== null)).toHaveLength(1);
    const at = (k: number) => result.validation[k]!.find(({ updates }) => updates === 4)!.loss;
    const worst = [1, 2, 3].reduce((a, b) => (at(b) > at(a) ? b : a));
    expect(result.stopped[worst]).toEqual({ updates: 4, by: 'halving' });
  });

  it('plans rungs', () => {
    const plan = (halving: Parameters<typeof planRungs>[0], steps: number, lanes: number) => {
      const { rungs, keep } = planRungs(halving, steps, lanes);
      return [[...rungs], [...keep]];
    };
    expect(plan({}, 90, 16)).toEqual([
      [10, 30],
      [5, 1],
    ]);
    expect(plan({ factor: 2, rungs: 1 }, 100, 5)).toEqual([[50], [2]]);
    expect(plan({ rungs: [5, 20] }, 40, 4)).toEqual([
      [5, 20],
      [1, 1],
    ]);
    expect(plan({}, 50, 1)).toEqual([[], []]);
    for (const wrong of [
      { factor: 1 },
      { factor: 2.5 },
      { rungs: [5, 5] },
      { rungs: [50] },
      { rungs: [0] },
      { rungs: -1 },
    ])
      expect(() => planRungs(wrong, 50, 4)).toThrow('halving');
  });
});

it('a lane that overflows leaves; its state stays as it was, the others go on as if alone', async () => {
  const result = await run({ lr: [kRates[0]!, 1e30, kRates[2]!] });
  expect(result.failed.map((step) => step !== null)).toEqual([false, true, false]);
  for (const k of [0, 2]) {
    const solo = await run({ lr: [kRates[k]!] });
    expectEachClose(result.losses[k]!, solo.losses[0]!, kTolerance, `lane ${k}`);
  }
});

it('each lane has its own schedule, warm-up, decay and seed', async () => {
  const each = [
    { lr: [1e-2], schedule: 'constant', warmup: 0, weightDecay: 0, seeds: 1 },
    { lr: [2e-2], schedule: 'linear', warmup: 3, weightDecay: 0.3, seeds: 2 },
    { lr: [1e-2], schedule: 'cosine', warmup: 1, weightDecay: 0.1, seeds: 1 },
  ] as const;
  const together = await run({
    lr: each.map(({ lr }) => lr[0]),
    schedule: each.map(({ schedule }) => schedule),
    warmup: each.map(({ warmup }) => warmup),
    weightDecay: each.map(({ weightDecay }) => weightDecay),
    seeds: each.map(({ seeds }) => seeds),
  });
  for (const [k, options] of each.entries()) {
    const solo = await run(options);
    expectEachClose(together.losses[k]!, solo.losses[0]!, kTolerance, `lane ${k}`);
  }
});

describe.each(['lora', 'full'])('%s', (method) => {
  it.each([0, 1])('accumulated gradients are those of one large batch, clip %i', async (clip) => {
    const once = await run({ method, lr: [1e-2], batch: 4, clip });
    for (const [batch, accumulate] of [
      [2, 2],
      [1, 4],
    ] as const) {
      const parts = await run({ method, lr: [1e-2], batch, accumulate, clip });
      expectEachClose(parts.losses[0]!, once.losses[0]!, kTolerance, `${accumulate} passes`);
    }
  });

  it('blocks computed again in the backward pass give the same losses', async () => {
    const lr = method === 'full' ? [1e-3] : [1e-2, 1e-3];
    const plain = await run({ method, lr });
    const again = await run({ method, lr, checkpointing: true });
    // The same operations on the same numbers; only the order in which gradients of shared tensors are summed may differ.
    for (const k of lr.keys()) expectEachClose(again.losses[k]!, plain.losses[k]!, 1e-6, `lane ${k}`);
  });
});

it('fewer texts than an accumulated batch holds are enough', async () => {
  const result = await run({ lr: [1e-2], batch: 2, accumulate: 4, steps: 2 }, kTexts.slice(0, 3));
  expect(result.losses[0]!.every(Number.isFinite)).toBe(true);
});
