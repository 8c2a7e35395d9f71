/** Adapter files of every method: peft's load here with the same logits, ours hold what peft's hold and load in peft. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { loadAdapter, saveAdapter } from '../../../lib/tune/adapter.js';
import type { Lanes } from '../../../lib/tune/lanes.js';
import { saveModel } from '../../../lib/tune/save-model.js';
import { tune } from '../../../lib/tune/tune.js';
import { expectClose, expectEachClose, float32Tolerance } from '../../helpers/arrays.js';
import {
  kMethodModels,
  type MethodGoldens,
  type MethodModel,
  methodGoldens,
  methodModel,
  optionsOfCase,
  partOf,
} from '../../helpers/method-goldens.js';
import { kNoPeft, logitsInPython, pythonWithPeft } from '../../helpers/peer-python.js';
import { forward } from '../../helpers/run-model.js';
import { type PlainTensors, readPlain, writePlain } from '../../helpers/safetensors.js';
import { temporaryFolder } from '../../helpers/temporary.js';
import { methodRuns } from '../../helpers/tune-methods.js';

const kLogits = float32Tolerance(48, 24);
const kTemporary = temporaryFolder();
const kTexts = ['the rabbit ran over a small hill', 'nobody answered because the room was empty'];
const kAdapters = (golden: MethodGoldens) => Object.keys(golden.cases).filter((key) => golden.cases[key]!.config);
/** No weights: nothing to merge. */
const kVirtual = /^(prompt|prefix|p-tuning)/;

/** What peft would have in the folder of a trained adapter. */
function theirFiles(golden: MethodGoldens, key: string): PlainTensors {
  const saved = partOf(golden, key, 'saved');
  return saved.size > 0 ? saved : partOf(golden, key, 'final');
}

function writeTheirs(name: MethodModel, golden: MethodGoldens, key: string): string {
  const dir = join(kTemporary, `${name}-${key}-peft`);
  mkdirSync(dir, { recursive: true });
  writePlain(join(dir, 'adapter_model.safetensors'), theirFiles(golden, key));
  writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify(golden.cases[key]!.config));
  return dir;
}

describe.each(kMethodModels)('%s', (name) => {
  const runs = methodRuns(name);
  const { golden, open } = runs;
  let model: Model;
  beforeAll(async () => {
    model = await runs.load();
  });
  const saved = (key: string) => join(kTemporary, `${name}-${key}`);

  async function tuned(key: string): Promise<Lanes> {
    const { method, options } = optionsOfCase(golden, key);
    const { lanes } = await tune(model, kTexts, { method, ...options, lr: [2e-2], steps: 6, batch: 2, seeds: 3 });
    open.push(lanes);
    return lanes;
  }

  it.each(kAdapters(golden))('%s: an adapter that peft saved has its logits here', async (key) => {
    using lanes = await loadAdapter(model, writeTheirs(name, golden, key));
    const { logits, hidden } = await forward(model, [golden.ids], lanes.handle);
    expect(hidden.data.every(Number.isFinite)).toBe(true);
    if (!logits) return; // encoders: the goldens are of the masked-token head
    const reference = golden.tensors.get(`${key}/logits`)!.data;
    expectClose(logits.data.subarray(logits.data.length - reference.length), reference, kLogits, 'logits');
  });

  it.each(kAdapters(golden))('%s: ours has the names, shapes and settings of peft’s, and reads back', async (key) => {
    const lanes = await tuned(key);
    await saveAdapter(model, lanes, 0, saved(key));
    const ours = readPlain(join(saved(key), 'adapter_model.safetensors'));
    const { config = {}, saved: shapes = {} } = golden.cases[key]!;
    const written = JSON.parse(readFileSync(join(saved(key), 'adapter_config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    const changes = /pissa|olora|adalora/.test(key); // ranks are doubled or taken away
    const bare = (tensor: string) => tensor.replace(/^base_model\.model\.bert\./, 'base_model.model.');
    const theirs = Object.entries(shapes).filter(([tensor]) => !tensor.includes('cls.predictions'));
    const own = [...ours].filter(([tensor]) => !tensor.includes('cls.predictions'));
    expect(own.map(([tensor]) => tensor).sort()).toEqual(theirs.map(([tensor]) => bare(tensor)).sort());
    if (!changes) for (const [tensor, shape] of theirs) expect(ours.get(bare(tensor))!.shape, tensor).toEqual(shape);
    const settings =
      'peft_type r lora_alpha lora_dropout bias use_dora use_rslora target_r init_r tinit tfinal deltaT beta1 beta2 orth_reg_weight projection_prng_key d_initial num_virtual_tokens token_dim num_layers num_attention_heads prefix_projection encoder_reparameterization_type prompt_tuning_init fan_in_fan_out';
    for (const setting of settings.split(' '))
      if (setting in written && !(changes && /^(r|lora_alpha)$/.test(setting)))
        expect(written[setting], setting).toEqual(
          config[setting] ?? (setting === 'prompt_tuning_init' ? 'RANDOM' : undefined),
        );
    using again = await loadAdapter(model, saved(key));
    const [first, second] = [
      await forward(model, [golden.ids], again.handle),
      await forward(model, [golden.ids], lanes.handle),
    ];
    expectClose(first.hidden.data, second.hidden.data, kLogits, 'hidden states');
    // Going on from the file and from the lane itself begins alike.
    const schedule = key === 'adalora' ? { tinit: 0, tfinal: 0 } : {};
    const more = { lr: [1e-2], steps: 1, batch: 2, ...schedule };
    const [onward, straight] = [
      await tune(model, kTexts, { from: again, ...more }),
      await tune(model, kTexts, { from: lanes, ...more }),
    ];
    open.push(onward.lanes, straight.lanes);
    expectEachClose(onward.losses[0]!, straight.losses[0]!, 1e-5, 'loss');
    const before = await forward(model, [golden.ids], again.handle);
    const after = await forward(model, [golden.ids], onward.lanes.handle);
    expect(after.hidden.data, 'a step changes it').not.toEqual(before.hidden.data);
  });

  it.each(kAdapters(golden).filter((key) => !kVirtual.test(key)))(
    '%s: merged into the weights it says the same',
    async (key) => {
      const lanes = await tuned(key);
      await saveModel(model, lanes, 0, `${saved(key)}-merged`);
      using merged = await loadModel(`${saved(key)}-merged`);
      const [first, second] = [await forward(merged, [golden.ids]), await forward(model, [golden.ids], lanes.handle)];
      // one rounding more of every weight
      expectClose(first.hidden.data, second.hidden.data, float32Tolerance(49, 24), 'hidden states');
    },
  );

  it('virtual tokens are refused', async () => {
    const lanes = await tuned('prompt');
    await expect(saveModel(model, lanes, 0, saved('refused'))).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });
});

describe('in peft', () => {
  it('our adapters of every method give the same logits', { timeout: 300_000 }, async (context) => {
    const python = pythonWithPeft();
    if (!python) return context.skip(kNoPeft);
    const jobs = kMethodModels.flatMap((name) =>
      kAdapters(methodGoldens(name)).map((key) => ({
        base: methodModel(name),
        adapter: join(kTemporary, `${name}-${key}`),
        ids: methodGoldens(name).ids,
      })),
    );
    for (const [i, theirs] of logitsInPython(python, jobs).entries()) {
      const { base, adapter, ids } = jobs[i]!;
      using model = await loadModel(base);
      using lanes = await loadAdapter(model, adapter);
      const { logits, hidden } = await forward(model, [ids], lanes.handle);
      const [layers, count, width] = hidden.shape as [number, number, number];
      const ours = logits?.data ?? hidden.data.subarray((layers - 1) * count * width);
      // peft's begin with those of a prompt
      expectClose(ours, theirs.logits.slice(-ours.length), kLogits, adapter);
    }
  });
});
