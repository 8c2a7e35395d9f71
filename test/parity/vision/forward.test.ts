/** ViT, DeiT and DINOv2 against transformers on tiny random models: hidden states, logits, gradients, ten losses by five methods. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { runJob } from '../../../lib/native/jobs.js';
import { native } from '../../../lib/native/load.js';
import { difference, expectClose, expectEachClose, float32Tolerance } from '../../helpers/arrays.js';
import { take } from '../../helpers/run-model.js';
import { lossesOf, runTune } from '../../helpers/tuning.js';
import {
  imagesOf,
  kVisionMethods,
  kVisionModels,
  packImages,
  type VisionGolden,
  visionExamples,
  visionGolden,
  visionLane,
  visionModel,
  visionSpec,
  visionTuneArgs,
} from '../../helpers/vision.js';

// Sums of at most 48 products (a patch of 3 x 4 x 4 numbers; the MLP), at most 3 blocks of 7 sums in a row: 1.3e-5 of the RMS.
const kTolerance = float32Tolerance(48, 21);
// A gradient goes through the blocks twice, and its sums run over 5 images of up to 15 rows too.
const kGradients = float32Tolerance(75, 42);
// The bound the project sets for ten losses; transformers in float32 and float64 differ by less than 1e-6 (`noise`).
const kLosses = 1e-4;

describe.each(kVisionModels)('%s', (name) => {
  let model: Model;
  let golden: VisionGolden;
  const open: { dispose(): void }[] = [];
  const keep = <T extends { dispose(): void }>(thing: T): T => {
    open.push(thing);
    return thing;
  };

  beforeAll(async () => {
    model = keep(await loadModel(visionModel(name)));
    golden = visionGolden(name);
  });
  afterAll(() => {
    for (const thing of open) thing.dispose();
  });

  it.each([
    ['pixels', 'hidden'],
    ['wide', 'hidden_wide'],
  ])('has the hidden states of transformers at every layer, %s', async (pixels, hidden) => {
    const given = golden.tensors.get(pixels)!;
    const images = keep(imagesOf(given));
    const args = { model: model.handle, ...packImages(model, images, given), lane: 0 };
    const states = take((await runJob(() => native().modelForward(args))).hidden);
    const reference = golden.tensors.get(hidden)!;
    expect(states.shape).toEqual(reference.shape);
    const size = reference.data.length / reference.shape[0]!;
    for (let layer = 0; layer < reference.shape[0]!; layer++) {
      const of = (data: Float32Array) => data.subarray(layer * size, (layer + 1) * size);
      expectClose(of(states.data), of(reference.data), kTolerance, `layer ${layer}`);
    }
  });

  it.each([
    ['pixels', 'logits'],
    ['wide', 'logits_wide'],
  ])('has the logits of transformers, %s', async (pixels, logits) => {
    const given = golden.tensors.get(pixels)!;
    const images = keep(imagesOf(given));
    const lanes = keep(await visionLane(model, name, golden, 'bitfit'));
    const packed = packImages(model, images, given);
    const labels = new Float32Array(given.shape[0]!);
    const args = { model: model.handle, lanes, ...packed, labels, batch: 2, precision: 'fp32' as const };
    const outputs = take(await runJob(() => native().predict({ ...args, objective: 'classification' })));
    const reference = golden.tensors.get(logits)!;
    expect(outputs.shape).toEqual([1, ...reference.shape]);
    expectClose(outputs.data, reference.data, kTolerance, 'logits');
  });

  describe.each(kVisionMethods)('%s', (method) => {
    it('has the gradient of every trained parameter', async () => {
      const images = keep(imagesOf(golden.tensors.get('pixels')!));
      const lanes = keep(await visionLane(model, name, golden, method));
      const examples = visionExamples(model, golden, images);
      const args = { model: model.handle, lanes, lane: 0, ...examples, objective: 'classification' as const };
      const { names, tensors } = await runJob(() => native().laneGradients(args));
      const ours = new Map(names.map((each, i) => [each, take(tensors[i]!)]));
      const prefix = `grad/${method}/`;
      const theirs = [...golden.tensors].filter(([key]) => key.startsWith(prefix));
      expect([...ours.keys()].sort()).toEqual(theirs.map(([key]) => key.slice(prefix.length)).sort());
      // Keys' biases have no gradient but rounding (softmax does not see them): differences are judged against all gradients.
      const scale = Math.max(...theirs.map(([, { data }]) => Math.hypot(...data) / Math.sqrt(data.length)));
      for (const [key, { data, shape }] of theirs) {
        const own = ours.get(key.slice(prefix.length))!;
        expect(own.shape, key).toEqual(shape);
        expect(difference(own.data, data, scale), key).toBeLessThan(kGradients);
      }
    });

    it('has the ten losses of the reference', async () => {
      const images = keep(imagesOf(golden.tensors.get('pixels')!));
      const from = keep(await visionLane(model, name, golden, method));
      const examples = visionExamples(model, golden, images);
      const spec = visionSpec(model, golden, method);
      const result = await runTune(visionTuneArgs(model, golden, examples, [spec], from));
      keep(result.lanes);
      expectEachClose(lossesOf(result), golden.methods[method].losses, kLosses, 'loss');
    });
  });

  it('trains methods side by side as each alone, with blocks computed again too', async () => {
    const images = keep(imagesOf(golden.tensors.get('pixels')!));
    const examples = visionExamples(model, golden, images);
    const specs = kVisionMethods.map((method) => visionSpec(model, golden, method));
    const together = await runTune(visionTuneArgs(model, golden, examples, specs));
    keep(together.lanes);
    const again = await runTune({ ...visionTuneArgs(model, golden, examples, specs), checkpointing: true });
    keep(again.lanes);
    for (const [k, spec] of specs.entries()) {
      const alone = await runTune(visionTuneArgs(model, golden, examples, [spec]));
      keep(alone.lanes);
      expectEachClose(lossesOf(together, k), lossesOf(alone), kLosses, kVisionMethods[k]);
      expectEachClose(lossesOf(again, k), lossesOf(alone), kLosses, `${kVisionMethods[k]}, checkpointing`);
    }
  });
});
