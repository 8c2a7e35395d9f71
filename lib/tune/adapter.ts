/** Adapters on disk in the PEFT format: `adapter_config.json` beside `adapter_model.safetensors`, PEFT's tensor names. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { CortuneError, expected, show } from '../errors.js';
import { encoderName, isEncoder, readsImages } from '../model/config.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { TensorHandle } from '../native/types.js';
import { writeJson, writeTensors } from './lane-files.js';
import { type LaneMethod, Lanes } from './lanes.js';
import { kPrefix, namedModules, type PeftFormat } from './methods/peft.js';
import { type Base, baseOf, kMethods, type Method, methodOf } from './methods.js';

const kConfigFile = 'adapter_config.json';
const kTensorFile = 'adapter_model.safetensors';
/** Tensors of a sequence head. */
const kHead = /^(?:score|classifier)\.(?:weight|bias)$/;
/** Of the families' causal models. */
const kBasePrefixes = ['model.', 'transformer.', 'gpt_neox.'];
/** Before the names of an encoder's modules, under a head. */
const kEncoderPrefix = /^(?:bert|vit|deit|dinov2|dinov2_with_registers)\./;
/** Before a module's name: which of its ranks AdaLoRA kept. */
const kRankPattern = 'rank_pattern.';

type AdapterMethod = Method & { peft: PeftFormat<unknown> };

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
  const { name, method: of, spec } = lanes.lane(lane);
  const { peft } = methodOf(name);
  if (!peft) throw expected('lanes', 'lanes of an adapter method; save whole weights with saveModel', name);
  const base = baseOf(model);
  const args = { lanes: lanes.handle, lane, whole: false };
  const { names, tensors } = await runJob(() => native().laneTensors(args), options);
  try {
    const kept = names.map((each, i) => [each, tensors[i]!] as const);
    const written = kept.filter(([each]) => !each.startsWith(kRankPattern));
    const config = {
      peft_type: peft.type,
      task_type: taskType(model, lanes),
      base_model_name_or_path: model.name,
      inference_mode: true,
      modules_to_save: lanes.outputs > 0 ? ['classifier', 'score'] : null, // as PEFT writes for SEQ_CLS
      ...(of.targets.length > 0 && name !== 'layernorm' ? { fan_in_fan_out: model.config.family === 'gpt2' } : {}),
      ...peft.write({ ...of.settings, ...spec.options }, writtenTargets(base, of.targets), base),
      ...rankPattern(kept),
    };
    await writeTensors(
      dir,
      kTensorFile,
      {
        names: written.map(([each]) => savedName(model, lanes, peft, each, of.targets)),
        tensors: written.map(([, t]) => t),
      },
      options,
    );
    // Last, and whole or not at all: a folder without it is no adapter.
    await writeJson(dir, kConfigFile, config);
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Short names as PEFT writes them, unless they would reach modules that were not trained. */
function writtenTargets(base: Base, targets: readonly string[]): { target_modules?: string[] } {
  if (targets.length === 0) return {};
  const modules = [...new Set(targets.map((name) => name.replace(/\.(weight|bias)$/, '')))];
  const parts = [...new Set(modules.map((name) => name.split('.').at(-1)!))];
  const all = new Set(base.parameters.map(({ name }) => name.replace(/\.(weight|bias)$/, '')));
  const reached = [...all].filter((name) => parts.includes(name.split('.').at(-1)!)).length;
  return { target_modules: reached === modules.length ? parts : modules };
}

/** AdaLoRA's ranks in adapter_config.json, from the tensors that say which were kept. */
function rankPattern(tensors: readonly (readonly [string, TensorHandle])[]): Record<string, unknown> {
  const patterns = tensors.filter(([name]) => name.startsWith(kRankPattern));
  if (patterns.length === 0) return {};
  const entries = patterns.map(([name, tensor]) => [
    `${name.slice(kRankPattern.length)}.lora_E`,
    Array.from(native().tensorRead(tensor), (kept) => kept === 1),
  ]);
  return { rank_pattern: Object.fromEntries(entries) };
}

function taskType(model: Model, lanes: Lanes): string | null {
  // PEFT has no task type for images.
  if (readsImages(model.config)) return null;
  if (lanes.outputs > 0) return 'SEQ_CLS';
  return isEncoder(model.config) ? 'FEATURE_EXTRACTION' : 'CAUSAL_LM';
}

/** PEFT's name of a tensor. Under a head, BERT's modules have a prefix more. */
function savedName(
  model: Model,
  lanes: Lanes,
  peft: PeftFormat<unknown>,
  name: string,
  targets: readonly string[],
): string {
  if (kHead.test(name)) return kPrefix + name;
  const theirs = peft.toPeft?.(name, targets) ?? name;
  const inside = lanes.outputs > 0 && encoderName(model.config);
  return inside ? theirs.replace(kPrefix, `${kPrefix}${inside}.`) : theirs;
}

async function readConfig(dir: string): Promise<{ method: AdapterMethod; config: unknown }> {
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
  const type = (json as { peft_type?: unknown } | null)?.peft_type;
  const adapters = kMethods.filter((method): method is AdapterMethod => method.peft !== undefined);
  const method = adapters.find(({ peft }) => (peft.reads ?? [peft.type]).includes(String(type)));
  if (!method) {
    const known = adapters.map(({ peft }) => peft.type).join(', ');
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected the \`peft_type\` in ${path} to be one of ${known}, got ${show(type)}.`,
    );
  }
  const parsed = method.peft.config.safeParse(json);
  if (parsed.success) return { method, config: json };
  throw new CortuneError('ERR_CONFIG', refusal(path, method, parsed.error.issues[0]!, json));
}

function refusal(path: string, method: AdapterMethod, issue: z.core.$ZodIssue, json: unknown): string {
  const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], json);
  return (
    `Expected ${path} to describe a ${method.peft.type} adapter that cortune can apply, ` +
    `got \`${issue.path.join('.')}\` ${show(got)}.`
  );
}

/**
 * Reads a PEFT adapter onto a model: one lane, to embed with or to go on tuning from. Of prefix tuning with a projection and of P-tuning, PEFT keeps
 * what the small network gave: they are read as a prefix and a prompt.
 * @throws ERR_NOT_FOUND, ERR_CONFIG for adapters of other kinds, ERR_FORMAT for tensors that do not fit the model.
 */
export async function loadAdapter(model: Model, dir: string, options: JobOptions = {}): Promise<Lanes> {
  const { method, config } = await readConfig(dir);
  const path = join(dir, kTensorFile);
  const header = await runJob(() => native().inspectFile({ path }), options);
  const whole = baseOf(model);
  const owned = header.tensors.map(({ name, shape }) => ({
    name: ownName(whole, method.peft, name, dir),
    shape,
    stored: name,
  }));
  // Tied parameters are there under each of their names.
  const held = owned.filter(({ name }, i) => owned.findIndex((other) => other.name === name) === i);
  const names = held.map(({ name }) => name);
  const shapes = new Map(held.map(({ name, shape }) => [name, shape]));
  const inFile = (name: string) => shapes.has(kPrefix + name) || shapes.has(name);
  const base = { ...whole, parameters: whole.parameters.filter(({ name, head }) => !head || inFile(name)) };
  const settings = method.peft.read(config, { base, shapes }) as Record<string, unknown>;
  if ((settings.targets as string[] | undefined)?.length === 0)
    throw new CortuneError(
      'ERR_FORMAT',
      `Expected the adapter at ${dir} to hold ${method.peft.type} tensors, got none.`,
    );
  const { targets, options: more, lane } = method.plan(base, settings, [0]);
  checkModules(base, config, targets, dir);
  const of: LaneMethod = {
    name: method.name,
    method: method.native,
    targets,
    options: more,
    settings,
    lanes: [{ lr: 0, weightDecay: 0, seed: 0, options: lane }],
  };
  const outputs = outputsOf(shapes);
  const stored = held.map((each) => each.stored);
  const tensors = await runJob(() => native().readTensors({ path, names: stored }), options);
  try {
    const args = { model: model.handle, method: of, outputs, names, tensors };
    const handle = await runJob(() => native().lanesFromTensors(args), options);
    return new Lanes(handle, [of], outputs);
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Throws ERR_FORMAT when the file has tensors for other modules than its configuration names. */
function checkModules(base: Base, config: unknown, targets: readonly string[], dir: string): void {
  const adapted = new Set(targets.map((name) => name.replace(/\.(weight|bias)$/, '')));
  const named = namedModules(base, config, adapted);
  if (!named) return;
  const missing = named.find((name) => !adapted.has(name));
  if (missing !== undefined)
    throw new CortuneError(
      'ERR_FORMAT',
      `Expected the adapter at ${dir} to have tensors for \`${missing}\`, one of the modules that its ${kConfigFile} names, got none.`,
    );
  const extra = [...adapted].find((name) => !named.includes(name));
  if (extra !== undefined)
    throw new CortuneError(
      'ERR_FORMAT',
      `Expected the adapter at ${dir} to have tensors for the modules that its ${kConfigFile} names, got some for \`${extra}\` too.`,
    );
}

/** Rows of the sequence head's weight; 0 without one. */
function outputsOf(shapes: ReadonlyMap<string, readonly number[]>): number {
  const found = [...shapes].find(([name]) => kHead.test(name) && name.endsWith('.weight'));
  return found?.[1][0] ?? 0;
}

/**
 * The name cortune gives an adapter's tensor. An adapter trained on a model without its head (AutoModel) lacks the prefix that modules have in
 * the causal model, one trained on BERT under a head has a prefix more. Throws ERR_FORMAT for a module the model does not have.
 */
function ownName(base: Base, peft: PeftFormat<unknown>, name: string, dir: string): string {
  if (!name.startsWith(kPrefix)) return name; // what belongs to no module: prompts, VeRA's projections
  const path = name.slice(kPrefix.length).replace('cls.predictions.decoder.bias', 'cls.predictions.bias'); // tied
  if (kHead.test(path)) return path;
  const known = new Set(base.parameters.map((each) => each.name.replace(/\.(weight|bias)$/, '')));
  for (const variant of [path, ...kBasePrefixes.map((prefix) => prefix + path), path.replace(kEncoderPrefix, '')]) {
    const words = variant.split('.');
    for (let end = words.length - 1; end > 0; end--)
      if (known.has(words.slice(0, end).join('.'))) return peft.fromPeft?.(kPrefix + variant) ?? kPrefix + variant;
  }
  throw new CortuneError(
    'ERR_FORMAT',
    `Expected the adapter at ${dir} to fit ${base.name}, got a tensor \`${name}\` for a module it does not have. It was trained on another model.`,
  );
}
