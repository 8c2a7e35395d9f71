/** The parameters each family has: transformers' names of the causal model (BERT: the bare encoder), and shapes. */
import type { ModelConfig } from '../native/types.js';

export interface Parameter {
  name: string;
  /** Linear weights are [out, in]. */
  shape: number[];
  /** Weight of a linear module that a method can attach to. */
  linear: boolean;
}

class List {
  readonly parameters: Parameter[] = [];

  add(name: string, ...shape: number[]): void {
    this.parameters.push({ name, shape, linear: false });
  }
  linear(name: string, inputs: number, outputs: number, bias: boolean): void {
    this.parameters.push({ name: `${name}.weight`, shape: [outputs, inputs], linear: true });
    if (bias) this.add(`${name}.bias`, outputs);
  }
  layerNorm(name: string, size: number): void {
    this.add(`${name}.weight`, size);
    this.add(`${name}.bias`, size);
  }
}

function llama(c: ModelConfig, list: List): void {
  list.add('model.embed_tokens.weight', c.vocabSize, c.hiddenSize);
  for (let i = 0; i < c.layers; i++) {
    const layer = `model.layers.${i}`;
    list.linear(`${layer}.self_attn.q_proj`, c.hiddenSize, c.heads * c.headDim, c.qkvBias);
    list.linear(`${layer}.self_attn.k_proj`, c.hiddenSize, c.kvHeads * c.headDim, c.qkvBias);
    list.linear(`${layer}.self_attn.v_proj`, c.hiddenSize, c.kvHeads * c.headDim, c.qkvBias);
    list.linear(`${layer}.self_attn.o_proj`, c.heads * c.headDim, c.hiddenSize, c.outBias);
    list.linear(`${layer}.mlp.gate_proj`, c.hiddenSize, c.intermediateSize, c.mlpBias);
    list.linear(`${layer}.mlp.up_proj`, c.hiddenSize, c.intermediateSize, c.mlpBias);
    list.linear(`${layer}.mlp.down_proj`, c.intermediateSize, c.hiddenSize, c.mlpBias);
    list.add(`${layer}.input_layernorm.weight`, c.hiddenSize);
    list.add(`${layer}.post_attention_layernorm.weight`, c.hiddenSize);
  }
  list.add('model.norm.weight', c.hiddenSize);
  if (!c.tieEmbeddings) list.add('lm_head.weight', c.vocabSize, c.hiddenSize);
}

function gpt2(c: ModelConfig, list: List): void {
  list.add('transformer.wte.weight', c.vocabSize, c.hiddenSize);
  list.add('transformer.wpe.weight', c.maxPositions, c.hiddenSize);
  for (let i = 0; i < c.layers; i++) {
    const layer = `transformer.h.${i}`;
    list.layerNorm(`${layer}.ln_1`, c.hiddenSize);
    list.linear(`${layer}.attn.c_attn`, c.hiddenSize, 3 * c.hiddenSize, true);
    list.linear(`${layer}.attn.c_proj`, c.hiddenSize, c.hiddenSize, true);
    list.layerNorm(`${layer}.ln_2`, c.hiddenSize);
    list.linear(`${layer}.mlp.c_fc`, c.hiddenSize, c.intermediateSize, true);
    list.linear(`${layer}.mlp.c_proj`, c.intermediateSize, c.hiddenSize, true);
  }
  list.layerNorm('transformer.ln_f', c.hiddenSize);
  if (!c.tieEmbeddings) list.add('lm_head.weight', c.vocabSize, c.hiddenSize);
}

function neox(c: ModelConfig, list: List): void {
  list.add('gpt_neox.embed_in.weight', c.vocabSize, c.hiddenSize);
  for (let i = 0; i < c.layers; i++) {
    const layer = `gpt_neox.layers.${i}`;
    list.layerNorm(`${layer}.input_layernorm`, c.hiddenSize);
    list.layerNorm(`${layer}.post_attention_layernorm`, c.hiddenSize);
    list.linear(`${layer}.attention.query_key_value`, c.hiddenSize, 3 * c.hiddenSize, c.qkvBias);
    list.linear(`${layer}.attention.dense`, c.hiddenSize, c.hiddenSize, c.outBias);
    list.linear(`${layer}.mlp.dense_h_to_4h`, c.hiddenSize, c.intermediateSize, true);
    list.linear(`${layer}.mlp.dense_4h_to_h`, c.intermediateSize, c.hiddenSize, true);
  }
  list.layerNorm('gpt_neox.final_layer_norm', c.hiddenSize);
  if (!c.tieEmbeddings) list.add('embed_out.weight', c.vocabSize, c.hiddenSize);
}

function opt(c: ModelConfig, list: List): void {
  list.add('model.decoder.embed_tokens.weight', c.vocabSize, c.embedSize);
  list.add('model.decoder.embed_positions.weight', c.maxPositions + 2, c.hiddenSize); // positions count from 2
  if (c.embedSize !== c.hiddenSize) {
    list.linear('model.decoder.project_out', c.hiddenSize, c.embedSize, false);
    list.linear('model.decoder.project_in', c.embedSize, c.hiddenSize, false);
  }
  if (c.finalNorm) list.layerNorm('model.decoder.final_layer_norm', c.hiddenSize);
  for (let i = 0; i < c.layers; i++) {
    const layer = `model.decoder.layers.${i}`;
    for (const part of ['k_proj', 'v_proj', 'q_proj', 'out_proj'])
      list.linear(`${layer}.self_attn.${part}`, c.hiddenSize, c.hiddenSize, c.qkvBias);
    list.layerNorm(`${layer}.self_attn_layer_norm`, c.hiddenSize);
    list.linear(`${layer}.fc1`, c.hiddenSize, c.intermediateSize, c.mlpBias);
    list.linear(`${layer}.fc2`, c.intermediateSize, c.hiddenSize, c.mlpBias);
    list.layerNorm(`${layer}.final_layer_norm`, c.hiddenSize);
  }
  if (!c.tieEmbeddings) list.add('lm_head.weight', c.vocabSize, c.embedSize);
}

function bert(c: ModelConfig, list: List): void {
  list.add('embeddings.word_embeddings.weight', c.vocabSize, c.hiddenSize);
  list.add('embeddings.position_embeddings.weight', c.maxPositions, c.hiddenSize);
  list.add('embeddings.token_type_embeddings.weight', c.typeVocabSize, c.hiddenSize);
  list.layerNorm('embeddings.LayerNorm', c.hiddenSize);
  for (let i = 0; i < c.layers; i++) {
    const layer = `encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value'])
      list.linear(`${layer}.attention.self.${part}`, c.hiddenSize, c.hiddenSize, true);
    list.linear(`${layer}.attention.output.dense`, c.hiddenSize, c.hiddenSize, true);
    list.layerNorm(`${layer}.attention.output.LayerNorm`, c.hiddenSize);
    list.linear(`${layer}.intermediate.dense`, c.hiddenSize, c.intermediateSize, true);
    list.linear(`${layer}.output.dense`, c.intermediateSize, c.hiddenSize, true);
    list.layerNorm(`${layer}.output.LayerNorm`, c.hiddenSize);
  }
}

/** Heads that a checkpoint may lack: then they are drawn as transformers draws them. */
function bertHeads(c: ModelConfig, list: List): void {
  list.linear('pooler.dense', c.hiddenSize, c.hiddenSize, true);
  list.linear('cls.predictions.transform.dense', c.hiddenSize, c.hiddenSize, true);
  list.layerNorm('cls.predictions.transform.LayerNorm', c.hiddenSize);
  list.add('cls.predictions.bias', c.vocabSize);
  if (!c.tieEmbeddings) list.add('cls.predictions.decoder.weight', c.vocabSize, c.hiddenSize);
}

/** Everything of a model of images before its blocks, and the norm behind them. */
function imageEnds(c: ModelConfig, list: List, lead: number): void {
  const patches = Math.floor(c.imageSize / c.patchSize) ** 2;
  list.add('embeddings.cls_token', 1, 1, c.hiddenSize);
  list.add('embeddings.position_embeddings', 1, lead + patches, c.hiddenSize);
  if (lead > 1) list.add('embeddings.distillation_token', 1, 1, c.hiddenSize);
  if (c.registers > 0) list.add('embeddings.register_tokens', 1, c.registers, c.hiddenSize);
  list.add('embeddings.patch_embeddings.projection.weight', c.hiddenSize, c.channels, c.patchSize, c.patchSize);
  list.add('embeddings.patch_embeddings.projection.bias', c.hiddenSize);
  list.layerNorm('layernorm', c.hiddenSize);
}

function imageAttention(c: ModelConfig, list: List, layer: string): void {
  for (const part of ['q_proj', 'k_proj', 'v_proj'])
    list.linear(`${layer}.attention.${part}`, c.hiddenSize, c.hiddenSize, c.qkvBias);
  list.linear(`${layer}.attention.o_proj`, c.hiddenSize, c.hiddenSize, true);
}

function vit(c: ModelConfig, list: List): void {
  imageEnds(c, list, c.family === 'deit' ? 2 : 1);
  for (let i = 0; i < c.layers; i++) {
    const layer = `layers.${i}`;
    imageAttention(c, list, layer);
    list.layerNorm(`${layer}.layernorm_before`, c.hiddenSize);
    list.layerNorm(`${layer}.layernorm_after`, c.hiddenSize);
    list.linear(`${layer}.mlp.fc1`, c.hiddenSize, c.intermediateSize, true);
    list.linear(`${layer}.mlp.fc2`, c.intermediateSize, c.hiddenSize, true);
  }
}

function dinov2(c: ModelConfig, list: List): void {
  imageEnds(c, list, 1);
  for (let i = 0; i < c.layers; i++) {
    const layer = `encoder.layer.${i}`;
    list.layerNorm(`${layer}.norm1`, c.hiddenSize);
    imageAttention(c, list, layer);
    list.add(`${layer}.layer_scale1.lambda1`, c.hiddenSize);
    list.layerNorm(`${layer}.norm2`, c.hiddenSize);
    const [up, down] = c.gatedMlp ? ['up_proj', 'down_proj'] : ['fc1', 'fc2'];
    if (c.gatedMlp) list.linear(`${layer}.mlp.gate_proj`, c.hiddenSize, c.intermediateSize, true);
    list.linear(`${layer}.mlp.${up}`, c.hiddenSize, c.intermediateSize, true);
    list.linear(`${layer}.mlp.${down}`, c.intermediateSize, c.hiddenSize, true);
    list.add(`${layer}.layer_scale2.lambda1`, c.hiddenSize);
  }
}

/** Parts of a block's name as transformers 5 has them in memory, and as it and all versions before it write them to files. */
const kInFiles: readonly (readonly [RegExp, string])[] = [
  [/^layers\./, 'encoder.layer.'],
  [/\.attention\.q_proj\./, '.attention.attention.query.'],
  [/\.attention\.k_proj\./, '.attention.attention.key.'],
  [/\.attention\.v_proj\./, '.attention.attention.value.'],
  [/\.attention\.o_proj\./, '.attention.output.dense.'],
];
const kVitInFiles = [
  ...kInFiles,
  [/\.mlp\.fc1\./, '.intermediate.dense.'],
  [/\.mlp\.fc2\./, '.output.dense.'],
] as const;

/** What files of a family call a parameter. Models of images are the only ones that are written otherwise than they are named. */
export function nameInFiles(name: string, family: ModelConfig['family']): string {
  const table = { vit: kVitInFiles, deit: kVitInFiles, dinov2: kInFiles }[family as string] ?? [];
  return table.reduce((all, [part, written]) => all.replace(part, written), name);
}

const kFamilies = { llama, gpt2, neox, opt, bert, vit, deit: vit, dinov2 };

/** Every parameter of a model of this configuration, as native/model declares them. */
export function expectedParameters(config: ModelConfig): Parameter[] {
  const list = new List();
  kFamilies[config.family](config, list);
  return list.parameters;
}

/** Parameters of heads that some objectives use and a checkpoint may lack, as native/model declares them. */
export function headParameters(config: ModelConfig): Parameter[] {
  const list = new List();
  if (config.family === 'bert') bertHeads(config, list);
  return list.parameters;
}
