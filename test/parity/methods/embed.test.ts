/** Embedding with tuned lanes: every method's states are those of a plain forward pass of the lane. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embedLanes } from '../../../lib/embed/embed.js';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { tune } from '../../../lib/tune/tune.js';
import { expectClose, float32Tolerance } from '../../helpers/arrays.js';
import { kMethodModels, methodGoldens, methodModel, optionsOfCase } from '../../helpers/method-goldens.js';
import { forward } from '../../helpers/run-model.js';

const kTexts = ['the rabbit ran over a small hill', 'rain fell', 'nobody answered because the room was empty'];

describe.each(kMethodModels)('%s', (name) => {
  const golden = methodGoldens(name);
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(methodModel(name));
  });
  afterAll(() => model.dispose());

  it('lanes of every adapter side by side, at every layer', async () => {
    const keys = Object.keys(golden.cases).filter((key) => golden.cases[key]!.config);
    const runs = keys.map((key, seed) => {
      const { method, options } = optionsOfCase(golden, key);
      return { method, options, lr: 1e-2, seed };
    });
    const { lanes } = await tune(model, kTexts, { runs, steps: 6, batch: 2 });
    const all = await embedLanes(model, kTexts, { lanes, pool: 'last' });
    expect(all).toHaveLength(keys.length);
    for (const [k, features] of all.entries()) {
      const [layers, count, width] = features.shape as [number, number, number];
      const data = features.toArray();
      features.dispose();
      for (const [i, text] of kTexts.entries()) {
        const ids = [...model.tokenizer.encode(text).ids];
        const { hidden } = await forward(model, [ids], lanes.handle, k);
        for (let layer = 0; layer < layers; layer++) {
          const own = data.subarray((layer * count + i) * width, (layer * count + i + 1) * width);
          const last = (layer * ids.length + ids.length - 1) * width;
          const what = `${keys[k]}, layer ${layer}, text ${i}`;
          expectClose(own, hidden.data.subarray(last, last + width), float32Tolerance(48, 24), what);
        }
      }
    }
    lanes.dispose();
  });
});
