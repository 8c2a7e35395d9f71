/** Whole tuned models on disk: read back here and by transformers, every family. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import type { Lanes } from '../../../lib/tune/lanes.js';
import { saveModel } from '../../../lib/tune/save-model.js';
import { tune } from '../../../lib/tune/tune.js';
import { difference, expectClose, float32Tolerance } from '../../helpers/arrays.js';
import { kNoPeft, logitsInPython, pythonWithPeft } from '../../helpers/peer-python.js';
import { forward } from '../../helpers/run-model.js';
import { temporaryFolder } from '../../helpers/temporary.js';
import { goldenOf, kCausalModels, tinyModel } from '../../helpers/tiny-models.js';

const kLogits = float32Tolerance(48, 18);
const kTemporary = temporaryFolder();
const kTexts = ['The rabbit ran over a small hill.', 'Nobody answered, because the room was empty.'];

describe.each(kCausalModels)('%s', (name) => {
  let model: Model;
  let lanes: Lanes;
  const ids = goldenOf(name).ids[1]!;
  const saved = join(kTemporary, name);

  beforeAll(async () => {
    model = await loadModel(tinyModel(name));
    ({ lanes } = await tune(model, kTexts, { method: 'full', lr: [1e-2], steps: 3, batch: 2, weightDecay: 0.1 }));
    await saveModel(model, lanes, 0, saved);
  });
  afterAll(() => {
    lanes.dispose();
    model.dispose();
  });

  it('reads back the model that it saved', async () => {
    using again = await loadModel(saved);
    expect(again.config).toEqual(model.config);
    const [ours, tuned, base] = [
      await forward(again, [ids]),
      await forward(model, [ids], lanes.handle),
      await forward(model, [ids]),
    ];
    expectClose(ours.logits!.data, tuned.logits!.data, kLogits, 'logits');
    expectClose(ours.hidden.data, tuned.hidden.data, kLogits, 'hidden states');
    expect(difference(ours.logits!.data, base.logits!.data)).toBeGreaterThan(1e-2);
  });

  it('keeps the tokenizer', async () => {
    using again = await loadModel(saved);
    for (const { text, ids: reference } of goldenOf(name).tokens)
      expect([...again.tokenizer.encode(text).ids]).toEqual(reference);
  });
});

describe('in transformers', () => {
  it('our models give the same logits', { timeout: 300_000 }, async (context) => {
    const python = pythonWithPeft();
    if (!python) return context.skip(kNoPeft);
    const saved = kCausalModels.map((name) => ({
      base: join(kTemporary, name),
      adapter: null,
      ids: goldenOf(name).ids[1]!,
    }));
    for (const [i, theirs] of logitsInPython(python, saved).entries()) {
      using model = await loadModel(saved[i]!.base);
      const { logits } = await forward(model, [saved[i]!.ids]);
      expect(logits!.shape).toEqual(theirs.shape);
      expectClose(logits!.data, theirs.logits, kLogits, `${kCausalModels[i]}, logits`);
    }
  });
});
