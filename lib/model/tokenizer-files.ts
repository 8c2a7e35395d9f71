/** The files of a tokenizer in a model folder. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CortuneError } from '../errors.js';
import {
  type TokenizerConfigJson,
  type TokenizerJson,
  tokenizerFromBpeFiles,
  tokenizerFromVocabText,
} from './tokenizer-json.js';

/** What a tokenizer is made of. */
export interface TokenizerParts {
  json: TokenizerJson;
  config: TokenizerConfigJson;
  /** Names the file in messages. */
  path: string;
}

async function readJson<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CortuneError('ERR_FORMAT', `Expected ${path} to be JSON, but ${error.message}. Download it again.`);
  }
}

/**
 * The tokenizer's parts in a model folder: `tokenizer.json`, else `vocab.json` with `merges.txt`, else `vocab.txt`; nothing when there is
 * none. Throws ERR_FORMAT for files that make no sense.
 */
export async function readTokenizerParts(folder: string): Promise<TokenizerParts | undefined> {
  const at = (name: string) => join(folder, name);
  const has = (name: string) => existsSync(at(name));
  const config = has('tokenizer_config.json') ? await readJson<TokenizerConfigJson>(at('tokenizer_config.json')) : {};
  if (has('tokenizer.json')) {
    const json = await readJson<Partial<TokenizerJson>>(at('tokenizer.json'));
    if (typeof json?.model?.vocab !== 'object' || json.model.vocab === null)
      throw new CortuneError('ERR_FORMAT', `Expected ${at('tokenizer.json')} to hold a vocabulary. Download it again.`);
    const blank = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    return { json: { ...blank, ...json, model: json.model }, config, path: at('tokenizer.json') };
  }
  if (has('vocab.json') && has('merges.txt')) {
    const vocab = await readJson<Record<string, number>>(at('vocab.json'));
    const json = tokenizerFromBpeFiles(vocab, await readFile(at('merges.txt'), 'utf8'), config);
    return { json, config, path: at('vocab.json') };
  }
  if (has('vocab.txt')) {
    const json = tokenizerFromVocabText(await readFile(at('vocab.txt'), 'utf8'), config);
    return { json, config, path: at('vocab.txt') };
  }
  return undefined;
}
