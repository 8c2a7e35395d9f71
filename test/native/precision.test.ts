/** Products in bfloat16: near float32, for every kind of lane; everything else stays as it was. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embed } from '../../lib/embed/embed.js';
import { loadModel, type Model } from '../../lib/model/load.js';
import { type TuneOptions, tune } from '../../lib/tune/tune.js';
import { tinyModel } from '../helpers/tiny-models.js';

// The bound the project sets for losses.
const kLosses = 0.02;
const kTexts = [
  'the cat sat on the mat',
  'a dog ran over the hill',
  'the bird sang in the tree',
  'one fish swam up the stream',
];

// At usual rates: a model that has learnt four sentences by heart has losses near 0, of which any difference is a large share.
const kMethods: [string, Partial<TuneOptions>][] = [
  ['lora', { lr: [2e-3] }],
  ['ia3', { lr: [2e-3] }],
  ['prompt', { lr: [2e-3], virtualTokens: 4 }],
  ['full', { lr: [3e-4] }],
];

describe.each(['llama', 'gpt2', 'opt-post-norm'])('bf16 on %s', (name) => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(tinyModel(name));
  });
  afterAll(() => model.dispose());

  it.each(kMethods)('losses of %s stay within a fiftieth of float32, and are not the same', async (method, options) => {
    const run = async (precision: 'fp32' | 'bf16') => {
      const { lanes, losses } = await tune(model, kTexts, { method, steps: 60, batch: 4, precision, ...options });
      lanes.dispose();
      return losses[0]!;
    };
    const [single, half] = [await run('fp32'), await run('bf16')];
    for (const [step, loss] of single.entries())
      expect(Math.abs(half[step]! / loss - 1), `step ${step}`).toBeLessThan(kLosses);
    expect(half).not.toEqual(single);
  });

  it('embeds near float32, and float32 is as before', async () => {
    const states = async (precision: 'fp32' | 'bf16') => {
      using tensor = await embed(model, kTexts, { precision });
      return tensor.toArray();
    };
    const [before, half, after] = [await states('fp32'), await states('bf16'), await states('fp32')];
    let error = 0;
    let size = 0;
    for (const [i, value] of before.entries()) {
      error += (half[i]! - value) ** 2;
      size += value ** 2;
    }
    // 8 bits in each factor of a product, some dozens of products in a row
    expect(Math.sqrt(error / size)).toBeLessThan(0.02);
    expect(half).not.toEqual(before);
    expect(after).toEqual(before);
  });

  it('another precision is refused', async () => {
    await expect(tune(model, kTexts, { precision: 'fp16' as never })).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: expect.stringContaining('fp32, bf16'),
    });
  });
});
