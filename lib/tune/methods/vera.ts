/** VeRA: options, what they come to, PEFT's format. */
import { z } from 'zod';
import { integer, oneOf, real } from '../../config.js';
import { type Base, elements, flag, method, type Plan, share } from './method.js';
import { biasParameters, kModulesConfig, type PeftFormat, targetsOf, unwrapBias, wrapBias } from './peft.js';
import { kDefaultTargets, kSelection, kSelectionHelp, selectModules, shapeOf, sizeOf } from './targets.js';

const kBiases = ['none', 'all', 'vera_only'] as const;

const options = {
  rank: integer(1, 65_536).default(256),
  dropout: share('a number').default(0),
  ...kSelection,
  bias: oneOf(kBiases).default('none'),
  projectionSeed: integer(0, 2 ** 31 - 1).default(0),
  saveProjection: flag.default(true),
  dInitial: real(-1e6, 1e6).default(0.1),
};
export type VeraOptions = z.output<z.ZodObject<typeof options>>;

function plan(base: Base, given: VeraOptions): Plan {
  const targets = selectModules(base, given, kDefaultTargets[base.config.family]);
  const biases = biasParameters(base, given.bias, targets);
  const vectors = targets.reduce((sum, module) => sum + given.rank + sizeOf(base, module).outputs, 0);
  return {
    targets,
    options: {
      rank: given.rank,
      projection_seed: given.projectionSeed,
      save_projection: given.saveProjection,
      biases,
    },
    lane: { dropout: given.dropout, d_initial: given.dInitial },
    trainable: biases.reduce((sum, name) => sum + elements(shapeOf(base, name)), vectors),
  };
}

const config = kModulesConfig.extend({
  r: z.int().min(1),
  projection_prng_key: z.int().default(0),
  save_projection: z.boolean().default(true),
  vera_dropout: z.number().min(0).max(1).default(0),
  d_initial: z.number().default(0.1),
  bias: z.enum(kBiases).default('none'),
});

const peft: PeftFormat<VeraOptions> = {
  type: 'VERA',
  config,
  write: (given, targets) => ({
    r: given.rank,
    ...targets,
    projection_prng_key: given.projectionSeed,
    save_projection: given.saveProjection,
    vera_dropout: given.dropout,
    d_initial: given.dInitial,
    bias: given.bias,
    init_weights: true,
  }),
  read(raw, stored) {
    const read = config.parse(raw);
    return {
      rank: read.r,
      dropout: read.vera_dropout,
      ...targetsOf(stored),
      bias: read.bias,
      projectionSeed: read.projection_prng_key,
      saveProjection: read.save_projection,
      dInitial: read.d_initial,
    };
  },
  toPeft: wrapBias,
  fromPeft: unwrapBias,
};

export const vera = method({
  name: 'vera',
  native: 'vera',
  title: 'Learned scales of shared random projections',
  paper: 'Kopiczko et al. 2023, arXiv:2310.11454',
  stackable: true,
  adapter: true,
  lr: 1e-2,
  options,
  describe: {
    rank: 'rank of the shared projections',
    dropout: 'share of the input that the update does not see, in training',
    ...kSelectionHelp,
    bias: 'biases trained too: none, all, vera_only',
    projectionSeed: 'draws the projections, the same as PEFT does',
    saveProjection: 'keep the projections in the file',
    dInitial: 'the inner scales at the start',
  },
  plan,
  peft,
});
