/** Every tuning method against peft and transformers: first gradients, ten losses, what is trained in the end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { runJob } from '../../../lib/native/jobs.js';
import { native } from '../../../lib/native/load.js';
import type { LanesHandle } from '../../../lib/native/types.js';
import { expectClose, expectEachClose, float32Tolerance } from '../../helpers/arrays.js';
import { kMethodModels, methodGoldens, methodModel, ourName, partOf } from '../../helpers/method-goldens.js';
import { forward } from '../../helpers/run-model.js';
import { argsOf, gradientsOf, initialLane, specOf, tensorsOf } from '../../helpers/tune-methods.js';
import { lossesOf } from '../../helpers/tuning.js';

// The bound the project sets; the goldens' `float32_noise` is at most 1e-6.
const kLosses = 1e-4;
// A gradient passes every sum of the forward pass and its reverse: the longest is over 320 words, 3 blocks of 6 in a row each way.
const kGradients = float32Tolerance(320, 2 * 20);
// After ten AdamW steps: a step moves a weight by about its rate whatever the size of its gradient, so rounding in a small gradient is not
// small in the weight.
const kAfterSteps = 1e-3;

/**
 * Without the bias of keys: adding the same to all keys adds the same to all of a softmax's logits, so its gradient is zero but for rounding,
 * and AdamW makes steps of that.
 */
function comparable(name: string, values: Float32Array | Float64Array): Float32Array | Float64Array {
  if (/\.key\.bias$/.test(name)) return values.subarray(0, 0);
  if (!/c_attn\.(base_layer\.)?bias$/.test(name)) return values;
  const third = values.length / 3;
  return Float32Array.from([...values.subarray(0, third), ...values.subarray(2 * third)]);
}

/** Close to the reference where that says something; zero where it is zero. */
function expectSame(name: string, ours: Float32Array, theirs: Float32Array | Float64Array, tolerance: number): void {
  const reference = comparable(name, theirs);
  expect(ours.length, name).toBe(theirs.length);
  if (reference.length === 0) return;
  if (reference.some((value) => value !== 0)) expectClose(comparable(name, ours), reference, tolerance, name);
  else
    expect(
      ours.every((value) => value === 0),
      `${name} is zero`,
    ).toBe(true);
}

describe.each(kMethodModels)('%s', (name) => {
  const golden = methodGoldens(name);
  const keys = Object.keys(golden.cases);
  let model: Model;
  const open: { dispose(): void }[] = [];
  const held = <T extends { dispose(): void }>(thing: T): T => {
    open.push(thing);
    return thing;
  };
  beforeAll(async () => {
    model = await loadModel(methodModel(name));
  });
  afterAll(() => {
    for (const thing of [...open, model]) thing.dispose();
  });

  /** A lane where peft's began; whole weights begin as the base. */
  async function start(key: string): Promise<LanesHandle | undefined> {
    return 'config' in golden.cases[key]! ? held(await initialLane(model, golden, key)) : undefined;
  }

  it.each(keys.filter((key) => 'config' in golden.cases[key]!))('%s: the first gradients', async (key) => {
    const lanes = held(await initialLane(model, golden, key));
    const ours = await gradientsOf(model, golden, lanes);
    const theirs = partOf(golden, key, 'gradient');
    expect(theirs.size).toBeGreaterThan(0);
    for (const [tensor, { data }] of theirs) {
      const found = ours.get(ourName(key, tensor));
      expect(found, tensor).toBeDefined();
      expectSame(tensor, found!.data, data, kGradients);
    }
  });

  it.each(keys)('%s: ten losses, and what is trained in the end', async (key) => {
    const from = await start(key);
    const before = from && (await tensorsOf(from));
    const result = await runJob((progress) =>
      native().tune(argsOf(model, golden, [specOf(model, golden, key)], from), progress),
    );
    held(result.lanes);
    expectEachClose(lossesOf(result), golden.cases[key]!.losses, kLosses, 'loss');
    const after = await tensorsOf(result.lanes);
    const theirs = partOf(golden, key, 'final');
    expect(theirs.size).toBeGreaterThan(0);
    for (const [tensor, { data }] of theirs) {
      const own = ourName(key, tensor);
      expectSame(tensor, after.get(own)!.data, data, kAfterSteps);
      if (before) expect(after.get(own)!.data, `${tensor} changes`).not.toEqual(before.get(own)!.data);
    }
    const { logits } = await forward(model, [golden.ids], result.lanes);
    if (logits) {
      const reference = golden.tensors.get(`${key}/logits`)!;
      expectClose(
        logits.data.subarray(logits.data.length - reference.data.length),
        reference.data,
        kAfterSteps,
        'logits',
      );
    }
  });
});
