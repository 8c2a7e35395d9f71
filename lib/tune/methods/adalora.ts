/** AdaLoRA: options, what they come to, PEFT's format. */
import { z } from 'zod';
import { integer, real } from '../../config.js';
import { expected } from '../../errors.js';
import { type Base, method, type Plan, share } from './method.js';
import { kModulesConfig, type PeftFormat, targetsOf } from './peft.js';
import { checkRank, type Defaults, kSelection, kSelectionHelp, selectModules, sizeOf } from './targets.js';

const kTargets: Defaults = {
  llama: ['q_proj', 'v_proj'],
  gpt2: ['c_attn'],
  neox: ['query_key_value'],
  opt: ['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'],
  bert: ['query', 'value'],
  vit: ['q_proj', 'v_proj'],
  deit: ['q_proj', 'v_proj'],
  dinov2: ['q_proj', 'v_proj'],
};

const between = (what: string) => z.number({ error: what }).gt(0, { error: what }).lt(1, { error: what });

const options = {
  rank: integer(1, 65_536).default(8),
  initialRank: integer(1, 65_536).default(12),
  alpha: real(0, 1e6, { above: true }).default(8),
  dropout: share('a number').default(0),
  ...kSelection,
  tinit: integer(0, 1e9).default(0),
  tfinal: integer(0, 1e9).default(0),
  deltaT: integer(1, 1e9).default(1),
  sensitivity: between('a number above 0, below 1').default(0.85),
  uncertainty: between('a number above 0, below 1').default(0.85),
  orthogonality: real(0, 1e6).default(0.5),
  /** Ranks of single modules after training, as a loaded adapter has them. */
  ranks: z.record(z.string(), z.array(z.boolean())).optional(),
};
export type AdaLoraOptions = z.output<z.ZodObject<typeof options>>;

function plan(base: Base, given: AdaLoraOptions): Plan {
  const targets = selectModules(base, given, kTargets[base.config.family]);
  if (given.rank > given.initialRank)
    throw expected('rank', `at most initialRank (${given.initialRank}): AdaLoRA takes ranks away`, given.rank);
  const ranks =
    given.ranks && targets.map((module) => given.ranks![module]?.filter(Boolean).length ?? given.initialRank);
  return {
    targets,
    options: {
      initial_rank: given.initialRank,
      target_rank: given.rank,
      tinit: given.tinit,
      tfinal: given.tfinal,
      delta_t: given.deltaT,
      sensitivity: given.sensitivity,
      uncertainty: given.uncertainty,
      orthogonality: given.orthogonality,
      ...(ranks ? { ranks: Float64Array.from(ranks) } : {}),
    },
    lane: { alpha: given.alpha, dropout: given.dropout },
    trainable: targets.reduce((sum, module) => {
      const { inputs, outputs } = sizeOf(base, module);
      return sum + given.initialRank * (inputs + outputs + 1);
    }, 0),
  };
}

const config = kModulesConfig.extend({
  init_r: z.int().min(1),
  target_r: z.int().min(1),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).max(1).default(0),
  bias: z.literal('none').default('none'),
  tinit: z.int().default(0),
  tfinal: z.int().default(0),
  deltaT: z.int().min(1).default(1),
  beta1: z.number().default(0.85),
  beta2: z.number().default(0.85),
  orth_reg_weight: z.number().default(0.5),
  total_step: z.int().nullish(),
  rank_pattern: z.record(z.string(), z.array(z.boolean())).nullish(),
});

const peft: PeftFormat<AdaLoraOptions> = {
  type: 'ADALORA',
  config,
  write: (given, targets) => ({
    ...targets,
    init_r: given.initialRank,
    target_r: given.rank,
    lora_alpha: given.alpha,
    lora_dropout: given.dropout,
    bias: 'none',
    tinit: given.tinit,
    tfinal: given.tfinal,
    deltaT: given.deltaT,
    beta1: given.sensitivity,
    beta2: given.uncertainty,
    orth_reg_weight: given.orthogonality,
    // PEFT refuses a schedule without room for its middle phase, even to load what has been trained.
    total_step: given.tinit + given.tfinal + 1,
    ...(given.ranks
      ? { rank_pattern: Object.fromEntries(Object.entries(given.ranks).map(([key, kept]) => [`${key}.lora_E`, kept])) }
      : {}),
  }),
  read(raw, stored) {
    const read = config.parse(raw);
    const { targets } = targetsOf(stored);
    // Keys are PEFT's: of the model it was trained on, with or without the adapter's name.
    const ranks: Record<string, boolean[]> = {};
    for (const [key, kept] of Object.entries(read.rank_pattern ?? {})) {
      const path = key.replace(/\.lora_E(\..+)?$/, '');
      const module = targets.find((name) => name === path || name.endsWith(`.${path}`) || path.endsWith(`.${name}`));
      if (module !== undefined) ranks[module] = kept;
    }
    return {
      rank: read.target_r,
      initialRank: read.init_r,
      alpha: read.lora_alpha,
      dropout: read.lora_dropout,
      targets,
      tinit: read.tinit,
      tfinal: read.tfinal,
      deltaT: read.deltaT,
      sensitivity: read.beta1,
      uncertainty: read.beta2,
      orthogonality: read.orth_reg_weight,
      // Whether or not any was taken away, none is from here on.
      ranks,
    };
  },
};

export const adalora = method({
  name: 'adalora',
  native: 'adalora',
  title: 'LoRA with ranks where they matter',
  paper: 'Zhang et al. 2023, arXiv:2303.10512',
  stackable: true,
  adapter: true,
  lr: 1e-3,
  options,
  describe: {
    rank: 'mean rank after the last allocation',
    initialRank: 'rank of every module before',
    alpha: 'the update is scaled by alpha / initialRank',
    dropout: 'share of the input that the update does not see, in training',
    ...kSelectionHelp,
    tinit: 'steps before ranks are taken away',
    tfinal: 'last steps, with the final ranks',
    deltaT: 'steps between two allocations',
    sensitivity: 'share of the past in the smoothed sensitivity (beta1 of the paper)',
    uncertainty: 'share of the past in the smoothed uncertainty (beta2 of the paper)',
    orthogonality: 'weight of the term that keeps the factors orthogonal',
    ranks: 'ranks kept, as a loaded adapter has them',
  },
  plan,
  checkFresh: (base, given, { targets }) => {
    for (const module of targets) checkRank(base, 'initialRank', given.initialRank, module);
  },
  peft,
});
