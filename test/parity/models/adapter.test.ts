/** Adapters on disk: peft's load here, ours load in peft, and a saved one is the lane it came from. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { loadAdapter, saveAdapter } from '../../../lib/tune/adapter.js';
import type { Lanes } from '../../../lib/tune/lanes.js';
import { tune } from '../../../lib/tune/tune.js';
import { expectClose, float32Tolerance } from '../../helpers/arrays.js';
import { kNoPeft, logitsInPython, pythonWithPeft } from '../../helpers/peer-python.js';
import { forward } from '../../helpers/run-model.js';
import { readPlain, writePlain } from '../../helpers/safetensors.js';
import { temporaryFolder } from '../../helpers/temporary.js';
import { goldenOf, kTunedModels, tinyModel, tuneGoldenOf } from '../../helpers/tiny-models.js';

const kLogits = float32Tolerance(48, 20);
const kTemporary = temporaryFolder();
const kTexts = ['The rabbit ran over a small hill.', 'Nobody answered, because the room was empty.'];

describe.each(kTunedModels)('%s', (name) => {
  let model: Model;
  let lanes: Lanes;
  const ids = goldenOf(name).ids[1]!;
  const saved = (k: number) => join(kTemporary, `${name}-${k}`);

  beforeAll(async () => {
    model = await loadModel(tinyModel(name));
    const { modules } = tuneGoldenOf(name).lora;
    ({ lanes } = await tune(model, kTexts, {
      targets: modules,
      lr: [3e-2, 1e-2],
      rank: 3,
      alpha: 5,
      steps: 4,
      batch: 2,
    }));
    for (const k of [0, 1]) await saveAdapter(model, lanes, k, saved(k));
  });
  afterAll(() => {
    lanes.dispose();
    model.dispose();
  });

  it('reads an adapter that peft saved', async () => {
    using adapter = await loadAdapter(model, join(tinyModel(name), 'tune', 'adapter-after'));
    const { logits } = await forward(model, [ids], adapter.handle);
    expectClose(logits!.data, tuneGoldenOf(name).tensors.get('lora_logits')!.data, kLogits, 'logits');
  });

  it('reads an adapter trained on the model without its head', async () => {
    const headless = join(kTemporary, `${name}-headless`);
    cpSync(join(tinyModel(name), 'tune', 'adapter-after'), headless, { recursive: true });
    const file = join(headless, 'adapter_model.safetensors');
    const short = (key: string) => key.replace(/^(base_model\.model\.)(model|transformer|gpt_neox)\./, '$1');
    const tensors = [...readPlain(file)];
    expect(tensors.every(([key]) => short(key) !== key)).toBe(true);
    writePlain(file, new Map(tensors.map(([key, tensor]) => [short(key), tensor])));
    using adapter = await loadAdapter(model, headless);
    const { logits } = await forward(model, [ids], adapter.handle);
    expectClose(logits!.data, tuneGoldenOf(name).tensors.get('lora_logits')!.data, kLogits, 'logits');
  });

  it('writes the files that peft writes', () => {
    const theirs = join(tinyModel(name), 'tune', 'adapter-after');
    const [ours, reference] = [saved(0), theirs].map((dir) => readPlain(join(dir, 'adapter_model.safetensors')));
    expect([...ours!.keys()].sort()).toEqual([...reference!.keys()].sort());
    const config = (dir: string) =>
      JSON.parse(readFileSync(join(dir, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
    const [a, b] = [config(saved(0)), config(theirs)];
    for (const key of ['peft_type', 'task_type', 'bias', 'fan_in_fan_out', 'lora_dropout', 'modules_to_save'])
      expect(a[key], key).toEqual(b[key]);
    expect([...(a.target_modules as string[])].sort()).toEqual(b.target_modules);
    expect([a.r, a.lora_alpha]).toEqual([3, 5]);
  });

  it('reads back the lane that it saved', async () => {
    for (const k of [0, 1]) {
      using again = await loadAdapter(model, saved(k));
      const [ours, before] = [await forward(model, [ids], again.handle), await forward(model, [ids], lanes.handle, k)];
      // the same numbers in the same operations; alone, a lane's product may be summed in another order
      expectClose(ours.logits!.data, before.logits!.data, kLogits, `lane ${k}`);
    }
  });

  it('goes on tuning from a saved adapter as from the lane itself', async () => {
    using again = await loadAdapter(model, saved(0));
    const options = { from: again, lr: [1e-2], steps: 2, batch: 2 };
    const [first, second] = [await tune(model, kTexts, options), await tune(model, kTexts, options)];
    expect(second.losses).toEqual(first.losses);
    first.lanes.dispose();
    second.lanes.dispose();
  });
});

describe('in peft', () => {
  it('our adapters give the same logits', { timeout: 300_000 }, async (context) => {
    const python = pythonWithPeft();
    if (!python) return context.skip(kNoPeft);
    const saved = kTunedModels.map((name) => ({
      base: tinyModel(name),
      adapter: join(kTemporary, `${name}-1`),
      ids: goldenOf(name).ids[1]!,
    }));
    for (const [i, theirs] of logitsInPython(python, saved).entries()) {
      const { base, adapter, ids } = saved[i]!;
      using model = await loadModel(base);
      using lanes = await loadAdapter(model, adapter);
      const { logits } = await forward(model, [ids], lanes.handle);
      expect(logits!.shape).toEqual(theirs.shape);
      expectClose(logits!.data, theirs.logits, kLogits, `${kTunedModels[i]}, logits`);
    }
  });
});

describe('refuses', () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(tinyModel('llama'));
  });
  afterAll(() => model.dispose());

  function changed(copy: string, keys: Record<string, unknown>): string {
    const dir = join(kTemporary, copy);
    cpSync(join(tinyModel('llama'), 'tune', 'adapter-after'), dir, { recursive: true });
    const path = join(dir, 'adapter_config.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...keys }));
    return dir;
  }

  it.each([
    ['another kind of adapter', { peft_type: 'LOHA' }, 'peft_type'],
    ['biases of an unknown kind', { bias: 'some' }, 'bias'],
    ['modules saved whole', { modules_to_save: ['lm_head'] }, 'modules_to_save'],
    ['ranks that are no numbers', { rank_pattern: { q_proj: 'high' } }, 'rank_pattern'],
    ['a rank of zero', { r: 0 }, '`r`'],
    ['a base changed by CorDA', { init_lora_weights: 'corda' }, 'init_lora_weights'],
    ['layers used twice', { layer_replication: [[0, 2]] }, 'layer_replication'],
    ['effect from some token on only', { alora_invocation_tokens: [5] }, 'alora_invocation_tokens'],
    ['trained biases of B', { lora_bias: true }, 'lora_bias'],
  ])('%s', async (what, keys, says) => {
    await expect(loadAdapter(model, changed(what, keys))).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining(says),
    });
  });

  it('nothing that peft writes by default, nor rank-stabilised LoRA, whose scale is alpha / sqrt(r)', async () => {
    const ids = goldenOf('llama').ids[1]!;
    using plain = await loadAdapter(model, changed('plain', { lora_alpha: 16 }));
    using stable = await loadAdapter(model, changed('stable', { use_rslora: true, lora_alpha: 8 })); // r is 4
    const [first, second] = [await forward(model, [ids], plain.handle), await forward(model, [ids], stable.handle)];
    expectClose(first.logits!.data, second.logits!.data, kLogits, 'logits');
  });

  it('a rank that is not the tensors’', async () => {
    await expect(loadAdapter(model, changed('other-rank', { r: 2 }))).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('shape'),
    });
  });

  it.each([
    ['lengths of DoRA that are not there', { use_dora: true }, 'lora_magnitude_vector'],
    ['ranks by module that are not the tensors’', { rank_pattern: { q_proj: 2 } }, 'shape'],
    ['IA3 with tensors of LoRA', { peft_type: 'IA3' }, 'got `base_model'],
    ['a prompt that is not there', { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 4 }, 'got `base_model'],
  ])('%s', async (what, keys, says) => {
    await expect(loadAdapter(model, changed(what, keys))).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining(says),
    });
  });

  it('tensors that are missing or too many, by module', async () => {
    const file = (dir: string) => join(dir, 'adapter_model.safetensors');
    const missing = changed('missing', {});
    const tensors = [...readPlain(file(missing))];
    const kept = tensors.filter(([name]) => !name.includes('layers.1.self_attn.v_proj'));
    expect(kept.length).toBeLessThan(tensors.length);
    writePlain(file(missing), new Map(kept));
    await expect(loadAdapter(model, missing)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('for `model.layers.1.self_attn.v_proj`, one of the modules'),
    });
    const more = tensors.filter(([name]) => name.includes('layers.1.self_attn.v_proj'));
    const extra = changed('extra', {});
    const added = more.map(([name, tensor]) => [name.replace('v_proj', 'k_proj'), tensor] as const);
    writePlain(file(extra), new Map([...tensors, ...added]));
    await expect(loadAdapter(model, extra)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('`model.layers.1.self_attn.k_proj` too'),
    });
  });

  it('an adapter of another model', async () => {
    await expect(loadAdapter(model, join(tinyModel('gpt2'), 'tune', 'adapter-after'))).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('another model'),
    });
  });

  it('a folder without an adapter', async () => {
    await expect(loadAdapter(model, tinyModel('llama'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});
