/** LoRA and its variants: options, what they come to, PEFT's format. */
import { z } from 'zod';
import { integer, oneOf, real, text } from '../../config.js';
import { expected } from '../../errors.js';
import { type Base, elements, flag, method, type Plan, share } from './method.js';
import { biasParameters, kModulesConfig, type PeftFormat, targetsOf, unwrapBias, wrapBias } from './peft.js';
import {
  checkRank,
  kDefaultTargets,
  kSelection,
  kSelectionHelp,
  patternValue,
  selectModules,
  shapeOf,
  sizeOf,
} from './targets.js';

export const kInits = ['default', 'gaussian', 'pissa', 'olora', 'orthogonal'] as const;
export const kBiases = ['none', 'all', 'lora_only'] as const;

const pattern = (value: z.ZodType<number>, what: string) => z.record(text(), value, { error: what }).default({});

const options = {
  rank: integer(1, 65_536).default(8),
  alpha: real(0, 1e6, { above: true }).default(8),
  dropout: share('a number').default(0),
  ...kSelection,
  rankPattern: pattern(integer(1, 65_536), 'ranks by module name'),
  alphaPattern: pattern(real(0, 1e6, { above: true }), 'alphas by module name'),
  bias: oneOf(kBiases).default('none'),
  rslora: flag.default(false),
  dora: flag.default(false),
  init: oneOf(kInits).default('default'),
  rateRatio: real(0, 1e6, { above: true }).default(1),
};
export type LoraOptions = z.output<z.ZodObject<typeof options>>;

function plan(base: Base, given: LoraOptions): Plan {
  const targets = selectModules(base, given, kDefaultTargets[base.config.family]);
  const ranks = targets.map((module) => patternValue(given.rankPattern, module, given.rank));
  const alphas = targets.map((module) => patternValue(given.alphaPattern, module, given.alpha));
  const biases = biasParameters(base, given.bias, targets);
  const sizes = targets.map((module, i) => {
    const { inputs, outputs } = sizeOf(base, module);
    return ranks[i]! * (inputs + outputs) + (given.dora ? outputs : 0);
  });
  const patterned = Object.keys(given.rankPattern).length + Object.keys(given.alphaPattern).length > 0;
  return {
    targets,
    options: {
      ...(patterned ? { ranks: Float64Array.from(ranks), alphas: Float64Array.from(alphas) } : {}),
      rslora: given.rslora,
      dora: given.dora,
      init: given.init,
      biases,
      b_rate: given.rateRatio,
    },
    lane: { rank: given.rank, alpha: given.alpha, dropout: given.dropout },
    trainable: [...sizes, ...biases.map((name) => elements(shapeOf(base, name)))].reduce((a, b) => a + b, 0),
  };
}

function checkFresh(base: Base, given: LoraOptions, { targets }: Plan): void {
  for (const module of targets) {
    const rank = patternValue(given.rankPattern, module, given.rank);
    checkRank(base, rank === given.rank ? 'rank' : 'rankPattern', rank, module);
    if (given.init === 'orthogonal' && rank % 2 !== 0) throw expected('rank', 'even for init orthogonal', rank);
  }
}

/** What PEFT writes for LoRA and cortune applies. Keys that would change the result in a way cortune does not are refused. */
const config = kModulesConfig.extend({
  r: z.int().min(1),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).max(1).default(0),
  bias: z.enum(kBiases).default('none'),
  use_dora: z.boolean().default(false),
  use_rslora: z.boolean().default(false),
  rank_pattern: z.record(z.string(), z.int().min(1)).nullish(),
  alpha_pattern: z.record(z.string(), z.number().positive()).nullish(),
  // OLoRA's, CorDA's and LoftQ's files need the base weights that they changed; EVA's and the others' do not.
  init_lora_weights: z
    .boolean()
    .or(z.enum(['gaussian', 'eva', 'orthogonal', 'pissa', 'olora']))
    .nullish(),
  layer_replication: z.null().optional(),
  alora_invocation_tokens: z.null().optional(),
  lora_bias: z.literal(false).nullish(),
  use_bdlora: z.literal(false).nullish(),
  target_parameters: z.null().or(z.array(z.string()).length(0)).optional(),
  trainable_token_indices: z.null().optional(),
  kasa_config: z.null().optional(),
  arrow_config: z.null().optional(),
});

/** PiSSA and OLoRA take a part of the base away, which a saved adapter must give back: see saved tensors in native/tune/lora.cc. */
export function takesFromBase(init: LoraOptions['init']): boolean {
  return init === 'pissa' || init === 'olora';
}

const peft: PeftFormat<LoraOptions> = {
  type: 'LORA',
  config,
  write(given, targets) {
    // As PEFT converts such an adapter to plain LoRA: old and new factors side by side, so twice the rank at twice the alpha.
    const twice = takesFromBase(given.init) ? 2 : 1;
    const alphaTwice = twice === 2 && given.rslora ? Math.SQRT2 : twice;
    const scaled = (values: Record<string, number>, factor: number) =>
      Object.fromEntries(Object.entries(values).map(([key, value]) => [key, value * factor]));
    return {
      r: given.rank * twice,
      lora_alpha: given.alpha * alphaTwice,
      lora_dropout: given.dropout,
      ...targets,
      bias: given.bias,
      use_rslora: given.rslora,
      use_dora: given.dora,
      init_lora_weights: ['gaussian', 'orthogonal'].includes(given.init) ? given.init : true,
      rank_pattern: scaled(given.rankPattern, twice),
      alpha_pattern: scaled(given.alphaPattern, alphaTwice),
    };
  },
  read(raw, stored) {
    const read = config.parse(raw);
    const init = read.init_lora_weights;
    return {
      rank: read.r,
      alpha: read.lora_alpha,
      dropout: read.lora_dropout,
      ...targetsOf(stored),
      rankPattern: read.rank_pattern ?? {},
      alphaPattern: read.alpha_pattern ?? {},
      bias: read.bias,
      rslora: read.use_rslora,
      dora: read.use_dora,
      init: typeof init === 'string' && init !== 'eva' ? init : 'default',
      rateRatio: 1,
    };
  },
  toPeft: wrapBias,
  fromPeft: unwrapBias,
};

export const lora = method({
  name: 'lora',
  native: 'lora',
  title: 'Low-rank adaptation',
  paper: 'Hu et al. 2021, arXiv:2106.09685',
  stackable: true,
  adapter: true,
  lr: 1e-4,
  options,
  describe: {
    rank: 'rank of the update',
    alpha: 'the update is scaled by alpha / rank',
    dropout: 'share of the input that the update does not see, in training',
    ...kSelectionHelp,
    rankPattern: 'ranks of single modules, by the end of their name',
    alphaPattern: 'alphas of single modules',
    bias: 'biases trained too: none, all, lora_only',
    rslora: 'scale by alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732)',
    dora: 'direction and magnitude apart (Liu et al. 2024, arXiv:2402.09353)',
    init: `${kInits.join(', ')} (PiSSA arXiv:2404.02948, OLoRA arXiv:2406.01775)`,
    rateRatio: 'LoRA+: learning rate of B over that of A (Hayou et al. 2024, arXiv:2402.12354)',
  },
  plan,
  checkFresh,
  peft,
});
