/** GGUF's names of the weights. */
import type { ModelConfig, WeightSource } from '../native/types.js';

const kRotaryLayers = { 'self_attn.q_proj': 'attn_q', 'self_attn.k_proj': 'attn_k', 'self_attn.v_proj': 'attn_v' };
/** Names without `.weight` and `.bias`; what stands in a layer comes after `layers`. */
const kNames: Record<
  ModelConfig['family'],
  { whole: Record<string, string>; layers: string; parts: Record<string, string> }
> = {
  llama: {
    whole: { 'model.embed_tokens': 'token_embd', 'model.norm': 'output_norm', lm_head: 'output' },
    layers: 'model.layers.',
    parts: {
      ...kRotaryLayers,
      'self_attn.o_proj': 'attn_output',
      'mlp.gate_proj': 'ffn_gate',
      'mlp.up_proj': 'ffn_up',
      'mlp.down_proj': 'ffn_down',
      input_layernorm: 'attn_norm',
      post_attention_layernorm: 'ffn_norm',
    },
  },
  gpt2: {
    whole: { 'transformer.wte': 'token_embd', 'transformer.wpe': 'position_embd', 'transformer.ln_f': 'output_norm' },
    layers: 'transformer.h.',
    parts: {
      ln_1: 'attn_norm',
      'attn.c_attn': 'attn_qkv',
      'attn.c_proj': 'attn_output',
      ln_2: 'ffn_norm',
      'mlp.c_fc': 'ffn_up',
      'mlp.c_proj': 'ffn_down',
    },
  },
  neox: {
    whole: { 'gpt_neox.embed_in': 'token_embd', 'gpt_neox.final_layer_norm': 'output_norm', embed_out: 'output' },
    layers: 'gpt_neox.layers.',
    parts: {
      input_layernorm: 'attn_norm',
      post_attention_layernorm: 'ffn_norm',
      'attention.query_key_value': 'attn_qkv',
      'attention.dense': 'attn_output',
      'mlp.dense_h_to_4h': 'ffn_up',
      'mlp.dense_4h_to_h': 'ffn_down',
    },
  },
  opt: { whole: {}, layers: '', parts: {} }, // no GGUF architecture
  vit: { whole: {}, layers: '', parts: {} },
  deit: { whole: {}, layers: '', parts: {} },
  dinov2: { whole: {}, layers: '', parts: {} },
  bert: {
    whole: {
      'embeddings.word_embeddings': 'token_embd',
      'embeddings.position_embeddings': 'position_embd',
      'embeddings.token_type_embeddings': 'token_types',
      'embeddings.LayerNorm': 'token_embd_norm',
    },
    layers: 'encoder.layer.',
    parts: {
      'attention.self.query': 'attn_q',
      'attention.self.key': 'attn_k',
      'attention.self.value': 'attn_v',
      'attention.output.dense': 'attn_output',
      'attention.output.LayerNorm': 'attn_output_norm',
      'intermediate.dense': 'ffn_up',
      'output.dense': 'ffn_down',
      'output.LayerNorm': 'layer_output_norm',
    },
  },
};

/** GGUF's name of a parameter, and what undoes what llama.cpp's converter did to it. */
export function ggufSource(
  name: string,
  config: ModelConfig,
  architecture: string,
): Pick<WeightSource, 'stored' | 'transform' | 'heads'> {
  const { whole, layers, parts } = kNames[config.family];
  const dot = name.lastIndexOf('.');
  const [module, leaf] = [name.slice(0, dot), name.slice(dot)];
  if (module in whole) return { stored: whole[module] + leaf, transform: '', heads: 0 };
  const [index, ...rest] = module.slice(layers.length).split('.');
  const part = parts[rest.join('.')];
  const stored = `blk.${index}.${part}${leaf}`;
  if (architecture === 'llama' && part === 'attn_q') return { stored, transform: 'unpermute', heads: config.heads };
  if (architecture === 'llama' && part === 'attn_k') return { stored, transform: 'unpermute', heads: config.kvHeads };
  if (architecture === 'gptneox' && part === 'attn_qkv') return { stored, transform: 'regroup', heads: config.heads };
  return { stored, transform: '', heads: 0 };
}
