/** Models whose weights were tuned, on disk as a Hugging Face folder that transformers and cortune load. */
import { expected } from '../errors.js';
import { configToJson } from '../model/config-json.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import { writeJson, writeLaneTensors } from './lane-files.js';
import type { Lanes } from './lanes.js';
import { linearModules, methodOf } from './methods.js';

/** GPT-2's files hold the matrices of its blocks as [in, out]. */
function transposedNames(model: Model): string[] {
  if (model.config.family !== 'gpt2') return [];
  return linearModules(model)
    .filter((name) => name.startsWith('transformer.h.'))
    .map((name) => `${name}.weight`);
}

/**
 * Writes the model of one lane of a whole-weight method: `config.json`, `model.safetensors` (float32) and the tokenizer.
 * @throws RangeError for an adapter method (save those with saveAdapter); ERR_IO when the folder cannot be written.
 */
export async function saveModel(
  model: Model,
  lanes: Lanes,
  lane: number,
  dir: string,
  options: JobOptions = {},
): Promise<void> {
  const { name } = lanes.lane(lane);
  if (methodOf(name).adapter)
    throw expected('lanes', 'lanes of a whole-weight method; save adapters with saveAdapter', name);
  await writeLaneTensors(lanes, lane, dir, 'model.safetensors', transposedNames(model), (name) => name, options);
  const parts = model.tokenizerParts();
  if (parts) {
    await writeJson(dir, 'tokenizer.json', parts.json);
    await writeJson(dir, 'tokenizer_config.json', parts.config);
  }
  // Last, and whole or not at all: a folder without it is no model.
  await writeJson(dir, 'config.json', configToJson(model.config));
}
