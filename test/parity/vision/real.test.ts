/** DINOv2-small with its real weights against transformers: two pictures from files to states, every layer, two sizes. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embed, loadModel, type Model } from '../../../lib/index.js';
import { difference } from '../../helpers/arrays.js';
import { realModel } from '../../helpers/real-models.js';
import { readPlain } from '../../helpers/safetensors.js';

const kDir = fileURLToPath(new URL('../../fixtures/images', import.meta.url));
const kGolden = readPlain(join(kDir, 'dinov2-small.safetensors'));
const kPictures = ['photo.png', 'grey.png'].map((name) => join(kDir, name));

// The bound the project sets for real weights: largest difference relative to the layer's RMS.
const kHidden = 1e-4;

let model: Model;
beforeAll(async () => {
  model = await loadModel(await realModel('dinov2-small'));
}, 300_000);
afterAll(() => model.dispose());

describe.each([98, 224])('%i pixels', (imageSize) => {
  it.each([
    ['first', 'class'],
    ['mean', 'patches'],
  ] as const)('has the states of transformers, %s', async (pool, golden) => {
    const { shape, data } = kGolden.get(`${golden}-${imageSize}`)!;
    const states = await embed(model, kPictures, { pool, imageSize });
    expect(states.shape).toEqual(shape);
    const ours = states.toArray();
    states.dispose();
    const size = shape[1]! * shape[2]!;
    for (let layer = 0; layer < shape[0]!; layer++) {
      const of = (values: Float32Array) => values.subarray(layer * size, (layer + 1) * size);
      expect(difference(of(ours), of(data)), `layer ${layer}`).toBeLessThan(kHidden);
    }
  });
});
