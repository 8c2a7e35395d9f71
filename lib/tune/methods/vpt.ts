/** Visual prompt tuning: options, what they come to, its file. PEFT has no such method; the file is built as PEFT builds prompts. */
import { z } from 'zod';
import { integer } from '../../config.js';
import { CortuneError } from '../../errors.js';
import { type Base, flag, method, type Plan } from './method.js';
import { kVirtualConfig, type PeftFormat } from './peft.js';

const options = { promptTokens: integer(1, 1_000_000).default(10), deep: flag.default(false) };
export type VptOptions = z.output<z.ZodObject<typeof options>>;

function plan({ name, config }: Base, { promptTokens, deep }: VptOptions): Plan {
  if (config.patchSize === 0)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected a model of images (ViT, DeiT, DINOv2) for method vpt, got ${name}. Models of texts have \`prompt\`.`,
    );
  return {
    targets: [],
    options: { tokens: promptTokens, deep },
    lane: {},
    trainable: promptTokens * config.hiddenSize * (deep ? config.layers : 1),
  };
}

const peft: PeftFormat<VptOptions> = {
  type: 'VISUAL_PROMPT_TUNING',
  config: kVirtualConfig.extend({ deep: z.boolean() }),
  write: ({ promptTokens, deep }, _targets, { config }) => ({
    num_virtual_tokens: promptTokens,
    deep,
    token_dim: config.hiddenSize,
    num_layers: config.layers,
  }),
  read: (raw) => {
    const { num_virtual_tokens: promptTokens, deep } = raw as { num_virtual_tokens: number; deep: boolean };
    return { promptTokens, deep };
  },
};

export const vpt = method({
  name: 'vpt',
  native: 'vpt',
  title: 'Visual prompt tuning: trained states beside the patches of an image',
  paper: 'Jia et al. 2022, arXiv:2203.12119',
  stackable: true,
  adapter: true,
  lr: 1e-2,
  options,
  describe: {
    promptTokens: 'trained states beside the patches',
    deep: 'fresh ones before every block, in place of what became of those before (VPT-deep)',
  },
  plan,
  peft,
});
