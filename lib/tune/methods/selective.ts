/** Selective methods: whole weights of which a part learns at a time, chosen anew in rounds. Half fine-tuning is a rule on it. */
import type { z } from 'zod';
import { integer, oneOf, real } from '../../config.js';
import { type Base, flag, method, type Plan } from './method.js';
import { layerOf, normModules } from './targets.js';
import { sizes } from './weights.js';

/** What is chosen: whole modules (weight and bias together), rows of matrices, single weights. */
export const kGrains = ['module', 'row', 'weight'] as const;
/** How: at random, by the size of the weights, or by weight times gradient when the round begins. */
export const kRules = ['random', 'magnitude', 'sensitivity'] as const;

const schedule = {
  share: real(0, 1, { above: true }).default(0.5),
  every: integer(0, 1e9).default(0),
  rest: flag.default(true),
};
const scheduleHelp = {
  share: 'share of the units that learns in a round',
  every: 'updates of a round, after which units are chosen anew; 0 for one round',
  rest: 'what is in no block (embeddings, head, last norm) learns always; else never',
};

/** Attention, feed-forward, norms: halves are drawn within each. */
function kindOf(norms: ReadonlySet<string>, module: string): number {
  if (norms.has(module)) return 2;
  return /attn|attention/.test(module) ? 0 : 1;
}

/**
 * Blocks' parameters with the number of their unit (a module), each unit's group (block and kind) and each group's kind; parameters of no
 * block have unit -1: they learn always.
 */
function unitsOf(base: Base, rest: boolean) {
  const norms = new Set(normModules(base));
  const targets = base.parameters.map(({ name }) => name).filter((name) => rest || layerOf(name) !== undefined);
  const [units, groups] = [new Map<string, number>(), new Map<string, number>()];
  const [unit, group, kind]: [number[], number[], number[]] = [[], [], []];
  for (const name of targets) {
    const layer = layerOf(name);
    const module = name.replace(/\.(weight|bias)$/, '');
    if (layer === undefined) {
      unit.push(-1);
      continue;
    }
    if (!units.has(module)) {
      const part = `${layer} ${kindOf(norms, module)}`;
      if (!groups.has(part)) {
        groups.set(part, groups.size);
        kind.push(kindOf(norms, module));
      }
      units.set(module, units.size);
      group.push(groups.get(part)!);
    }
    unit.push(units.get(module)!);
  }
  return { targets, unit: Float64Array.from(unit), group: Float64Array.from(group), kind: Float64Array.from(kind) };
}

type Given = { share: number; every: number; rest: boolean; grain: string; rule: string };

function plan(base: Base, given: Given): Plan {
  const { targets, unit, group, kind } = unitsOf(base, given.rest);
  return {
    targets,
    options: { share: given.share, every: given.every, grain: given.grain, rule: given.rule, unit, group, kind },
    lane: {},
    trainable: sizes(base, targets),
  };
}

export const hft = method({
  name: 'hft',
  native: 'selective',
  title: 'Half fine-tuning: half of each block learns, chosen anew each round',
  paper: 'Hui et al. 2024, arXiv:2404.18466',
  stackable: false,
  adapter: false,
  lr: 2e-5,
  options: schedule,
  describe: scheduleHelp,
  plan: (base, given) => plan(base, { ...given, grain: 'module', rule: 'random' }),
});

const options = { ...schedule, grain: oneOf(kGrains).default('weight'), rule: oneOf(kRules).default('magnitude') };

export type SelectiveOptions = z.output<z.ZodObject<typeof options>>;

export const selective = method({
  name: 'selective',
  native: 'selective',
  title: 'A chosen part of the weights',
  paper: '',
  stackable: false,
  adapter: false,
  lr: 2e-5,
  options,
  describe: { ...scheduleHelp, grain: `${kGrains.join(', ')}: what is chosen`, rule: `${kRules.join(', ')}: how` },
  plan: (base, given: SelectiveOptions) => plan(base, given),
});
