/** Adapters on disk in the PEFT format: `adapter_config.json` beside `adapter_model.safetensors`, PEFT's tensor names. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortuneError, expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { writeJson, writeLaneTensors } from './lane-files.js';
import { type LaneMethod, Lanes } from './lanes.js';
import { linearModules, methodOf } from './methods.js';

const kConfigFile = 'adapter_config.json';
const kTensorFile = 'adapter_model.safetensors';
const kPrefix = 'base_model.model.';
/** Tensors of a sequence head. */
const kHead = /^base_model\.model\.(?=(?:score|classifier)\.(?:weight|bias)$)/;
/** Of the families' causal models. */
const kBasePrefixes = ['model.', 'transformer.', 'gpt_neox.'];

/** What PEFT writes for LoRA and cortune applies. Other keys are kept out of the way; those that would change the result are refused. */
const kLoraConfig = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().min(1),
  lora_alpha: z.number().positive(),
  bias: z.literal('none').default('none'),
  use_dora: z.literal(false).default(false),
  use_rslora: z.boolean().default(false),
  // The heads of sequence objectives.
  modules_to_save: z
    .null()
    .or(z.array(z.enum(['classifier', 'score'])))
    .optional(),
  rank_pattern: z.record(z.string(), z.never()).optional(),
  alpha_pattern: z.record(z.string(), z.never()).optional(),
  // Other ways of initialising (PiSSA, OLoRA, CorDA, LoftQ) change the base weights too.
  init_lora_weights: z
    .boolean()
    .or(z.enum(['gaussian', 'eva', 'orthogonal']))
    .nullish(),
  layer_replication: z.null().optional(),
  alora_invocation_tokens: z.null().optional(),
  lora_bias: z.literal(false).nullish(),
});

/**
 * Writes one lane as a PEFT adapter that `peft.PeftModel.from_pretrained` loads.
 * @throws RangeError for a method that is no adapter (save those with saveModel); ERR_IO when the folder cannot be written.
 */
export async function saveAdapter(
  model: Model,
  lanes: Lanes,
  lane: number,
  dir: string,
  options: JobOptions = {},
): Promise<void> {
  const { name: method, method: of, spec } = lanes.lane(lane);
  if (!methodOf(method).adapter)
    throw expected('lanes', 'lanes of an adapter method; save whole weights with saveModel', method);
  const parts = [...new Set(of.targets.map((name) => name.split('.').at(-1)!))];
  // Short names as PEFT writes them, unless they would reach modules that were not trained.
  const reached = linearModules(model).filter((name) => parts.includes(name.split('.').at(-1)!)).length;
  const config = {
    peft_type: 'LORA',
    task_type: taskType(model, lanes),
    base_model_name_or_path: model.name,
    r: spec.options?.rank,
    lora_alpha: spec.options?.alpha,
    lora_dropout: 0,
    target_modules: reached === of.targets.length ? parts : [...of.targets],
    bias: 'none',
    fan_in_fan_out: model.config.family === 'gpt2',
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: lanes.outputs > 0 ? ['classifier', 'score'] : null, // as PEFT writes for SEQ_CLS
    rank_pattern: {},
    alpha_pattern: {},
  };
  await writeLaneTensors(lanes, lane, dir, kTensorFile, [], (name) => savedName(model, lanes, name), options);
  // Last, and whole or not at all: a folder without it is no adapter.
  await writeJson(dir, kConfigFile, config);
}

function taskType(model: Model, lanes: Lanes): string {
  if (lanes.outputs > 0) return 'SEQ_CLS';
  return model.config.family === 'bert' ? 'FEATURE_EXTRACTION' : 'CAUSAL_LM';
}

/** PEFT's name of a tensor. Under a head, BERT's modules have a prefix more. */
function savedName(model: Model, lanes: Lanes, name: string): string {
  if (!name.startsWith(kPrefix)) return kPrefix + name; // a sequence head's
  return lanes.outputs > 0 && model.config.family === 'bert' ? name.replace(kPrefix, `${kPrefix}bert.`) : name;
}

async function readConfig(dir: string): Promise<z.output<typeof kLoraConfig>> {
  const path = join(dir, kConfigFile);
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    throw new CortuneError('ERR_NOT_FOUND', `Expected an adapter at ${dir}, which has no readable ${kConfigFile}.`, {
      cause,
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (cause) {
    throw new CortuneError('ERR_FORMAT', `Expected ${path} to be JSON: ${(cause as Error).message}.`, { cause });
  }
  const parsed = kLoraConfig.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new CortuneError(
    'ERR_CONFIG',
    `Expected ${path} to describe a LoRA adapter that cortune can apply; its \`${issue.path.join('.')}\` does not fit: ${issue.message}.`,
  );
}

/**
 * Reads a PEFT LoRA adapter onto a model: one lane, to embed with or to go on tuning from.
 * @throws ERR_NOT_FOUND, ERR_CONFIG for adapters of other kinds, ERR_FORMAT for tensors that do not fit the model.
 */
export async function loadAdapter(model: Model, dir: string, options: JobOptions = {}): Promise<Lanes> {
  const config = await readConfig(dir);
  const path = join(dir, kTensorFile);
  const header = await runJob(() => native().inspectFile({ path }), options);
  const stored = header.tensors.map((tensor) => tensor.name);
  const { names, targets } = ownNames(model, stored, dir);
  const outputs = header.tensors.find(({ name }) => kHead.test(name) && name.endsWith('.weight'))?.shape[0] ?? 0;
  const scale = config.use_rslora ? Math.sqrt(config.r) : 1; // rsLoRA: alpha / sqrt(r)
  const method: LaneMethod = {
    name: 'lora',
    method: 'lora',
    targets,
    lanes: [{ lr: 0, weightDecay: 0, seed: 0, options: { rank: config.r, alpha: config.lora_alpha * scale } }],
  };
  const tensors = await runJob(() => native().readTensors({ path, names: stored }), options);
  try {
    const handle = await runJob(
      () => native().lanesFromTensors({ model: model.handle, method, outputs, names, tensors }),
      options,
    );
    return new Lanes(handle, [method], outputs);
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/**
 * The names cortune gives an adapter's tensors. An adapter trained on a model without its head (AutoModel) lacks the prefix that modules have
 * in the causal model, one trained on BERT under a head has a prefix more.
 */
function ownNames(model: Model, names: readonly string[], dir: string): { names: string[]; targets: string[] } {
  const modules = linearModules(model);
  const known = new Set(modules);
  const targets = new Set<string>();
  const own = names.map((name) => {
    if (kHead.test(name)) return name.replace(kHead, '');
    const [, path, part] = /^base_model\.model\.(.+)(\.lora_[AB]\.weight)$/.exec(name) ?? [];
    const variants =
      path === undefined ? [] : [path, ...kBasePrefixes.map((base) => base + path), path.replace(/^bert\./, '')];
    const module = variants.find((variant) => known.has(variant));
    if (module === undefined)
      throw new CortuneError(
        'ERR_FORMAT',
        `Expected the adapter at ${dir} to fit ${model.name}, got a tensor \`${name}\` for a module it does not have. It was trained on another model.`,
      );
    targets.add(module);
    return `${kPrefix}${module}${part}`;
  });
  if (targets.size === 0)
    throw new CortuneError('ERR_FORMAT', `Expected the adapter at ${dir} to hold LoRA tensors, got none.`);
  return { names: own, targets: modules.filter((module) => targets.has(module)) };
}
