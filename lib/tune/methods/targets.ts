/** Which modules of a model a method attaches to, named as PEFT names them. */
import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { integer, listOf, text } from '../../config.js';
import { CortuneError, expected } from '../../errors.js';
import type { Family } from '../../native/types.js';
import type { Base } from './method.js';

/**
 * Last parts of module names (`q_proj`, `mlp.c_proj`) or full names; `/.../` is a regular expression that the whole name must match, as PEFT
 * reads a text in place of a list; `all-linear` every linear module but the output projection.
 */
export type Targets = string | readonly string[];

export interface Selection {
  targets?: Targets | undefined;
  exclude?: Targets | undefined;
  layers?: readonly number[] | undefined;
}

/** The options of methods that attach to modules. */
export const kSelection = {
  targets: z
    .union([text(), z.array(z.string()).min(1)], { error: '`all-linear` or a list of module names' })
    .optional(),
  exclude: z.union([text(), z.array(z.string())], { error: 'a list of module names' }).optional(),
  layers: listOf(integer(0, 100_000), 'numbers of layers').optional(),
};

export const kSelectionHelp = {
  targets:
    "modules: last parts of their names, /a regular expression/, or all-linear; PEFT's for the family by default",
  exclude: 'modules to leave out',
  layers: 'numbers of the layers to attach to; all by default',
};

export type Defaults = Record<Family, readonly string[]>;

/** PEFT's default targets of LoRA and VeRA. */
export const kDefaultTargets: Defaults = {
  llama: ['q_proj', 'v_proj'],
  gpt2: ['c_attn'],
  neox: ['query_key_value'],
  opt: ['q_proj', 'v_proj'],
  bert: ['query', 'value'],
  vit: ['q_proj', 'v_proj'],
  deit: ['q_proj', 'v_proj'],
  dinov2: ['q_proj', 'v_proj'],
};

/** Names of all linear modules; the output projection is none. */
export function linearModules(base: Pick<Base, 'parameters'>): string[] {
  return base.parameters.filter((each) => each.linear).map((each) => each.name.replace(/\.weight$/, ''));
}

/** Names of all norms: what has a weight of one axis. */
export function normModules(base: Pick<Base, 'parameters'>): string[] {
  return base.parameters
    .filter((each) => each.shape.length === 1 && each.name.endsWith('.weight'))
    .map((each) => each.name.replace(/\.weight$/, ''));
}

/** The block that a module or parameter belongs to, or undefined. */
export function layerOf(name: string): number | undefined {
  const found = /(?:^|\.)(?:layers|h|layer)\.(\d+)\./.exec(name)?.[1];
  return found === undefined ? undefined : Number(found);
}

function regularExpression(option: string, name: string): RegExp | undefined {
  if (name.length < 3 || !name.startsWith('/') || !name.endsWith('/')) return undefined;
  try {
    return new RegExp(`^(?:${name.slice(1, -1)})$`);
  } catch (cause) {
    throw expected(option, `a regular expression that holds together (${(cause as Error).message})`, name);
  }
}

/** Does `name`, as the option `option` has it, stand for `module`? */
function fits(option: string, module: string, name: string): boolean {
  const expression = regularExpression(option, name);
  return expression ? expression.test(module) : module === name || module.endsWith(`.${name}`);
}

function asList(names: Targets): readonly string[] {
  return typeof names === 'string' ? [names] : names;
}

/** Those of `modules` that `names` stand for. Throws ERR_CONFIG for a name that stands for none, with the close ones. */
function pick(base: Base, option: string, names: Targets, modules: readonly string[], kind: string): string[] {
  if (asList(names).length === 1 && asList(names)[0] === 'all-linear') return linearModules(base);
  for (const name of asList(names))
    if (!modules.some((module) => fits(option, module, name))) {
      const parts = [...new Set(modules.map((module) => module.split('.').at(-1)!))];
      const hint = regularExpression(option, name)
        ? `The whole name must match, such as \`${modules[0]}\`.`
        : `Did you mean \`${closest(name, parts)}\`? It has ${parts.join(', ')}.`;
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected \`${option}\` to name ${kind} of ${base.name}, got \`${name}\`. ${hint}`,
      );
    }
  return modules.filter((module) => asList(names).some((name) => fits(option, module, name)));
}

/**
 * Full names of the selected modules among `modules` (by default all linear ones), in the model's order.
 * @throws ERR_CONFIG for a name that no module has, a layer that is not there, or a selection without modules.
 */
export function selectModules(
  base: Base,
  selection: Selection,
  defaults: readonly string[] | 'all',
  modules: readonly string[] = linearModules(base),
  kind = 'linear modules',
): string[] {
  const wanted = selection.targets ?? defaults;
  const chosen = wanted === 'all' ? [...modules] : pick(base, 'targets', wanted, modules, kind);
  const layers = selection.layers && checkLayers(base, selection.layers);
  const left = new Set(selection.exclude === undefined ? [] : pick(base, 'exclude', selection.exclude, modules, kind));
  const kept = chosen.filter((name) => !left.has(name) && (!layers || layers.has(layerOf(name) ?? -1)));
  if (kept.length === 0)
    throw new CortuneError(
      'ERR_CONFIG',
      'Expected `targets`, `exclude` and `layers` to leave a module to tune, got none.',
    );
  return kept;
}

/** Throws a RangeError for a layer that the model does not have. */
export function checkLayers(base: Base, layers: readonly number[]): Set<number> {
  for (const layer of layers)
    if (layer >= base.config.layers)
      throw expected('layers', `numbers from 0 to ${base.config.layers - 1}, the layers of ${base.name}`, layer);
  return new Set(layers);
}

/** A parameter's shape. Throws ERR_NOT_FOUND. */
export function shapeOf(base: Base, parameter: string): readonly number[] {
  const found = base.parameters.find((each) => each.name === parameter);
  if (!found) throw new CortuneError('ERR_NOT_FOUND', `Expected ${base.name} to have a parameter \`${parameter}\`.`);
  return found.shape;
}

/** [in, out] of a linear module. */
export function sizeOf(base: Base, module: string): { inputs: number; outputs: number } {
  const [outputs, inputs] = shapeOf(base, `${module}.weight`) as [number, number];
  return { inputs, outputs };
}

/** PEFT's rule for rank and alpha patterns: the value of the first key that the whole name, or its end after a dot, matches. */
export function patternValue(pattern: Readonly<Record<string, number>>, module: string, otherwise: number): number {
  const key = Object.keys(pattern).find((each) => new RegExp(`^(?:.*\\.)?(?:${each})$`).test(module));
  return key === undefined ? otherwise : pattern[key]!;
}

/** Throws a RangeError when a rank is larger than the smaller side of a module. */
export function checkRank(base: Base, option: string, rank: number, module: string): void {
  const { inputs, outputs } = sizeOf(base, module);
  const limit = Math.min(inputs, outputs);
  if (rank > limit) throw expected(option, `an integer from 1 to ${limit}, the smaller side of \`${module}\``, rank);
}
