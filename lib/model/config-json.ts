/** ModelConfig -> the config.json that transformers reads: the reverse of config.ts, for models saved by cortune. */
import type { ModelConfig } from '../native/types.js';

type Json = Record<string, unknown>;

const kActivationNames: Record<ModelConfig['activation'], string> = {
  silu: 'silu',
  gelu: 'gelu',
  gelu_tanh: 'gelu_new',
  relu: 'relu',
};

function ropeParameters(c: ModelConfig): Json {
  const base = { rope_type: c.ropeScaling || 'default', rope_theta: c.ropeTheta };
  if (c.ropeScaling === 'linear') return { ...base, factor: c.ropeFactor };
  if (c.ropeScaling !== 'llama3') return base;
  return {
    ...base,
    factor: c.ropeFactor,
    low_freq_factor: c.ropeLowFactor,
    high_freq_factor: c.ropeHighFactor,
    original_max_position_embeddings: c.ropeOriginalPositions,
  };
}

function common(c: ModelConfig): Json {
  return {
    vocab_size: c.vocabSize,
    hidden_size: c.hiddenSize,
    num_hidden_layers: c.layers,
    num_attention_heads: c.heads,
    max_position_embeddings: c.maxPositions,
    tie_word_embeddings: c.tieEmbeddings,
    initializer_range: c.initializerRange,
  };
}

/** Qwen2 is the one with biases on q, k, v alone; Mistral the one with a window. */
function llamaJson(c: ModelConfig): Json {
  const qwen = c.qkvBias && !c.outBias;
  const fields = {
    ...common(c),
    intermediate_size: c.intermediateSize,
    num_key_value_heads: c.kvHeads,
    head_dim: c.headDim,
    hidden_act: kActivationNames[c.activation],
    rms_norm_eps: c.normEps,
    rope_parameters: ropeParameters(c),
  };
  if (qwen)
    return {
      model_type: 'qwen2',
      architectures: ['Qwen2ForCausalLM'],
      ...fields,
      use_sliding_window: c.slidingWindow > 0,
      sliding_window: c.slidingWindow || null,
      max_window_layers: 0,
    };
  if (c.slidingWindow > 0)
    return { model_type: 'mistral', architectures: ['MistralForCausalLM'], ...fields, sliding_window: c.slidingWindow };
  const biases = { attention_bias: c.qkvBias, mlp_bias: c.mlpBias };
  return { model_type: 'llama', architectures: ['LlamaForCausalLM'], ...fields, ...biases };
}

function gpt2Json(c: ModelConfig): Json {
  return {
    model_type: 'gpt2',
    architectures: ['GPT2LMHeadModel'],
    vocab_size: c.vocabSize,
    n_positions: c.maxPositions,
    n_embd: c.hiddenSize,
    n_layer: c.layers,
    n_head: c.heads,
    n_inner: c.intermediateSize,
    activation_function: kActivationNames[c.activation],
    layer_norm_epsilon: c.normEps,
    tie_word_embeddings: c.tieEmbeddings,
    initializer_range: c.initializerRange,
  };
}

function neoxJson(c: ModelConfig): Json {
  return {
    model_type: 'gpt_neox',
    architectures: ['GPTNeoXForCausalLM'],
    ...common(c),
    intermediate_size: c.intermediateSize,
    hidden_act: kActivationNames[c.activation],
    layer_norm_eps: c.normEps,
    use_parallel_residual: c.parallelResidual,
    attention_bias: c.qkvBias,
    rope_parameters: { ...ropeParameters(c), partial_rotary_factor: c.ropeShare },
  };
}

function optJson(c: ModelConfig): Json {
  return {
    model_type: 'opt',
    architectures: ['OPTForCausalLM'],
    vocab_size: c.vocabSize,
    hidden_size: c.hiddenSize,
    num_hidden_layers: c.layers,
    num_attention_heads: c.heads,
    max_position_embeddings: c.maxPositions,
    ffn_dim: c.intermediateSize,
    activation_function: kActivationNames[c.activation],
    word_embed_proj_dim: c.embedSize,
    do_layer_norm_before: c.preNorm,
    _remove_final_layer_norm: c.preNorm && !c.finalNorm,
    enable_bias: c.qkvBias,
    tie_word_embeddings: c.tieEmbeddings,
    init_std: c.initializerRange,
  };
}

function bertJson(c: ModelConfig): Json {
  return {
    model_type: 'bert',
    architectures: ['BertModel'],
    ...common(c),
    intermediate_size: c.intermediateSize,
    hidden_act: kActivationNames[c.activation],
    layer_norm_eps: c.normEps,
    type_vocab_size: c.typeVocabSize,
  };
}

function imagesJson(c: ModelConfig): Json {
  return {
    hidden_size: c.hiddenSize,
    num_hidden_layers: c.layers,
    num_attention_heads: c.heads,
    hidden_act: kActivationNames[c.activation],
    layer_norm_eps: c.normEps,
    image_size: c.imageSize,
    patch_size: c.patchSize,
    num_channels: c.channels,
    qkv_bias: c.qkvBias,
    initializer_range: c.initializerRange,
  };
}

function vitJson(c: ModelConfig): Json {
  const type = c.family === 'deit' ? 'deit' : 'vit';
  return {
    model_type: type,
    architectures: [type === 'deit' ? 'DeiTModel' : 'ViTModel'],
    ...imagesJson(c),
    intermediate_size: c.intermediateSize,
  };
}

function dinov2Json(c: ModelConfig): Json {
  // Of a gated MLP the file says the size before two thirds of it are kept.
  const inner = c.gatedMlp ? Math.ceil((c.intermediateSize * 3) / 2) : c.intermediateSize;
  return {
    model_type: c.antialias ? 'dinov2_with_registers' : 'dinov2',
    architectures: [c.antialias ? 'Dinov2WithRegistersModel' : 'Dinov2Model'],
    ...imagesJson(c),
    hidden_act: c.gatedMlp ? 'gelu' : kActivationNames[c.activation],
    mlp_ratio: inner / c.hiddenSize,
    use_swiglu_ffn: c.gatedMlp,
    ...(c.antialias ? { num_register_tokens: c.registers } : { use_mask_token: false }),
  };
}

/** What config.json says of a model; `configFromJson` of it gives the same config. */
export function configToJson(config: ModelConfig): Json {
  const write = {
    llama: llamaJson,
    gpt2: gpt2Json,
    neox: neoxJson,
    opt: optJson,
    bert: bertJson,
    vit: vitJson,
    deit: vitJson,
    dinov2: dinov2Json,
  }[config.family];
  return { ...write(config), dtype: 'float32' };
}
