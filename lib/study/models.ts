/** The models of a study, found and hashed but not loaded: the same content under another name or path is the same model. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeModel, type ModelDescription } from '../model/describe.js';
import { contentHash } from '../model/identity.js';
import { type ModelShape, type ResolveOptions, resolveModel } from '../model/resolve.js';
import { ioError } from './atomic.js';

/** A model that a study names. */
export interface StudyModel extends ModelDescription {
  /** SHA-256 over configuration, tokenizer and weights; without the weights for random ones. */
  hash: string;
}

const kDeciding = /^(tokenizer|tokenizer_config|vocab)\.json$|^(merges|vocab)\.txt$/;

/** Finds a model, downloading it where needed, and hashes its files. Throws what `resolveModel` throws. */
export async function findModel(name: string | ModelShape, options: ResolveOptions = {}): Promise<StudyModel> {
  const found = await resolveModel(name, options);
  const { config: _, ...place } = found;
  const described = { ...(await describeModel(name, options)), ...place };
  const files = found.kind === 'gguf' ? [found.path] : await filesOf(found.path, found.random);
  try {
    const hash = await contentHash([described.config, found.random ? 'random' : 'trained'], files, options.signal);
    return { ...described, hash };
  } catch (error) {
    throw options.signal?.aborted ? error : ioError(error, `read the files of ${described.name}`);
  }
}

async function filesOf(folder: string, random: boolean): Promise<string[]> {
  const names = await readdir(folder);
  const wanted = names.filter((name) => kDeciding.test(name) || (!random && name.endsWith('.safetensors')));
  return wanted.sort().map((name) => join(folder, name));
}
