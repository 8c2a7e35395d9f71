/** Prompt tuning, prefix tuning and P-tuning: options, what they come to, PEFT's formats. */
import type { z } from 'zod';
import { integer, oneOf, text } from '../../config.js';
import { CortuneError, expected } from '../../errors.js';
import { Random } from '../../random.js';
import { type Base, flag, method, type Plan, share } from './method.js';
import { kVirtualConfig, type PeftFormat } from './peft.js';

const tokens = { virtualTokens: integer(1, 1_000_000).default(20) };
const tokensHelp = { virtualTokens: 'trained tokens before every sequence' };

/** Throws ERR_CONFIG for models of images, a RangeError when nothing of the context is left for words. */
function checkTokens(base: Base, count: number): void {
  if (base.config.patchSize > 0)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected a model of texts for virtual tokens, got ${base.name}. Images have method \`vpt\`.`,
    );
  const limit = base.config.maxPositions - 2;
  if (count > limit)
    throw expected(
      'virtualTokens',
      `an integer from 1 to ${limit}, so that the context of ${base.name} has room for words`,
      count,
    );
}

/** Ids of a text, repeated or cut to `count`, as PEFT does. Throws ERR_CONFIG without a text. */
function idsOf(base: Base, initText: string | undefined, count: number): number[] {
  if (initText === undefined || !base.tokenize)
    throw new CortuneError('ERR_CONFIG', 'Expected `initText` beside init text, got none.');
  const ids = base.tokenize(initText);
  if (ids.length === 0) throw new CortuneError('ERR_CONFIG', 'Expected `initText` to have words, got none.');
  return Array.from({ length: count }, (_, i) => ids[i % ids.length]!);
}

/** What all three write. Width and heads are those of the keys for prefixes. */
function common(base: Base, count: number, keys: boolean): Record<string, unknown> {
  const heads = keys ? base.config.kvHeads : base.config.heads;
  return {
    num_virtual_tokens: count,
    token_dim: keys ? heads * base.config.headDim : base.config.hiddenSize,
    num_transformer_submodules: 1,
    num_attention_heads: heads,
    num_layers: base.config.layers,
    modules_to_save: null,
  };
}

/** Width of what a word is embedded in. */
function wordSize({ config }: Base): number {
  return config.family === 'opt' ? config.embedSize : config.hiddenSize;
}

const kPromptInits = ['random', 'text', 'vocabulary'] as const;
const promptOptions = { ...tokens, init: oneOf(kPromptInits).default('random'), initText: text().optional() };
export type PromptOptions = z.output<z.ZodObject<typeof promptOptions>>;

function planPrompt(base: Base, given: PromptOptions, seeds: readonly number[]): Plan {
  checkTokens(base, given.virtualTokens);
  const count = given.virtualTokens;
  const sample = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: count }, () => Math.floor(random.uniform() * base.config.vocabSize));
  };
  const ids =
    given.init === 'random'
      ? undefined
      : seeds.flatMap((seed) => (given.init === 'text' ? idsOf(base, given.initText, count) : sample(seed)));
  return {
    targets: [],
    options: { tokens: count, ...(ids ? { ids: Float64Array.from(ids) } : {}) },
    lane: {},
    trainable: count * wordSize(base),
  };
}

const kPeftInits = { random: 'RANDOM', text: 'TEXT', vocabulary: 'SAMPLE_VOCAB' } as const;

const promptPeft: PeftFormat<PromptOptions> = {
  type: 'PROMPT_TUNING',
  // What P-tuning's encoder made of its tokens is all that its file keeps: a prompt.
  reads: ['PROMPT_TUNING', 'P_TUNING'],
  config: kVirtualConfig,
  write: (given, _targets, base) => ({
    ...common(base, given.virtualTokens, false),
    prompt_tuning_init: kPeftInits[given.init],
    prompt_tuning_init_text: given.initText ?? null,
    tokenizer_name_or_path: given.init === 'text' ? base.name : null,
  }),
  read: (raw) => ({ virtualTokens: kVirtualConfig.parse(raw).num_virtual_tokens, init: 'random' }),
};

export const prompt = method({
  name: 'prompt',
  native: 'prompt',
  title: 'Prompt tuning',
  paper: 'Lester et al. 2021, arXiv:2104.08691',
  stackable: true,
  adapter: true,
  lr: 3e-2,
  options: promptOptions,
  describe: {
    ...tokensHelp,
    init: 'random, text (the words of initText) or vocabulary (words drawn from it)',
    initText: 'what the prompt begins as',
  },
  plan: planPrompt,
  peft: promptPeft,
});

const kPrefixInits = ['random', 'zero', 'text'] as const;
const prefixOptions = {
  ...tokens,
  projection: flag.default(false),
  hiddenSize: integer(1, 1_000_000).optional(),
  init: oneOf(kPrefixInits).default('random'),
  initText: text().optional(),
};
export type PrefixOptions = z.output<z.ZodObject<typeof prefixOptions>>;

function planPrefix(base: Base, given: PrefixOptions): Plan {
  checkTokens(base, given.virtualTokens);
  if (given.projection && given.init === 'text')
    throw expected(
      'init',
      'random or zero with a projection, which cannot be made to give the states of a text',
      given.init,
    );
  if (!given.projection && given.hiddenSize !== undefined)
    throw expected('hiddenSize', 'left out without a projection', given.hiddenSize);
  const { kvHeads, headDim, layers } = base.config;
  const [width, hidden, count] = [kvHeads * headDim, given.hiddenSize ?? base.config.hiddenSize, given.virtualTokens];
  const ids = given.init === 'text' ? idsOf(base, given.initText, count) : undefined;
  return {
    targets: [],
    options: {
      tokens: count,
      init: given.init,
      hidden: given.projection ? hidden : 0,
      ...(ids ? { ids: Float64Array.from(ids) } : {}),
    },
    lane: {},
    trainable: given.projection
      ? count * width + hidden * (width + 1) + 2 * layers * width * (hidden + 1)
      : count * 2 * layers * width,
  };
}

const prefixPeft: PeftFormat<PrefixOptions> = {
  type: 'PREFIX_TUNING',
  config: kVirtualConfig,
  write: (given, _targets, base) => ({
    ...common(base, given.virtualTokens, true),
    prefix_projection: given.projection,
    encoder_hidden_size: given.projection ? (given.hiddenSize ?? base.config.hiddenSize) : null,
  }),
  // Files hold what the projection gave.
  read: (raw) => ({ virtualTokens: kVirtualConfig.parse(raw).num_virtual_tokens, projection: false, init: 'random' }),
};

export const prefix = method({
  name: 'prefix',
  native: 'prefix',
  title: 'Prefix tuning',
  paper: 'Li & Liang 2021, arXiv:2101.00190',
  stackable: true,
  adapter: true,
  lr: 3e-2,
  options: prefixOptions,
  describe: {
    virtualTokens: 'trained keys and values before those of every layer',
    projection: 'make them by a small network',
    hiddenSize: "its hidden size; the model's by default",
    init: 'random, zero (no effect) or text (the keys and values of initText)',
    initText: 'what the prefix begins as',
  },
  plan: planPrefix,
  peft: prefixPeft,
});

const kEncoders = ['mlp', 'lstm'] as const;
const encoderOptions = {
  ...tokens,
  encoder: oneOf(kEncoders).default('mlp'),
  hiddenSize: integer(1, 1_000_000).optional(),
  encoderLayers: integer(1, 100).default(2),
  dropout: share('a number').default(0),
};
export type EncoderOptions = z.output<z.ZodObject<typeof encoderOptions>>;

function encoderSize({ encoder, encoderLayers }: EncoderOptions, width: number, hidden: number): number {
  const linear = (inputs: number, outputs: number) => outputs * (inputs + 1);
  if (encoder === 'mlp') return linear(width, hidden) + linear(hidden, hidden) + linear(hidden, width);
  // Both directions: four gates from the input and from the state, each with a bias.
  const layer = (inputs: number) => 2 * 4 * hidden * (inputs + hidden + 2);
  return (
    layer(width) + (encoderLayers - 1) * layer(2 * hidden) + linear(2 * hidden, 2 * hidden) + linear(2 * hidden, width)
  );
}

function planEncoder(base: Base, given: EncoderOptions): Plan {
  checkTokens(base, given.virtualTokens);
  const [width, hidden] = [wordSize(base), given.hiddenSize ?? base.config.hiddenSize];
  return {
    targets: [],
    options: { tokens: given.virtualTokens, encoder: given.encoder, hidden, layers: given.encoderLayers },
    lane: { dropout: given.encoder === 'lstm' ? given.dropout : 0 },
    trainable: given.virtualTokens * width + encoderSize(given, width, hidden),
  };
}

const encoderPeft: PeftFormat<EncoderOptions> = {
  type: 'P_TUNING',
  reads: [],
  config: kVirtualConfig,
  write: (given, _targets, base) => ({
    ...common(base, given.virtualTokens, false),
    encoder_reparameterization_type: given.encoder.toUpperCase(),
    encoder_hidden_size: given.hiddenSize ?? base.config.hiddenSize,
    encoder_num_layers: given.encoderLayers,
    encoder_dropout: given.dropout,
  }),
  read() {
    throw new Error('read as a prompt');
  },
};

export const pTuning = method({
  name: 'p-tuning',
  native: 'p_tuning',
  title: 'P-tuning: a prompt made by a small network',
  paper: 'Liu et al. 2021, arXiv:2103.10385',
  stackable: true,
  adapter: true,
  lr: 1e-3,
  options: encoderOptions,
  describe: {
    ...tokensHelp,
    encoder: 'mlp or lstm',
    hiddenSize: "hidden size of the network; the model's by default",
    encoderLayers: 'layers of the LSTM',
    dropout: 'between the layers of the LSTM',
  },
  plan: planEncoder,
  peft: encoderPeft,
});
