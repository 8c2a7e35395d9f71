/** IA3: options, what they come to, PEFT's format. */
import { z } from 'zod';
import { text } from '../../config.js';
import { CortuneError } from '../../errors.js';
import { type Base, method, type Plan } from './method.js';
import { kModulesConfig, kPrefix, type PeftFormat, targetsOf } from './peft.js';
import { type Defaults, kSelection, kSelectionHelp, selectModules, sizeOf } from './targets.js';

const kTargets: Defaults = {
  llama: ['k_proj', 'v_proj', 'down_proj'],
  gpt2: ['c_attn', 'mlp.c_proj'],
  neox: ['query_key_value', 'dense_4h_to_h'],
  opt: ['q_proj', 'k_proj', 'fc2'],
  bert: ['key', 'value', 'output.dense'],
  vit: ['k_proj', 'v_proj', 'fc2'],
  deit: ['k_proj', 'v_proj', 'fc2'],
  dinov2: ['k_proj', 'v_proj', 'fc2'],
};
/** PEFT has another default for Qwen2, which is the Llama with biases on queries, keys and values alone. */
const kQwen2 = ['q_proj', 'v_proj', 'down_proj'];

function defaultsOf({ config }: Base): readonly string[] {
  return config.family === 'llama' && config.qkvBias && !config.outBias ? kQwen2 : kTargets[config.family];
}

const kFeedforward: Defaults = {
  llama: ['down_proj'],
  gpt2: ['mlp.c_proj'],
  neox: ['dense_4h_to_h'],
  opt: ['fc2'],
  bert: ['output.dense'],
  vit: ['fc2'],
  deit: ['fc2'],
  dinov2: ['fc2'],
};

const options = {
  ...kSelection,
  feedforward: z.union([text(), z.array(text())], { error: 'a list of module names' }).optional(),
};
export type Ia3Options = z.output<z.ZodObject<typeof options>>;

/** Targets whose input is scaled: by default those of PEFT that are targets. */
function feedforwardOf(base: Base, given: Ia3Options, targets: readonly string[]): string[] {
  if (given.feedforward === undefined) {
    const ends = kFeedforward[base.config.family];
    return targets.filter((module) => ends.some((end) => module.endsWith(`.${end}`)));
  }
  if (given.feedforward.length === 0) return [];
  const chosen = selectModules(base, { targets: given.feedforward }, []);
  const other = chosen.find((module) => !targets.includes(module) && !given.exclude && !given.layers);
  if (other !== undefined)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected \`feedforward\` to name some of \`targets\`, got \`${other}\`, which is none.`,
    );
  return chosen.filter((module) => targets.includes(module));
}

function plan(base: Base, given: Ia3Options): Plan {
  const targets = selectModules(base, given, defaultsOf(base));
  const feedforward = feedforwardOf(base, given, targets);
  return {
    targets,
    options: { feedforward },
    lane: {},
    trainable: targets.reduce((sum, module) => {
      const { inputs, outputs } = sizeOf(base, module);
      return sum + (feedforward.includes(module) ? inputs : outputs);
    }, 0),
  };
}

/** PEFT wants the one list to be part of the other, name by name. */
function fullNames(base: Base, given: Ia3Options) {
  const targets = selectModules(base, given, defaultsOf(base));
  return { target_modules: targets, feedforward_modules: feedforwardOf(base, given, targets) };
}

const peft: PeftFormat<Ia3Options> = {
  type: 'IA3',
  config: kModulesConfig,
  write: (given, _targets, base) => ({
    ...fullNames(base, given),
    init_ia3_weights: true,
  }),
  read(_raw, stored) {
    const { targets } = targetsOf(stored);
    // A scaled input is stored as a row, a scaled output as a column.
    const rows = targets.filter((module) => stored.shapes.get(`${kPrefix}${module}.ia3_l`)?.[0] === 1);
    return { targets, feedforward: rows };
  },
};

export const ia3 = method({
  name: 'ia3',
  native: 'ia3',
  title: 'Learned scales of keys, values and the feed-forward',
  paper: 'Liu et al. 2022, arXiv:2205.05638',
  stackable: true,
  adapter: true,
  lr: 3e-3,
  options,
  describe: { ...kSelectionHelp, feedforward: 'targets whose input is scaled instead of the output' },
  plan,
  peft,
});
