/** The DINOv2-small inside an ONNX file of a model built on it, as a Hugging Face folder. */
import { readFile } from 'node:fs/promises';
import { CortuneError } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { Tensor } from '../tensor.js';
import { writeJson, writeTensors } from '../tune/lane-files.js';
import { type OnnxTensor, readOnnxWeights } from './onnx.js';

/** What the file's graph calls the backbone. */
const kBackbone = 'backbone.';
/** The export folded the position table into two constants: that of the class token, and those of the patches before they are interpolated. */
const kPositions = ['embeddings.Concat_6', 'embeddings.Reshape_1'] as const;

/** facebook/dinov2-small, as its config.json and preprocessor_config.json have it. */
const kConfig = {
  architectures: ['Dinov2Model'],
  model_type: 'dinov2',
  hidden_size: 384,
  num_hidden_layers: 12,
  num_attention_heads: 6,
  mlp_ratio: 4,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-6,
  image_size: 518,
  patch_size: 14,
  num_channels: 3,
  qkv_bias: true,
  use_swiglu_ffn: false,
  use_mask_token: false,
  initializer_range: 0.02,
};
const kProcessor = {
  do_resize: true,
  size: { shortest_edge: 256 },
  resample: 3,
  do_center_crop: true,
  crop_size: { height: 224, width: 224 },
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.485, 0.456, 0.406],
  image_std: [0.229, 0.224, 0.225],
};

function join(parts: readonly OnnxTensor[]): OnnxTensor {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  const [first] = parts;
  return { shape: [1, data.length / first!.shape[2]!, first!.shape[2]!], data };
}

/**
 * Writes `config.json`, `preprocessor_config.json` and `model.safetensors` into `folder`.
 * @throws ERR_FORMAT for a file that does not hold that model.
 */
export async function dinov2FromOnnx(path: string, folder: string, options: JobOptions = {}): Promise<void> {
  const weights = new Map<string, OnnxTensor>();
  for (const [name, tensor] of readOnnxWeights(await readFile(path), path))
    if (name.startsWith(kBackbone)) weights.set(name.slice(kBackbone.length), tensor);
  const parts = kPositions.map((name) => weights.get(name));
  if (parts.some((part) => part?.shape.length !== 3))
    throw new CortuneError('ERR_FORMAT', `Expected ${path} to hold a DINOv2 with its position table, and it does not.`);
  weights.set('embeddings.position_embeddings', join(parts as OnnxTensor[]));
  for (const name of kPositions) weights.delete(name);
  const names = [...weights.keys()];
  const tensors = [...weights.values()].map(({ data, shape }) => Tensor.from(data, shape));
  try {
    await writeTensors(folder, 'model.safetensors', { names, tensors: tensors.map(({ handle }) => handle) }, options);
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
  await writeJson(folder, 'preprocessor_config.json', kProcessor);
  await writeJson(folder, 'config.json', kConfig);
}
