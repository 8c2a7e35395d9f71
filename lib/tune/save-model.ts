/** Models with what was tuned in their weights, on disk as a Hugging Face folder that transformers and cortune load. */
import { encoderName, readsImages } from '../model/config.js';
import { configToJson } from '../model/config-json.js';
import type { Model } from '../model/load.js';
import { nameInFiles } from '../model/parameters.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { writeJson, writeTensors } from './lane-files.js';
import type { Lanes } from './lanes.js';
import { baseOf, linearModules } from './methods.js';

/** GPT-2's files hold the matrices of its blocks as [in, out]. */
function transposedNames(model: Model): string[] {
  if (model.config.family !== 'gpt2') return [];
  return linearModules(baseOf(model))
    .filter((name) => name.startsWith('transformer.h.'))
    .map((name) => `${name}.weight`);
}

/** Parts of heads, which stand beside the encoder or decoder. */
const kHead = /^(?:cls|classifier|score|lm_head|embed_out)\./;

/** The class of transformers that holds a head, and what its configuration says of it; nothing for models without a trained head. */
function headConfig(
  base: Record<string, unknown>,
  names: readonly string[],
  outputs: number,
  images: boolean,
): Record<string, unknown> {
  const [plain] = base.architectures as [string];
  const as = (suffix: string) => ({ architectures: [plain.replace(/(?:ForCausalLM|LMHeadModel|Model)$/, suffix)] });
  if (outputs > 0)
    return {
      ...as(images ? 'ForImageClassification' : 'ForSequenceClassification'),
      id2label: Object.fromEntries(Array.from({ length: outputs }, (_, i) => [i, `LABEL_${i}`])),
      problem_type: outputs === 1 ? 'regression' : 'single_label_classification',
    };
  return names.some((name) => name.startsWith('cls.')) ? as('ForMaskedLM') : {};
}

/**
 * Writes the model of one lane: `config.json`, `model.safetensors` (float32) and the tokenizer. The effect of an adapter is merged into the
 * weights, W' = W + s B A for LoRA: one rounding of each weight more than without. With a head of a sequence objective it is a model
 * "ForSequenceClassification".
 * @throws ERR_ARGUMENT for a lane with virtual tokens, which are no weights; ERR_IO when the folder cannot be written.
 */
export async function saveModel(
  model: Model,
  lanes: Lanes,
  lane: number,
  dir: string,
  options: JobOptions = {},
): Promise<void> {
  lanes.lane(lane); // refuses a lane that is not there
  const args = { model: model.handle, lanes: lanes.handle, lane, transposed: transposedNames(model) };
  const { names: own, tensors } = await runJob(() => native().mergedTensors(args), options);
  const json = configToJson(model.config);
  const head = headConfig(json, own, lanes.outputs, readsImages(model.config));
  // Under a head, an encoder has a name of its own.
  const inside = 'architectures' in head && encoderName(model.config);
  const names = own.map((name) => {
    const stored = nameInFiles(name, model.config.family);
    return inside && !kHead.test(name) ? `${inside}.${stored}` : stored;
  });
  try {
    await writeTensors(dir, 'model.safetensors', { names, tensors }, options);
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
  const parts = model.tokenizerParts();
  if (parts) {
    await writeJson(dir, 'tokenizer.json', parts.json);
    await writeJson(dir, 'tokenizer_config.json', parts.config);
  }
  if (model.ends.length > 0) await writeJson(dir, 'generation_config.json', { eos_token_id: model.ends });
  // Last, and whole or not at all: a folder without it is no model.
  await writeJson(dir, 'config.json', { ...json, ...head });
}
