/** The table of tuning methods against peft: which modules, how many parameters, which defaults; and what it refuses. */
import { describe, expect, it } from 'vitest';
import { describeModel } from '../../lib/model/describe.js';
import { baseOfDescription, kMethods, methodOf, planOf } from '../../lib/tune/methods.js';
import { kMethodModels, type MethodModel, methodGoldens, methodModel } from '../helpers/method-goldens.js';
import { tinyModel } from '../helpers/tiny-models.js';

async function baseOf(name: MethodModel) {
  return baseOfDescription(await describeModel(methodModel(name)));
}

/** Options of ours that peft's mean. */
function ours(options: Record<string, unknown>): Record<string, unknown> {
  const names = (value: unknown) => (typeof value === 'string' && value !== 'all-linear' ? `/${value}/` : value);
  return {
    targets: names(options.target_modules),
    exclude: names(options.exclude_modules),
    layers: options.layers_to_transform,
    rank: 1,
  };
}

/** What each golden case is in our table. */
const kCases: Record<string, [string, Record<string, unknown>]> = {
  lora: ['lora', { rank: 4 }],
  'lora-dora': ['lora', { rank: 4, dora: true }],
  'lora-bias-all': ['lora', { rank: 4, bias: 'all' }],
  'lora-bias-only': ['lora', { rank: 4, bias: 'lora_only' }],
  adalora: ['adalora', { initialRank: 4, rank: 2 }],
  ia3: ['ia3', {}],
  vera: ['vera', { rank: 8 }],
  prompt: ['prompt', { virtualTokens: 5 }],
  prefix: ['prefix', { virtualTokens: 5 }],
  'prefix-projection': ['prefix', { virtualTokens: 5, projection: true, hiddenSize: 12 }],
  'p-tuning': ['p-tuning', { virtualTokens: 5, hiddenSize: 12 }],
  'p-tuning-lstm': ['p-tuning', { virtualTokens: 5, hiddenSize: 12, encoder: 'lstm' }],
  layernorm: ['layernorm', {}],
  bitfit: ['bitfit', {}],
  'full-layers': ['full', { freeze: 1 }],
  'full-decay': ['full', { layerDecay: 0.7 }],
  hft: ['hft', {}],
};

describe.each(kMethodModels)('%s', (name) => {
  const golden = methodGoldens(name);

  it.each(golden.targetings.map((each) => [JSON.stringify(each.options), each] as const))(
    'adapts the modules that peft adapts for %s',
    async (_, { options, modules }) => {
      const { plan } = planOf(await baseOf(name), methodOf('lora'), ours(options));
      // peft names BERT's encoder within the model with the head, which is none of the base here
      const theirs = modules
        .filter((module) => !module.startsWith('cls.'))
        .map((module) => module.replace(/^bert\./, ''));
      expect([...plan.targets].sort()).toEqual(theirs.sort());
    },
  );

  it.each(Object.keys(kCases).filter((key) => key in golden.cases))(
    'trains as many parameters as peft: %s',
    async (key) => {
      const [method, options] = kCases[key]!;
      const { config, trained } = golden.cases[key]!;
      const targets = config?.target_modules && method !== 'layernorm' ? { targets: config.target_modules } : {};
      const { plan } = planOf(await baseOf(name), methodOf(method), { ...targets, ...options });
      const theirs = Object.entries(trained)
        // the base here is BERT without its head
        .filter(([tensor]) => !tensor.includes('cls.predictions'))
        .reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(plan.trainable).toBe(theirs);
    },
  );

  it('IA3 attaches where peft attaches it', async () => {
    const { plan } = planOf(await baseOf(name), methodOf('ia3'));
    const shapes = Object.entries(golden.cases.ia3!.trained).map(([tensor, shape]) => [
      tensor.replace(/^base_model\.model\.(bert\.)?/, '').replace(/\.ia3_l$/, ''),
      shape[0] === 1,
    ]);
    const inputs = plan.options.feedforward as string[];
    expect(plan.targets.map((module) => [module, inputs.includes(module)]).sort()).toEqual(shapes.sort());
  });
});

describe('defaults', () => {
  it.each(kMethods.map(({ name }) => [name]))('%s: every option is described, and has a default or none', (name) => {
    const method = methodOf(name);
    const parsed = method.schema.safeParse({});
    expect(parsed.success).toBe(true);
    const known = new Set(Object.keys(method.describe));
    for (const key of Object.keys(parsed.data as object)) expect(known.has(key), key).toBe(true);
  });

  it('are those of peft', () => {
    const { cases } = methodGoldens('llama');
    const value = (name: string, key: string) => (methodOf(name).schema.parse({}) as Record<string, unknown>)[key];
    // options that the cases leave at peft's default
    expect(value('lora', 'dropout')).toBe(cases.lora!.config!.lora_dropout);
    expect(value('lora', 'bias')).toBe(cases.lora!.config!.bias);
    expect(value('lora', 'rslora')).toBe(cases.lora!.config!.use_rslora);
    expect(value('vera', 'dInitial')).toBe(cases.vera!.config!.d_initial);
    expect(value('vera', 'saveProjection')).toBe(cases.vera!.config!.save_projection);
    expect(value('prefix', 'projection')).toBe(cases.prefix!.config!.prefix_projection);
    expect(value('p-tuning', 'encoderLayers')).toBe(cases['p-tuning']!.config!.encoder_num_layers);
    expect(value('adalora', 'sensitivity')).toBe(cases.adalora!.config!.beta1);
  });
});

it('IA3 on Qwen2 scales what peft scales there', async () => {
  const base = baseOfDescription(await describeModel(tinyModel('qwen2')));
  const parts = planOf(base, methodOf('ia3')).plan.targets.map((module) => module.split('.').at(-1)!);
  expect([...new Set(parts)].sort()).toEqual(['down_proj', 'q_proj', 'v_proj']);
});

describe('refuses', () => {
  const refusal = async (method: string, options: Record<string, unknown>, name: MethodModel = 'llama') => {
    const base = await baseOf(name);
    try {
      planOf(base, methodOf(method), options);
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing';
  };

  it.each([
    ['an unknown module, with the close one', 'lora', { targets: ['q_porj'] }, 'Did you mean `q_proj`'],
    ['an expression that fits nothing', 'lora', { targets: '/q/' }, 'whole name must match'],
    ['an expression that is none', 'lora', { targets: '/(/' }, 'regular expression'],
    [
      'a rank over the size of a module',
      'lora',
      { targets: ['k_proj'], rank: 17 },
      'from 1 to 16, the smaller side of `model.layers.0.self_attn.k_proj`',
    ],
    ['a pattern over the size of a module', 'lora', { rankPattern: { v_proj: 40 } }, '`rankPattern`'],
    ['an odd rank for the orthogonal start', 'lora', { rank: 3, init: 'orthogonal' }, 'even'],
    ['an unknown start', 'lora', { init: 'pisa' }, 'did you mean `pissa`?'],
    ['a rank of zero', 'lora', { rank: 0 }, 'an integer from 1'],
    ['a rank that is a text', 'lora', { rank: '8' }, '`8` (string)'],
    ['a layer that is not there', 'lora', { layers: [3] }, 'from 0 to 2'],
    ['everything excluded', 'lora', { exclude: ['q_proj', 'v_proj'] }, 'leave a module'],
    ['an option of another method', 'ia3', { rank: 8 }, 'method ia3 has no such option'],
    ['a prompt longer than the context', 'prompt', { virtualTokens: 64 }, 'from 1 to 62'],
    ['a prefix longer than the context', 'prefix', { virtualTokens: 100 }, 'from 1 to 62'],
    ['a text to begin as that is not given', 'prompt', { init: 'text' }, '`initText`'],
    ['biases of a model without', 'bitfit', {}, 'which has none'],
    ['AdaLoRA that would add ranks', 'adalora', { rank: 9, initialRank: 8 }, 'at most initialRank'],
    ['scaled inputs that are no targets', 'ia3', { targets: ['k_proj'], feedforward: ['down_proj'] }, 'which is none'],
    ['more frozen layers than there are', 'full', { freeze: 4 }, 'from 0 to 3'],
    ['a share of nothing', 'hft', { share: 0 }, 'above 0'],
  ])('%s', async (_, method, options, says) => {
    expect(await refusal(method, options)).toContain(says);
  });
});
