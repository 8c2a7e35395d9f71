/** What a model is, from its configuration alone: shape, number of parameters, source. Loads no weights. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CortuneError } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { ModelConfig } from '../native/types.js';
import { configFromJson } from './config.js';
import { configFromGguf } from './gguf.js';
import { missingFiles } from './hub-cache.js';
import { expectedParameters } from './parameters.js';
import { type ModelShape, type ResolvedModel, type ResolveOptions, resolveModel } from './resolve.js';
import { shapedConfig } from './shape.js';

export interface ModelDescription extends Omit<ResolvedModel, 'config'> {
  name: string;
  config: ModelConfig;
  /** Numbers in all weights; a tied output projection is counted once. */
  parameters: number;
  /** The weights are on this machine. */
  weights: boolean;
}

/** Describes a model, as `resolveModel` takes it. Of a model on the Hub, only configuration and tokenizer are fetched. */
export async function describeModel(
  model: string | ModelShape,
  options: ResolveOptions = {},
): Promise<ModelDescription> {
  const found = await resolveModel(model, { ...options, weights: false });
  const config = (await shapedConfig(found, options)) ?? (await readConfig(found, options));
  const sizes = expectedParameters(config).map(({ shape }) => shape.reduce((product, length) => product * length, 1));
  const parameters = sizes.reduce((sum, size) => sum + size, 0);
  const weights = found.kind === 'gguf' || missingFiles(found.path, { weights: true }).length === 0;
  const name = typeof model === 'string' ? model : model.name;
  return { ...found, name, config, parameters, weights };
}

async function readConfig(found: ResolvedModel, options: ResolveOptions): Promise<ModelConfig> {
  if (found.kind === 'gguf') {
    const header = await runJob(() => native().inspectFile({ path: found.path }), { signal: options.signal });
    return configFromGguf(header, found.path);
  }
  const path = join(found.path, 'config.json');
  const text = await readFile(path, 'utf8');
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw new CortuneError('ERR_FORMAT', `${path} is not JSON: ${(cause as Error).message}.`, { cause });
  }
  return configFromJson(raw, path);
}
