/** Configurations that cannot be taken: each is refused by name. */
import { describe, expect, it } from 'vitest';
import { configFromJson } from '../../lib/model/config.js';
import { expectedParameters } from '../../lib/model/parameters.js';

const read = (raw: unknown) => () => configFromJson(raw, '/m/config.json');

describe('configFromJson', () => {
  const refused: [string, unknown, RegExp][] = [
    [
      'another model',
      { model_type: 'mamba' },
      /`model_type` in \/m\/config\.json .* llama, mistral, qwen2, gpt2, gpt_neox, opt, bert, vit, deit, dinov2, dinov2_with_registers, got `mamba`/,
    ],
    ['no model type', {}, /got `undefined`/],
    ['a name of Object', { model_type: 'constructor' }, /got `constructor`/],
    ['no object', null, /got `undefined`/],
    ['a text for a number', { model_type: 'llama', hidden_size: 'big' }, /`hidden_size` .*got `big` \(string\)/],
    ['zero layers', { model_type: 'bert', num_hidden_layers: 0 }, /`num_hidden_layers` .*got `0` \(number\)/],
    ['a billion layers', { model_type: 'gpt2', n_layer: 1e9 }, /1000000000 layers are more than any model has/],
    [
      'more tokens than fit a number',
      { model_type: 'llama', vocab_size: 2 ** 40 },
      /`vocab_size` .*got `1099511627776`/,
    ],
    ['yarn', { model_type: 'llama', rope_scaling: { type: 'yarn', factor: 2 } }, /linear or llama3, got `yarn`/],
    ['dynamic', { model_type: 'qwen2', rope_parameters: { rope_type: 'dynamic', factor: 2 } }, /got `dynamic`/],
    ['linear without factor', { model_type: 'llama', rope_scaling: { type: 'linear' } }, /`factor` for rotary scaling/],
    ['a share of each head', { model_type: 'llama', partial_rotary_factor: 0.5 }, /whole heads/],
    ['an activation', { model_type: 'bert', hidden_act: 'mish' }, /activation of silu, .*got `mish`/],
    ['relative positions', { model_type: 'bert', position_embedding_type: 'relative_key' }, /position_embedding_type/],
    ['a decoder', { model_type: 'bert', is_decoder: true }, /is_decoder/],
    [
      'scaled attention',
      { model_type: 'gpt2', scale_attn_by_inverse_layer_idx: true },
      /scale_attn_by_inverse_layer_idx/,
    ],
    ['norms without weights', { model_type: 'opt', layer_norm_elementwise_affine: false }, /elementwise_affine/],
    ['odd heads', { model_type: 'gpt2', n_head: 7 }, /hidden size 768 is not a multiple of its 7 heads/],
    ['odd groups', { model_type: 'llama', num_key_value_heads: 5 }, /32 heads are not a multiple of its 5/],
    ['an odd rotation', { model_type: 'llama', head_dim: 7 }, /even number of channels/],
    [
      'windows in some layers',
      { model_type: 'qwen2', use_sliding_window: true, max_window_layers: 4 },
      /one attention window/,
    ],
  ];
  it.each(refused)('refuses %s', (_, raw, message) => {
    expect(read(raw)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }));
  });
});

describe('expectedParameters', () => {
  const small = {
    num_hidden_layers: 1,
    hidden_size: 16,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    vocab_size: 11,
  };
  const names = (raw: object) => expectedParameters(configFromJson(raw, 'x')).map((parameter) => parameter.name);

  it('has a head only when embeddings are not tied', () => {
    expect(names({ model_type: 'llama', ...small })).toContain('lm_head.weight');
    expect(names({ model_type: 'llama', ...small, tie_word_embeddings: true })).not.toContain('lm_head.weight');
    expect(names({ model_type: 'gpt_neox', ...small })).toContain('embed_out.weight');
    expect(names({ model_type: 'bert', ...small }).some((name) => name.includes('pooler'))).toBe(false);
  });

  it('has biases where the family has them', () => {
    const biases = (raw: object) => names(raw).filter((name) => name.endsWith('.bias')).length;
    expect(biases({ model_type: 'llama', ...small })).toBe(0);
    expect(biases({ model_type: 'qwen2', ...small })).toBe(3);
    expect(biases({ model_type: 'llama', ...small, attention_bias: true, mlp_bias: true })).toBe(7);
  });
});
