/** Weight maps: spellings of names, shards, and what is missing. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configFromJson } from '../../lib/model/config.js';
import { expectedParameters } from '../../lib/model/parameters.js';
import { findWeightFiles, planWeights, type WeightFile } from '../../lib/model/weights.js';
import type { TensorInfo } from '../../lib/native/types.js';
import { temporaryFolder } from '../helpers/temporary.js';

const kSmall = { num_hidden_layers: 2, hidden_size: 16, num_attention_heads: 2, vocab_size: 11, intermediate_size: 12 };
const config = (model_type: string, more: object = {}) =>
  configFromJson({ model_type, ...kSmall, n_embd: 16, n_layer: 2, n_head: 2, ffn_dim: 12, ...more }, 'config.json');

function file(path: string, tensors: TensorInfo[]): WeightFile {
  return { path, header: { format: 'safetensors', tensors, metadata: {} } };
}

/** All parameters of a model, stored under other names. */
function stored(type: string, rename: (name: string) => string, more: object = {}): TensorInfo[] {
  return expectedParameters(config(type, more)).map(({ name, shape }) => ({
    name: rename(name),
    dtype: 'F32',
    shape: type === 'gpt2' && /(c_attn|c_proj|c_fc)\.weight/.test(name) ? [...shape].reverse() : shape,
  }));
}

describe('planWeights', () => {
  it('refuses weights of the blocks that the model would leave out', () => {
    const tensors = stored('llama', (name) => name);
    const plan = (name: string) => () =>
      planWeights(config('llama'), [file('w.safetensors', [...tensors, { name, dtype: 'F32', shape: [16] }])]);
    for (const name of ['model.layers.2.input_layernorm.weight', 'model.layers.0.self_attn.q_norm.weight'])
      expect(plan(name)).toThrow(
        expect.objectContaining({ code: 'ERR_FORMAT', message: expect.stringContaining(name) }),
      );
    for (const name of ['model.layers.0.self_attn.rotary_emb.inv_freq', 'h.0.attn.bias', 'score.weight'])
      expect(plan(name)).not.toThrow();
  });

  it('refuses weights that are no real numbers', () => {
    const tensors = stored('llama', (name) => name).map((tensor) => ({ ...tensor, dtype: 'I32' }));
    expect(() => planWeights(config('llama'), [file('w.safetensors', tensors)])).toThrow(/real numbers, got type I32/);
  });

  const spellings: [string, (name: string) => string][] = [
    ['llama', (name) => name.replace(/^model\./, '')],
    ['gpt2', (name) => name],
    ['gpt2', (name) => name.replace(/^transformer\./, '')],
    ['gpt_neox', (name) => name.replace('embed_out', 'lm_head')],
    ['opt', (name) => name.replace(/^model\./, '')],
    ['bert', (name) => `bert.${name}`],
    [
      'bert',
      (name) =>
        `bert.${name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}`,
    ],
  ];
  it.each(spellings)('finds %s under names %s', (type, rename) => {
    const tensors = [...stored(type, rename), { name: 'h.0.attn.bias', dtype: 'BOOL', shape: [4] }];
    const { weights } = planWeights(config(type), [file('a', tensors)]);
    const parameters = expectedParameters(config(type));
    expect(weights.map(({ name }) => name)).toEqual(parameters.map(({ name }) => name));
    expect(weights.map(({ stored: from }) => from)).toEqual(parameters.map(({ name }) => rename(name)));
  });

  it('turns what GPT-2 stores as [in, out]', () => {
    const { weights } = planWeights(config('gpt2'), [
      file(
        'a',
        stored('gpt2', (name) => name),
      ),
    ]);
    const turned = weights
      .filter(({ transform }) => transform === 'transpose')
      .map(({ name }) => name.replace(/.*\.\d\./, ''));
    expect([...new Set(turned)].sort()).toEqual([
      'attn.c_attn.weight',
      'attn.c_proj.weight',
      'mlp.c_fc.weight',
      'mlp.c_proj.weight',
    ]);
  });

  it('takes shards in any order', () => {
    const all = stored('llama', (name) => name);
    const plan = planWeights(config('llama'), [file('b', all.slice(5)), file('a', all.slice(0, 5))]);
    expect(plan.files).toEqual(['b', 'a']);
    expect(plan.weights.slice(0, 6).map((weight) => weight.file)).toEqual([1, 1, 1, 1, 1, 0]);
  });

  it('names a missing weight and its file', () => {
    const tensors = stored('llama', (name) => name).filter(({ name }) => name !== 'model.layers.1.mlp.up_proj.weight');
    const message = /`model\.layers\.1\.mlp\.up_proj\.weight` in \/m\/model\.safetensors/;
    expect(() => planWeights(config('llama'), [file('/m/model.safetensors', tensors)])).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_FOUND', message: expect.stringMatching(message) }),
    );
  });

  it('names a weight of another shape', () => {
    const tensors = stored('llama', (name) => name, { vocab_size: 12 });
    const message = /`model\.embed_tokens\.weight` in f to have shape \[11, 16\], .* got \[12, 16\]/;
    expect(() => planWeights(config('llama'), [file('f', tensors)])).toThrow(
      expect.objectContaining({ code: 'ERR_FORMAT', message: expect.stringMatching(message) }),
    );
  });
});

describe('findWeightFiles', () => {
  const root = temporaryFolder();
  let count = 0;
  const folder = (files: Record<string, string>) => {
    const path = join(root, String(count++));
    mkdirSync(path);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    return path;
  };
  const index = (map: unknown) => ({ 'model.safetensors.index.json': JSON.stringify({ weight_map: map }) });

  it('prefers the single file, then the index, then the only file there is', async () => {
    const single = folder({ 'model.safetensors': '', ...index({ a: 'x.safetensors' }) });
    expect(await findWeightFiles(single)).toEqual([join(single, 'model.safetensors')]);
    const sharded = folder({
      'x-1.safetensors': '',
      'x-2.safetensors': '',
      ...index({ a: 'x-1.safetensors', b: 'x-2.safetensors', c: 'x-1.safetensors' }),
    });
    expect(await findWeightFiles(sharded)).toEqual([
      join(sharded, 'x-1.safetensors'),
      join(sharded, 'x-2.safetensors'),
    ]);
    const other = folder({ 'weights.safetensors': '' });
    expect(await findWeightFiles(other)).toEqual([join(other, 'weights.safetensors')]);
  });

  const refused: [string, Record<string, string>, string, RegExp][] = [
    [
      'a missing shard',
      { 'a.safetensors': '', ...index({ x: 'a.safetensors', y: 'b.safetensors' }) },
      'ERR_NOT_FOUND',
      /shard b\.safetensors/,
    ],
    ['a shard elsewhere', index({ x: '../a.safetensors' }), 'ERR_FORMAT', /shards in its folder, got `\.\.\/a/],
    ['an index of numbers', index({ x: 7 }), 'ERR_FORMAT', /got `7`/],
    ['an empty index', index({}), 'ERR_FORMAT', /at least one shard/],
    ['no index in it', { 'model.safetensors.index.json': 'null' }, 'ERR_FORMAT', /hold a `weight_map`/],
    ['a broken index', { 'model.safetensors.index.json': '{' }, 'ERR_FORMAT', /be JSON/],
    ['an adapter', { 'adapter_model.safetensors': '' }, 'ERR_NOT_FOUND', /adapter only/],
    ['a PyTorch checkpoint', { 'pytorch_model.bin': '' }, 'ERR_NOT_FOUND', /convert them to safetensors/],
    ['nothing', {}, 'ERR_NOT_FOUND', /Download the model again/],
  ];
  it.each(refused)('refuses %s', async (_, files, code, message) => {
    await expect(findWeightFiles(folder(files))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });
});
