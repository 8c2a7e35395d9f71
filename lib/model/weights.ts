/** From a configuration and the headers of weight files to where each weight of the model comes from. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CortuneError, show } from '../errors.js';
import type { FileHeader, ModelConfig, TensorInfo, WeightSource } from '../native/types.js';
import { ggufSource } from './gguf-names.js';
import { expectedParameters, headParameters, nameInFiles, type Parameter } from './parameters.js';

/** A weight file and what its header says. */
export interface WeightFile {
  path: string;
  header: FileHeader;
}

/** Files to map and, for every parameter, its place in them. */
export interface WeightPlan {
  files: string[];
  weights: WeightSource[];
}

const kIndex = 'model.safetensors.index.json';
const kSingle = 'model.safetensors';

/**
 * The weight files of a model folder: `model.safetensors`, else the shards of `model.safetensors.index.json`, else the only safetensors
 * file there is. Throws ERR_NOT_FOUND when there is none or a shard is missing, ERR_FORMAT for an index that makes no sense.
 */
export async function findWeightFiles(folder: string): Promise<string[]> {
  if (existsSync(join(folder, kSingle))) return [join(folder, kSingle)];
  if (existsSync(join(folder, kIndex))) return await shards(folder);
  const names = await readdir(folder);
  const found = names.filter((name) => name.endsWith('.safetensors'));
  if (found.length === 1 && found[0] !== 'adapter_model.safetensors') return [join(folder, found[0]!)];
  const advice =
    found.length > 1
      ? `It has ${found.length} safetensors files and no ${kIndex}.`
      : found.length === 1
        ? 'It holds an adapter only: give the base model as the model, and this folder as the adapter.'
        : names.some((name) => name.endsWith('.bin') || name.endsWith('.pt'))
          ? 'It has weights of PyTorch only: convert them to safetensors.'
          : 'Download the model again.';
  throw new CortuneError('ERR_NOT_FOUND', `Expected ${kSingle} or ${kIndex} in ${folder}. ${advice}`);
}

async function shards(folder: string): Promise<string[]> {
  const path = join(folder, kIndex);
  const wrong = (what: string) => new CortuneError('ERR_FORMAT', `Expected ${path} to ${what}. Download it again.`);
  let map: unknown;
  try {
    map = (JSON.parse(await readFile(path, 'utf8')) as { weight_map?: unknown } | null)?.weight_map;
  } catch (error) {
    throw wrong(`be JSON, but ${(error as Error).message}`);
  }
  if (typeof map !== 'object' || map === null) throw wrong('hold a `weight_map`');
  const names = [...new Set(Object.values(map))];
  if (names.length === 0) throw wrong('name at least one shard');
  return names.map((name) => {
    if (typeof name !== 'string' || basename(name) !== name)
      throw wrong(`name shards in its folder, got ${show(name)}`);
    if (!existsSync(join(folder, name)))
      throw new CortuneError(
        'ERR_NOT_FOUND',
        `Expected shard ${name} in ${folder}, one of ${names.length} that ${kIndex} names. Download the model again.`,
      );
    return join(folder, name);
  });
}

/** What saved names may lack (saved from the bare model) or have before them (saved from a model with a head). */
const kPrefixes: Record<ModelConfig['family'], { drop: string; add: readonly string[] }> = {
  llama: { drop: 'model.', add: [] },
  gpt2: { drop: 'transformer.', add: [] },
  neox: { drop: 'gpt_neox.', add: [] },
  opt: { drop: 'model.', add: [] },
  bert: { drop: '', add: ['bert.'] },
  vit: { drop: '', add: ['vit.'] },
  deit: { drop: '', add: ['deit.'] },
  dinov2: { drop: '', add: ['dinov2.', 'dinov2_with_registers.'] },
};

function spellings(name: string, family: ModelConfig['family']): string[] {
  const { drop, add } = kPrefixes[family];
  const names = [...new Set([name, nameInFiles(name, family)])];
  if (drop && name.startsWith(drop)) names.push(name.slice(drop.length));
  names.push(...add.flatMap((prefix) => names.map((each) => prefix + each)));
  if (name === 'cls.predictions.bias') names.push('cls.predictions.decoder.bias');
  if (family === 'neox' && name === 'embed_out.weight') names.push('lm_head.weight');
  // BERT checkpoints converted from TensorFlow call a layer norm's weight and bias so.
  if (family === 'bert' && name.includes('LayerNorm')) {
    const old = names.map((each) => each.replace(/weight$/, 'gamma').replace(/bias$/, 'beta'));
    names.push(...old);
  }
  return names;
}

type Wanted = Pick<WeightSource, 'stored' | 'transform' | 'heads'>;

function candidates(parameter: Parameter, config: ModelConfig, file: WeightFile): Wanted[] {
  if (file.header.format === 'gguf')
    return [ggufSource(parameter.name, config, String(file.header.metadata['general.architecture']))];
  // GPT-2's linear layers are stored [in, out].
  const conv = config.family === 'gpt2' && /\.(c_attn|c_proj|c_fc)\.weight$/.test(parameter.name);
  const names = spellings(parameter.name, config.family);
  const plain = names.map((stored): Wanted => ({ stored, transform: conv ? 'transpose' : '', heads: 0 }));
  return config.gatedMlp ? [...plain, ...names.flatMap(halfOfGated)] : plain;
}

/** transformers 4 keeps gate and up projection of DINOv2's gated MLP as one. */
function halfOfGated(name: string): Wanted[] {
  const [, before, part, after] = /^(.*\.mlp\.)(gate_proj|up_proj|down_proj)(\..*)$/.exec(name) ?? [];
  if (part === undefined) return [];
  if (part === 'down_proj') return [{ stored: `${before}weights_out${after}`, transform: '', heads: 0 }];
  return [{ stored: `${before}weights_in${after}`, transform: part === 'gate_proj' ? 'top' : 'bottom', heads: 0 }];
}

function checkFit(parameter: Parameter, wanted: Wanted, tensor: TensorInfo, file: WeightFile): void {
  if (/^(?:[IU]\d+|BOOL)$/.test(tensor.dtype))
    throw new CortuneError(
      'ERR_FORMAT',
      `Expected \`${wanted.stored}\` in ${file.path} to hold real numbers, got type ${tensor.dtype}. Quantised checkpoints of ` +
        'this kind cannot be read: take the original weights or a GGUF file.',
    );
  const half = wanted.transform === 'top' || wanted.transform === 'bottom';
  const [rows, ...others] = parameter.shape;
  const shape =
    wanted.transform === 'transpose' ? [...parameter.shape].reverse() : half ? [2 * rows!, ...others] : parameter.shape;
  if (shape.join() === tensor.shape.join()) return;
  throw new CortuneError(
    'ERR_FORMAT',
    `Expected \`${wanted.stored}\` in ${file.path} to have shape [${shape.join(', ')}], as the model's configuration says, got ` +
      `[${tensor.shape.join(', ')}]. The configuration and the weights belong to different models.`,
  );
}

/** Masks that old GPT-2 and GPT-NeoX checkpoints keep in their blocks. */
const kBuffers = /\.(?:attn|attention)\.(?:masked_)?bias$/;
/** A weight of a transformer block, under any family's naming. */
const kOfBlock = /(?:^|\.)(?:layers?|h|blk)\.\d+\..*\.(?:weight|bias)$/;

/** A block's weight that the model would leave out changes what it computes: more layers, other norms, biases, adapters. */
function checkLeftovers(files: WeightFile[], weights: readonly WeightSource[]): void {
  const used = new Set(weights.map(({ stored }) => stored));
  for (const { path, header } of files)
    for (const { name } of header.tensors)
      if (kOfBlock.test(name) && !kBuffers.test(name) && !used.has(name))
        throw new CortuneError(
          'ERR_FORMAT',
          `Expected the configuration to have a place for every weight of the blocks, and it has none for \`${name}\` in ${path}. ` +
            'The configuration and the weights belong to different models, or the model has parts that cortune does not know.',
        );
}

/**
 * Finds every parameter of `config` in the files, and those of its heads that they hold. Tensors outside the blocks that the model does not
 * need are ignored, as are buffers.
 * Throws ERR_NOT_FOUND for a weight that no file holds, ERR_FORMAT for one of another shape or a block's weight with no place.
 */
export function planWeights(config: ModelConfig, files: WeightFile[]): WeightPlan {
  const tables = files.map((file) => new Map(file.header.tensors.map((tensor) => [tensor.name, tensor])));
  const find = (parameter: Parameter): WeightSource | undefined => {
    for (const [index, file] of files.entries())
      for (const wanted of candidates(parameter, config, file)) {
        const tensor = tables[index]!.get(wanted.stored);
        if (!tensor) continue;
        checkFit(parameter, wanted, tensor, file);
        return { name: parameter.name, file: index, ...wanted };
      }
    return undefined;
  };
  const weights = expectedParameters(config).map((parameter): WeightSource => {
    const found = find(parameter);
    if (found) return found;
    const where = files.length === 1 ? files[0]!.path : `the ${files.length} files beside ${files[0]?.path}`;
    throw new CortuneError(
      'ERR_NOT_FOUND',
      `Expected weight \`${parameter.name}\` in ${where}, which has no such tensor. The configuration and the weights belong to ` +
        'different models, or the download is not whole.',
    );
  });
  checkLeftovers(files, weights);
  const heads = headParameters(config).flatMap((parameter) => find(parameter) ?? []);
  return { files: files.map((file) => file.path), weights: [...weights, ...heads] };
}
