/** Progress as an async iterator. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { follow, loadModel, type Model, tune } from '../../lib/index.js';
import { tinyModel } from '../helpers/tiny-models.js';

const kTexts = ['the rabbit ran over a small hill', 'rain fell on the river'];
let model: Model;
beforeAll(async () => {
  model = await loadModel(tinyModel('llama'));
});
afterAll(() => model.dispose());

describe('follow', () => {
  it('gives progress up to the end, then the result', async () => {
    const tuning = follow((options) => tune(model, kTexts, { ...options, steps: 10 }));
    const seen: number[] = [];
    for await (const { done, total } of tuning) seen.push(done / total);
    const { lanes, losses } = await tuning.result;
    lanes.dispose();
    expect(losses[0]).toHaveLength(10);
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('the loop throws what the call throws', async () => {
    const failing = follow((options) => tune(model, [], options));
    const loop = async () => {
      for await (const _ of failing);
    };
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_DATA' });
    await expect(failing.result).rejects.toMatchObject({ code: 'ERR_DATA' });
  });

  it('leaving the loop cancels the call, and so does a signal', async () => {
    const left = follow((options) => tune(model, kTexts, { ...options, steps: 50_000 }));
    for await (const _ of left) break;
    await expect(left.result).rejects.toMatchObject({ code: 'ERR_CANCELLED' });

    const stopped = follow((options) => tune(model, kTexts, { ...options, steps: 50_000 }), {
      signal: AbortSignal.timeout(200),
    });
    await expect(stopped.result).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });

  it('a call that is not looped over ends all the same, and its failure is no unhandled rejection of the loop', async () => {
    const silent = follow((options) => tune(model, kTexts, { ...options, steps: 2 }));
    const { lanes } = await silent.result;
    expect(lanes.count).toBe(1);
    lanes.dispose();
  });
});
