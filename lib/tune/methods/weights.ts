/** Methods that train the base's own parameters: all, some layers, biases, norms. */
import type { z } from 'zod';
import { integer, listOf, real } from '../../config.js';
import { CortuneError, expected } from '../../errors.js';
import { type Base, elements, method, type Plan } from './method.js';
import { kModulesConfig, kPrefix, type PeftFormat } from './peft.js';
import { checkLayers, kSelection, kSelectionHelp, layerOf, normModules, selectModules } from './targets.js';

/** Where a parameter stands: -1 before the first block, the number of blocks after the last. */
export function depthOf(base: Base, name: string): number {
  const layer = layerOf(name);
  if (layer !== undefined) return layer;
  return /embed_out/.test(name) || !/embed|wte|wpe|project_in/.test(name) ? base.config.layers : -1;
}

export function sizes(base: Base, names: readonly string[]): number {
  const shapes = new Map(base.parameters.map(({ name, shape }) => [name, shape]));
  return names.reduce((sum, name) => sum + elements(shapes.get(name)!), 0);
}

const fullOptions = {
  layers: kSelection.layers,
  freeze: integer(0, 100_000).default(0),
  layerDecay: real(0, 1, { above: true }).default(1),
  reinit: integer(0, 100_000).default(0),
};
export type FullOptions = z.output<z.ZodObject<typeof fullOptions>>;

/** Parameters trained: those of `layers` alone, or all but the embeddings and the lowest `freeze` blocks. */
function chosen(base: Base, given: FullOptions): string[] {
  const names = base.parameters.map(({ name }) => name);
  if (given.layers) {
    if (given.freeze > 0)
      throw expected('freeze', 'left out beside `layers`, which names what is trained', given.freeze);
    const layers = checkLayers(base, given.layers);
    return names.filter((name) => layers.has(layerOf(name) ?? -1));
  }
  const { layers } = base.config;
  if (given.freeze > layers)
    throw expected('freeze', `an integer from 0 to ${layers}, the layers of ${base.name}`, given.freeze);
  return given.freeze === 0 ? names : names.filter((name) => depthOf(base, name) >= given.freeze);
}

function planFull(base: Base, given: FullOptions): Plan {
  const targets = chosen(base, given);
  const { layers } = base.config;
  if (given.reinit > layers)
    throw expected('reinit', `an integer from 0 to ${layers}, the layers of ${base.name}`, given.reinit);
  const fresh = targets.filter((name) => (layerOf(name) ?? -1) >= layers - given.reinit);
  const rates = targets.map((name) => given.layerDecay ** (layers - depthOf(base, name)));
  return {
    targets,
    options: {
      ...(given.layerDecay < 1 ? { rates: Float64Array.from(rates) } : {}),
      ...(fresh.length > 0 ? { fresh } : {}),
    },
    lane: {},
    trainable: sizes(base, targets),
  };
}

export const full = method({
  name: 'full',
  native: 'whole',
  title: 'Full fine-tuning',
  paper: 'layer-wise decay and fresh top layers: Zhang et al. 2021, arXiv:2006.05987',
  stackable: false,
  adapter: false,
  lr: 2e-5,
  options: fullOptions,
  describe: {
    layers: 'train these layers alone',
    freeze: 'leave the embeddings and this many of the lowest layers as they are',
    layerDecay: 'each layer learns this much slower than the one above it',
    reinit: 'this many of the top layers begin at random',
  },
  plan: planFull,
});

const bitfitOptions = { layers: listOf(integer(0, 100_000), 'numbers of layers').optional() };

function planBitfit(base: Base, given: { layers?: number[] | undefined }): Plan {
  const layers = given.layers && checkLayers(base, given.layers);
  const targets = base.parameters
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.bias') && (!layers || layers.has(layerOf(name) ?? -1)));
  if (targets.length === 0)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected a model with biases for method bitfit, got ${base.name}, which has none. Use layernorm.`,
    );
  return { targets, options: {}, lane: {}, trainable: sizes(base, targets) };
}

export const bitfit = method({
  name: 'bitfit',
  native: 'whole',
  title: 'Biases alone',
  paper: 'Ben Zaken et al. 2021, arXiv:2106.10199',
  stackable: true,
  adapter: false,
  lr: 1e-3,
  options: bitfitOptions,
  describe: { layers: 'biases of these layers alone' },
  plan: planBitfit,
});

type NormOptions = z.output<z.ZodObject<typeof kSelection>>;

function planNorms(base: Base, given: NormOptions): Plan {
  const modules = new Set(selectModules(base, given, 'all', normModules(base), 'norms'));
  const targets = base.parameters
    .map(({ name }) => name)
    .filter((name) => modules.has(name.replace(/\.(weight|bias)$/, '')));
  return { targets, options: {}, lane: {}, trainable: sizes(base, targets) };
}

const kPart = '.ln_tuning_layers.';

const normPeft: PeftFormat<NormOptions> = {
  type: 'LN_TUNING',
  config: kModulesConfig,
  write: (_given, targets) => ({ ...targets }),
  read: (_raw, stored) => ({
    targets: [...new Set([...stored.shapes.keys()].map((name) => name.replace(/\.(weight|bias)$/, '')))],
  }),
  toPeft: (name) => kPrefix + name.replace(/\.(weight|bias)$/, `${kPart}$1`),
  fromPeft: (name) => name.slice(kPrefix.length).replace(kPart, '.'),
};

export const layernorm = method({
  name: 'layernorm',
  native: 'whole',
  title: 'Norms alone',
  paper: 'Zhao et al. 2023, arXiv:2312.11420',
  stackable: true,
  adapter: true,
  lr: 1e-3,
  options: kSelection,
  describe: { ...kSelectionHelp, targets: 'norms: last parts of their names; all by default' },
  plan: planNorms,
  peft: normPeft,
});
