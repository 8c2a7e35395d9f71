/** PEFT's files of a method: its keys of adapter_config.json, and its names of tensors. */
import { z } from 'zod';
import type { Base } from './method.js';
import { layerOf, linearModules, normModules } from './targets.js';

export const kPrefix = 'base_model.model.';

/** The tensors of an adapter file, by the names cortune gives them: modules as in the causal model (BERT: the bare encoder). */
export interface Stored {
  base: Base;
  shapes: ReadonlyMap<string, readonly number[]>;
}

/** `target_modules` and the like, as the writer of a file has worked them out. */
export type WrittenTargets = { target_modules?: string[] };

export interface PeftFormat<Options> {
  /** Its peft_type. */
  type: string;
  /** Other peft_types whose files this method reads. */
  reads?: readonly string[];
  /** Keys of adapter_config.json; loose, but values that would change the result in a way cortune does not apply are refused. */
  config: z.ZodType;
  write(options: Options, targets: WrittenTargets, base: Base): Record<string, unknown>;
  /** `raw` has passed `config`. */
  read(raw: unknown, stored: Stored): Options;
  /** PEFT's name of a tensor that native code calls `name`, and the reverse; the same when absent. */
  toPeft?(name: string, targets: readonly string[]): string;
  fromPeft?(name: string): string;
}

/** The heads of sequence objectives are all that may be saved whole. */
const kHeads = z
  .null()
  .or(z.array(z.enum(['classifier', 'score'])))
  .optional();

/** What all methods that attach to modules have in their files. */
export const kModulesConfig = z.looseObject({
  modules_to_save: kHeads,
});

/** What all methods with virtual tokens have. */
export const kVirtualConfig = z.looseObject({
  num_virtual_tokens: z.int().min(1),
  num_transformer_submodules: z.literal(1).nullish(),
  modules_to_save: kHeads,
});

/** The modules a file has tensors for, with the last part of each tensor's name. */
export function modulesOf(stored: Stored): Map<string, string[]> {
  const known = new Set(stored.base.parameters.map(({ name }) => name.replace(/\.(weight|bias)$/, '')));
  const found = new Map<string, string[]>();
  for (const name of stored.shapes.keys()) {
    const words = name.slice(kPrefix.length).split('.');
    for (let end = words.length - 1; end > 0; end--) {
      const module = words.slice(0, end).join('.');
      if (!known.has(module)) continue;
      found.set(module, [...(found.get(module) ?? []), words.slice(end).join('.')]);
      break;
    }
  }
  return found;
}

/**
 * The modules of a model that `target_modules`, `exclude_modules` and `layers_to_transform` of a configuration name, among those of a kind that
 * `adapted` are of; undefined for a configuration that names none, or by an expression that JavaScript does not read.
 */
export function namedModules(base: Base, config: unknown, adapted: ReadonlySet<string>): string[] | undefined {
  const {
    target_modules: targets,
    exclude_modules: exclude,
    layers_to_transform: layers,
  } = config as Record<string, unknown>;
  if (!(typeof targets === 'string' || Array.isArray(targets)) || targets === 'all-linear') return undefined;
  if (adapted.size === 0) return undefined;
  const linear = linearModules(base);
  const kind = [...adapted].some((name) => linear.includes(name)) ? linear : normModules(base);
  try {
    const [chosen, left] = [matcher(targets), matcher(exclude ?? [])];
    const wanted = layers === null || layers === undefined ? undefined : new Set<unknown>([layers].flat());
    return kind.filter((name) => chosen(name) && !left(name) && (!wanted || wanted.has(layerOf(name))));
  } catch {
    return undefined;
  }
}

/** PEFT's rule: the name or its end after a dot is in the list, or the expression matches the whole name, with or without the base's prefix. */
function matcher(names: unknown): (module: string) => boolean {
  if (Array.isArray(names)) return (module) => names.some((name) => module === name || module.endsWith(`.${name}`));
  const expression = new RegExp(`^(?:${String(names)})$`);
  return (module) => [module, `bert.${module}`, module.replace(/^\w+\./, '')].some((name) => expression.test(name));
}

/** The modules that a file adapts: those with a tensor other than a trained bias. */
export function targetsOf(stored: Stored): { targets: string[] } {
  const modules = [...modulesOf(stored)].filter(([, parts]) => parts.some((part) => part !== 'bias'));
  return { targets: modules.map(([module]) => module) };
}

/** Biases trained beside an adapter: all of the model's, or those of the adapted modules (`lora_only`, `vera_only`). */
export function biasParameters(base: Base, bias: string, targets: readonly string[]): string[] {
  if (bias === 'none') return [];
  const biases = base.parameters.map(({ name }) => name).filter((name) => name.endsWith('.bias'));
  return bias === 'all' ? biases : biases.filter((name) => targets.includes(name.slice(0, -'.bias'.length)));
}

/** PEFT wraps the modules it adapts, which moves their own biases. */
export function wrapBias(name: string, targets: readonly string[]): string {
  const module = name.slice(kPrefix.length).replace(/\.bias$/, '');
  return name.endsWith('.bias') && targets.includes(module) ? name.replace(/\.bias$/, '.base_layer.bias') : name;
}

export function unwrapBias(name: string): string {
  return name.replace(/\.base_layer\.bias$/, '.bias');
}
