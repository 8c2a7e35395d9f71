/** The one table of tuning methods. A new method is a row here, made in methods/, and a file in native/tune. */
import { expected } from '../errors.js';
import type { ModelDescription } from '../model/describe.js';
import type { Model } from '../model/load.js';
import { expectedParameters } from '../model/parameters.js';
import { native } from '../native/load.js';
import { type AdaLoraOptions, adalora } from './methods/adalora.js';
import { type Ia3Options, ia3 } from './methods/ia3.js';
import { type LoraOptions, lora } from './methods/lora.js';
import { type Base, checkOptions, type Method, type Plan } from './methods/method.js';
import { hft, type SelectiveOptions, selective } from './methods/selective.js';
import { type VeraOptions, vera } from './methods/vera.js';
import {
  type EncoderOptions,
  type PrefixOptions,
  type PromptOptions,
  prefix,
  prompt,
  pTuning,
} from './methods/virtual-tokens.js';
import { type VptOptions, vpt } from './methods/vpt.js';
import { bitfit, type FullOptions, full, layernorm } from './methods/weights.js';

export type { Base, Method, OptionInfo, Plan } from './methods/method.js';
export { optionsOf } from './methods/method.js';
export type { Targets } from './methods/targets.js';
export { linearModules } from './methods/targets.js';

type Each =
  | LoraOptions
  | AdaLoraOptions
  | Ia3Options
  | VeraOptions
  | PromptOptions
  | PrefixOptions
  | EncoderOptions
  | VptOptions
  | FullOptions
  | SelectiveOptions;
type KeyOf<T> = T extends unknown ? keyof T : never;
type ValueOf<T, K> = T extends unknown ? (K extends keyof T ? T[K] : never) : never;

/** The options of all methods; each takes its own (see `cortune methods NAME`) and refuses those of others. */
export type MethodOptions = { [K in KeyOf<Each>]?: ValueOf<Each, K> | undefined };

export const kMethods: readonly Method[] = [
  lora,
  adalora,
  ia3,
  vera,
  prompt,
  prefix,
  pTuning,
  vpt,
  layernorm,
  bitfit,
  full,
  hft,
  selective,
];

/** The method of that name; throws a RangeError that lists them. */
export function methodOf(name: string): Method {
  const method = kMethods.find((candidate) => candidate.name === name);
  if (!method) throw expected('method', `one of ${kMethods.map((known) => known.name).join(', ')}`, name);
  return method;
}

/** Those of `options` that belong to methods. */
export function methodOptions(options: object): Record<string, unknown> {
  const names = new Set(kMethods.flatMap(({ describe }) => Object.keys(describe)));
  return Object.fromEntries(Object.entries(options).filter(([key, value]) => names.has(key) && value !== undefined));
}

/** What methods need to know of a loaded model. */
export function baseOf(model: Model): Base {
  return {
    name: model.name,
    config: model.config,
    parameters: native().modelParameters(model.handle),
    tokenize: (text) => [...model.tokenizer.encode(text).ids],
  };
}

/** The same of a model that is not loaded. A prompt cannot begin as a text then, which matters to no count. */
export function baseOfDescription({ name, config }: Pick<ModelDescription, 'name' | 'config'>): Base {
  return { name, config, parameters: expectedParameters(config), tokenize: () => [0] };
}

/**
 * A method with these options on a model, for fresh lanes with these seeds: what native code is asked, and the options with their defaults.
 * Throws a RangeError or ERR_CONFIG where the options do not fit the method or the model.
 */
export function planOf(
  base: Base,
  method: Method,
  given: Record<string, unknown> = {},
  seeds: readonly number[] = [0],
): { plan: Plan; settings: Record<string, unknown> } {
  const options = checkOptions(method, given);
  const plan = method.plan(base, options, seeds);
  method.checkFresh?.(base, options, plan);
  return { plan, settings: options as Record<string, unknown> };
}
