/** Ten steps of LoRA against peft and of full fine-tuning against transformers, on tiny random models. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import type { TuneResult } from '../../../lib/native/types.js';
import { scheduleFactors } from '../../../lib/tune/schedule.js';
import { expectClose, expectEachClose, float32Tolerance } from '../../helpers/arrays.js';
import { forward, laneTensors } from '../../helpers/run-model.js';
import { readPlain } from '../../helpers/safetensors.js';
import { goldenOf, kTunedModels, type TuneGolden, tinyModel, tuneGoldenOf } from '../../helpers/tiny-models.js';
import { allParameters, loraLanes, lossesOf, peftLane, runTune, tuneArgs } from '../../helpers/tuning.js';

// The bound the project sets. transformers in float32 (padded) and float64 (one sequence at a time) differ by at most 3e-7 in these
// losses (`float32_noise` of the goldens), so the bound has room for another order of summation and none for another formula.
const kLosses = 1e-4;
// Logits of the same weights: sums of at most 48 products, 3 blocks of 6 in a row and LoRA's two.
const kLogits = float32Tolerance(48, 20);
// Weights after ten AdamW steps: a step moves a weight by about its rate whatever the size of its gradient, so rounding in a small
// gradient is not small in the weight. Measured 2e-5; a wrong formula shows as 1e-2.
const kAfterSteps = 1e-3;

describe.each(kTunedModels)('%s', (name) => {
  let model: Model;
  let golden: TuneGolden;
  const open: { dispose(): void }[] = [];

  beforeAll(async () => {
    model = await loadModel(tinyModel(name));
    golden = tuneGoldenOf(name);
  });
  afterAll(() => {
    for (const thing of [...open, model]) thing.dispose();
  });

  async function tuned(...args: Parameters<typeof runTune>): Promise<TuneResult> {
    const result = await runTune(...args);
    open.push(result.lanes);
    return result;
  }
  async function lora(lanes: readonly { lr: number; weightDecay: number }[]): Promise<TuneResult> {
    const from = await peftLane(model, name, golden, 'adapter-initial');
    open.push(from);
    const specs = loraLanes(golden, lanes);
    return tuned(tuneArgs(model, golden, { method: 'lora', targets: golden.lora.modules, lanes: specs, from }));
  }

  it('has the learning-rate factors of transformers', () => {
    const factors = scheduleFactors(golden.schedule, golden.multipliers.length, golden.warmup);
    for (const [step, factor] of factors.entries()) expect(factor).toBeCloseTo(golden.multipliers[step]!, 12);
  });

  it('has the ten losses and the final adapter of peft, LoRA alone', async () => {
    const [lane] = golden.lora.lanes;
    const result = await lora([lane!]);
    expectEachClose(lossesOf(result), lane!.losses, kLosses, 'loss');
    expect(result.failedAt).toEqual([-1]);
    const after = await laneTensors(result.lanes, 0);
    const reference = readPlain(join(tinyModel(name), 'tune', 'adapter-after', 'adapter_model.safetensors'));
    expect([...after.keys()].sort()).toEqual([...reference.keys()].sort());
    for (const [tensor, { shape, data }] of reference) {
      expect(after.get(tensor)!.shape).toEqual(shape);
      expectClose(after.get(tensor)!.data, data, kAfterSteps, tensor);
    }
  });

  it('has the losses of both learning rates when packed as two lanes', async () => {
    const result = await lora(golden.lora.lanes);
    for (const [k, lane] of golden.lora.lanes.entries())
      expectEachClose(lossesOf(result, k), lane.losses, kLosses, `lane ${k}, loss`);
  });

  it('has the logits of an adapter saved by peft', async () => {
    const lanes = await peftLane(model, name, golden, 'adapter-after');
    open.push(lanes);
    const { logits } = await forward(model, [goldenOf(name).ids[1]!], lanes);
    expectClose(logits!.data, golden.tensors.get('lora_logits')!.data, kLogits, 'logits');
    const merged = golden.tensors.get('merged_logits');
    if (merged) expectClose(logits!.data, merged.data, kLogits, 'logits, merged in peft');
  });

  it.each([0, 1])('has the ten losses of full fine-tuning, learning rate %i', async (k) => {
    const { lr, weightDecay, losses } = golden.full.lanes[k]!;
    const lanes = [{ lr, weightDecay, seed: 0 }];
    const result = await tuned(tuneArgs(model, golden, { method: 'whole', targets: allParameters(model), lanes }));
    expectEachClose(lossesOf(result), losses, kLosses, 'loss');
    if (k > 0) return;
    const { logits } = await forward(model, [goldenOf(name).ids[1]!], result.lanes);
    expectClose(logits!.data, golden.tensors.get('full_logits')!.data, kAfterSteps, 'logits after ten steps');
  });

  it('leaves the base model as it was', async () => {
    const { ids, tensors } = goldenOf(name);
    const { logits } = await forward(model, ids);
    expectClose(logits!.data, tensors.get('logits')!.data, kLogits, 'logits of the base');
  });
});
