/** The one table of tuning methods: what each is, its options and defaults, its paper, and what it attaches to. */
import { closest } from 'fastest-levenshtein';
import { CortuneError, expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { native } from '../native/load.js';
import type { Family } from '../native/types.js';

export interface Method {
  name: string;
  /** What native code calls it: the methods that train the base's own parameters are one there. */
  native: string;
  title: string;
  paper: string;
  /** Several lanes train in one pass; else lane by lane. */
  stackable: boolean;
  /** Trains small modules beside the base weights (saved as a PEFT adapter), or the weights themselves (saved as a model). */
  adapter: boolean;
  /** PEFT's default for the learning rate is none; these are common starting points. */
  lr: number;
}

export const kMethods: readonly Method[] = [
  {
    name: 'lora',
    native: 'lora',
    title: 'Low-rank adaptation',
    paper: 'Hu et al. 2021, arXiv:2106.09685',
    stackable: true,
    adapter: true,
    lr: 1e-4,
  },
  {
    name: 'full',
    native: 'whole',
    title: 'Full fine-tuning of every parameter',
    paper: '',
    stackable: false,
    adapter: false,
    lr: 2e-5,
  },
];

/** The method of that name; throws a RangeError that lists them. */
export function methodOf(name: string): Method {
  const method = kMethods.find((candidate) => candidate.name === name);
  if (!method) throw expected('method', `one of ${kMethods.map((known) => known.name).join(', ')}`, name);
  return method;
}

/** PEFT's default LoRA target modules of each family. */
export const kDefaultTargets: Record<Family, readonly string[]> = {
  llama: ['q_proj', 'v_proj'],
  gpt2: ['c_attn'],
  neox: ['query_key_value'],
  opt: ['q_proj', 'v_proj'],
  bert: ['query', 'value'],
};

/** Names of all linear modules of a model that a method can attach to; the output projection is none, as for PEFT's 'all-linear'. */
export function linearModules(model: Model): string[] {
  return native()
    .modelParameters(model.handle)
    .filter((parameter) => parameter.linear)
    .map((parameter) => parameter.name.replace(/\.weight$/, ''));
}

/**
 * Full names of the targets of a method, in the model's order.
 * @param targets for adapters: last parts of module names as PEFT takes them (`q_proj`), full names, or 'all-linear'; default PEFT's for the
 * family. For whole weights: not used, every parameter is trained.
 * @throws ERR_CONFIG for a name that no module has, with the close ones.
 */
export function resolveTargets(model: Model, method: Method, targets?: 'all-linear' | readonly string[]): string[] {
  if (!method.adapter) {
    if (targets) throw expected('targets', `left out for method ${method.name}, which trains every parameter`, targets);
    return native()
      .modelParameters(model.handle)
      .map((parameter) => parameter.name);
  }
  const modules = linearModules(model);
  if (targets === 'all-linear') return modules;
  const wanted = targets ?? kDefaultTargets[model.config.family];
  if (wanted.length === 0) throw expected('targets', "'all-linear' or at least one module name", targets);
  for (const name of wanted)
    if (!modules.some((module) => fits(module, name))) {
      const parts = [...new Set(modules.map((module) => module.split('.').at(-1)!))];
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected \`targets\` to name linear modules of ${model.name}, got \`${name}\`.` +
          ` Did you mean \`${closest(name, parts)}\`? It has ${parts.join(', ')}.`,
      );
    }
  return modules.filter((module) => wanted.some((name) => fits(module, name)));
}

function fits(module: string, name: string): boolean {
  return module === name || module.endsWith(`.${name}`);
}
