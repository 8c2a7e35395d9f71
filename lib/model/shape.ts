/** The configuration of a model of random weights whose shape is given apart from its tokenizer. */
import { CortuneError } from '../errors.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { ModelConfig } from '../native/types.js';
import { configFromJson } from './config.js';
import type { ResolvedModel } from './resolve.js';
import { TextTokenizer } from './tokenizer.js';
import { readTokenizerParts, type TokenizerParts } from './tokenizer-files.js';
import { tokenizerFromGguf } from './tokenizer-gguf.js';

/** The shape's own configuration; a vocabulary that it leaves out is the tokenizer's. */
export async function shapedConfig(
  { kind, path, config }: ResolvedModel,
  options: JobOptions,
): Promise<ModelConfig | undefined> {
  if (config === undefined) return undefined;
  const { raw, path: name } = config;
  if (typeof raw !== 'object' || raw === null || raw.vocab_size !== undefined) return configFromJson(raw, name);
  const parts = kind === 'gguf' ? await ggufParts(path, options) : await readTokenizerParts(path);
  if (!parts)
    throw new CortuneError('ERR_NOT_FOUND', `Expected a tokenizer in ${path} for ${name}. Name a model that has one.`);
  const { vocabSize } = new TextTokenizer(parts, Number.POSITIVE_INFINITY);
  return configFromJson({ ...raw, vocab_size: vocabSize }, name);
}

async function ggufParts(path: string, options: JobOptions): Promise<TokenizerParts> {
  const { metadata } = await runJob(() => native().inspectFile({ path }), { signal: options.signal });
  return { json: tokenizerFromGguf(metadata, path), config: {}, path };
}
