/** Every family against transformers: hidden states of all layers, logits, loss, on tiny random models. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { expectClose, expectEachClose, float32Tolerance } from '../../helpers/arrays.js';
import { forward, loss } from '../../helpers/run-model.js';
import { type PlainTensors, readPlain, writePlain } from '../../helpers/safetensors.js';
import { temporaryFolder } from '../../helpers/temporary.js';
import { goldenOf, kCausalModels, tinyModel } from '../../helpers/tiny-models.js';

// Sums of at most 48 products (the widest layer); at most 3 blocks of 6 sums in a row. transformers' own float32 differs from float64 by
// up to 2.7e-6 of the RMS (`float32_noise` of the goldens); this bound is 1.2e-5.
const kTolerance = float32Tolerance(48, 18);

const kTemporary = temporaryFolder();
let open: Model[] = [];
afterEach(() => {
  for (const model of open) model.dispose();
  open = [];
});

async function load(path: string): Promise<Model> {
  const model = await loadModel(path);
  open.push(model);
  return model;
}

async function expectHidden(path: string, name: string): Promise<void> {
  const golden = goldenOf(name);
  const { hidden } = await forward(await load(path), golden.ids);
  const reference = golden.tensors.get('hidden')!;
  expect(hidden.shape).toEqual(reference.shape);
  const size = reference.data.length / reference.shape[0]!;
  for (let layer = 0; layer < reference.shape[0]!; layer++) {
    const of = (data: Float32Array) => data.subarray(layer * size, (layer + 1) * size);
    expectClose(of(hidden.data), of(reference.data), kTolerance, `${name}, layer ${layer}`);
  }
}

describe.each([...kCausalModels, 'bert'])('%s', (name) => {
  it('has the hidden states of transformers at every layer', () => expectHidden(tinyModel(name), name));
});

describe.each(kCausalModels)('%s', (name) => {
  it('has the logits of transformers', async () => {
    const golden = goldenOf(name);
    const { logits } = await forward(await load(tinyModel(name)), golden.ids);
    const reference = golden.tensors.get('logits')!;
    expect(logits?.shape).toEqual(reference.shape);
    expectClose(logits!.data, reference.data, kTolerance, name);
  });

  it('has the loss of transformers, whether sequences come together or alone', async () => {
    const golden = goldenOf(name);
    const model = await load(tinyModel(name));
    expectEachClose(await loss(model, golden.ids), [golden.loss!], kTolerance, 'loss');
    let sum = 0;
    for (const ids of golden.ids) sum += (await loss(model, [ids]))[0]! * (ids.length - 1);
    expectEachClose([sum / (golden.ids.flat().length - golden.ids.length)], [golden.loss!], kTolerance, 'loss alone');
  });

  it('gives a sequence the same states whatever it is packed with', async () => {
    const { ids } = goldenOf(name);
    const model = await load(tinyModel(name));
    const alone = await forward(model, [ids[1]!]);
    const packed = await forward(model, [ids[0]!, ids[1]!, ids[1]!, ids[2]!]);
    const [start, count, total] = [ids[0]!.length, ids[1]!.length, packed.hidden.shape[1]!];
    const width = packed.hidden.shape[2]!;
    for (let layer = 0; layer < packed.hidden.shape[0]!; layer++)
      for (const first of [start, start + count]) {
        const from = (layer * total + first) * width;
        const part = packed.hidden.data.subarray(from, from + count * width);
        expectClose(part, alone.hidden.data.subarray(layer * count * width, (layer + 1) * count * width), kTolerance);
      }
  });
});

/** A copy of a fixture whose weights go by other names. */
function renamed(name: string, copy: string, change: (tensor: string) => string | undefined): string {
  const folder = join(kTemporary, copy);
  cpSync(tinyModel(name), folder, { recursive: true });
  const tensors: PlainTensors = new Map();
  for (const [tensor, value] of readPlain(join(folder, 'model.safetensors'))) {
    const to = change(tensor);
    if (to !== undefined) tensors.set(to, value);
  }
  writePlain(join(folder, 'model.safetensors'), tensors);
  return folder;
}

describe('the same weights stored otherwise', () => {
  it('reads GPT-2 without `transformer.`, as its published checkpoint is', () =>
    expectHidden(
      renamed('gpt2', 'gpt2-bare', (t) => t.replace(/^transformer\./, '')),
      'gpt2',
    ));

  it('reads BERT with `bert.` and with a head that is not needed', async () => {
    const folder = renamed('bert', 'bert-prefixed', (t) => (t.startsWith('pooler.') ? undefined : `bert.${t}`));
    const path = join(folder, 'model.safetensors');
    const tensors = readPlain(path);
    tensors.set('cls.predictions.bias', { shape: [101], data: new Float32Array(101) });
    writePlain(path, tensors);
    await expectHidden(folder, 'bert');
  });

  it('reads OPT with `model.`', () =>
    expectHidden(
      renamed('opt-post-norm', 'opt-prefixed', (t) => `model.${t}`),
      'opt-post-norm',
    ));

  it('reads a tied model that stores its projection too', async () => {
    const folder = renamed('llama', 'llama-untied-file', (t) => t);
    const path = join(folder, 'model.safetensors');
    const tensors = readPlain(path);
    tensors.set('lm_head.weight', tensors.get('model.embed_tokens.weight')!);
    writePlain(path, tensors);
    await expectHidden(folder, 'llama');
  });

  it('names the missing shard', async () => {
    const folder = join(kTemporary, 'missing-shard');
    cpSync(tinyModel('qwen2'), folder, { recursive: true });
    rmSync(join(folder, 'model-00002-of-00002.safetensors'));
    await expect(loadModel(folder)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: expect.stringContaining('model-00002-of-00002.safetensors'),
    });
  });

  it('names a weight that the file lacks', async () => {
    const lacks = 'model.layers.1.self_attn.v_proj.weight';
    const folder = renamed('llama', 'missing-weight', (t) => (t === lacks ? undefined : t));
    await expect(loadModel(folder)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(NOT_FOUND|FORMAT)$/),
      message: expect.stringContaining(lacks),
    });
  });

  it('refuses weights of another shape than the config says', async () => {
    const folder = join(kTemporary, 'other-shape');
    cpSync(tinyModel('llama'), folder, { recursive: true });
    const path = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...config, intermediate_size: 48 }));
    await expect(loadModel(folder)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(FORMAT|CONFIG)$/),
      message: expect.stringContaining('proj'),
    });
  });
});
