/** The sections of a study file beside its methods: data, models, tuning, embedding, alignment, scoring, tests, controls. */
import { z } from 'zod';
import { kDissimilarities, kRdmComparisons } from '../analysis/rdm.js';
import { parseExchange } from '../analysis/surrogates.js';
import { integer, listOf, oneOf, real, section, text, written } from '../config.js';
import { kDelays } from '../data/align.js';
import { kSubjectModes } from '../data/schema.js';
import { kContexts, kPools } from '../embed/embed.js';
import { kDefaultAlphas, parseAlphas } from '../encode/alphas.js';
import { parseFolds } from '../encode/folds.js';
import { kPrecisions } from '../precision.js';
import { kPackings } from '../tune/examples.js';
import { parseMemory } from '../tune/memory.js';
import { kSchedules } from '../tune/schedule.js';

/** A subject or variant called by a number or a text. */
const label = z.union([z.number().transform(String), text('a name')], { error: 'a name or a number' });
const flag = z.boolean({ error: '`true` or `false`' });
const seed = integer(0, 2 ** 31 - 1);

/** Text in a form that another module reads; its own sentence tells what is wrong. */
function checked(what: string, read: (text: string) => unknown) {
  return text(what).superRefine((value, context) => {
    try {
      read(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  });
}

/** `simulated` or a path is short for `{dataset: ...}`. */
const dataSection = section('`data`', {
  dataset: text('the path of a dataset.yaml, or `simulated`').describe(
    'A known data set (`alice`), a dataset.yaml or its folder, or `simulated`, with options as `simulated:layer=4,targets=6`.',
  ),
  name: text('a name').optional().describe('What tables call it, where a study has several; by default its own name.'),
  root: text('a folder').optional().describe('The folder of its files, instead of the one its description names.'),
  otherwise: text('a data set')
    .optional()
    .describe(
      'A data set in its place where its files are not there: `simulated:subjects=8`. Reports say which was used.',
    ),
  prepare: text('a command')
    .optional()
    .describe('How its files are got or made; told where they are not found, and never run.'),
  variant: label.optional().describe('One of the `variants` of its description.'),
  subjects: oneOf(kSubjectModes)
    .optional()
    .describe('One target a region (`mean` over subjects), one a subject and region (`each`), or `both`.'),
  include: listOf(label, 'subjects').optional().describe('Subjects to read; by default all.'),
  rois: listOf(text('a region'), 'regions').optional().describe('Regions (response columns) to keep; by default all.'),
  detrend: text('how to remove drift')
    .optional()
    .describe('`none`, `linear`, `legendre:ORDER` or `highpass:SECONDS`, instead of what its description says.'),
});
export const dataSet = written(
  z.preprocess((value) => (typeof value === 'string' ? { dataset: value } : value), dataSection),
  text('a data set'),
  dataSection,
);
export const data = listOf(dataSet, 'data sets', 100);
export type DataEntry = z.output<typeof dataSet>;

/** `{model: org/name-{size}, size: [70m, 160m]}` is a list of names. */
const modelFamily = section('a model', {
  model: text('the name of a model with {size} in it')
    .refine((name) => name.includes('{size}'), { error: 'the name of a model with {size} in it' })
    .describe('A name with {size} in it.'),
  size: listOf(label, 'sizes').describe('What {size} stands for, one model each.'),
}).transform(({ model, size }) => size.map((each): ModelEntry => ({ name: model.replaceAll('{size}', each) })));
/** Random weights in a shape of its own. */
const modelShape = section('a model', {
  name: text('a name').describe('What tables call it.'),
  config: z
    .union([text('a file'), z.record(z.string(), z.unknown())], { error: 'a config.json, or a mapping of its keys' })
    .describe(
      "A config.json, or its keys: `{model_type: gpt2, n_embd: 128, n_layer: 4, n_head: 4}`. The vocabulary is the tokenizer's where it is left out.",
    ),
  tokenizer: text('the name of a model').describe(
    'A model whose tokenizer is taken: a short name, Hub id, folder or GGUF file.',
  ),
});
const namedModel = text('the name of a model').transform((name) => ({ name }));
export interface ModelEntry {
  name: string;
  /** Of a model with random weights that the study gives the shape of. */
  config?: string | Record<string, unknown>;
  tokenizer?: string;
}
export const models = listOf(
  written(
    z.union([namedModel, modelFamily, modelShape], { error: 'the name of a model, or a mapping' }),
    text('the name of a model'),
    modelFamily,
    modelShape,
  ),
  'names of models',
).transform((entries) => {
  const all: ModelEntry[] = entries.flat();
  return [...new Map(all.map((entry) => [entry.name, entry])).values()];
});

export const tune = section('`tune`', {
  evaluate_every: integer(1, 1_000_000)
    .optional()
    .describe("Updates between evaluations on a task's `validation`; by default a tenth of the steps."),
  patience: integer(1, 1_000_000)
    .optional()
    .describe('Evaluations without a better loss that end a run; its best state is kept.'),
  halving: integer(2, 1000)
    .optional()
    .describe('One run in so many of a lane batch goes on after each rung (successive halving).'),
  rungs: z
    .union([integer(1, 1000), z.array(integer(1, 1_000_000)).min(1).max(1000)], {
      error: 'a number of rungs, or a list of updates',
    })
    .optional()
    .describe('With `halving`: how many rungs, or the updates after which runs are compared.'),
  image_size: integer(1, 100_000)
    .optional()
    .describe("Models of images: pixels a side while tuning; by default what the model's processor makes."),
  steps: integer(1, 1_000_000).default(50).describe('Updates.'),
  batch: integer(1, 4096).default(8).describe('Sequences in a pass.'),
  accumulate: integer(1, 4096).default(1).describe('Passes whose gradients add up to one update.'),
  packing: oneOf(kPackings)
    .default('blocks')
    .describe(
      '`blocks`: plain texts joined and cut into `block` tokens; `texts`: one sequence a text or passage. Completions and labelled texts are one each.',
    ),
  block: integer(2, 1 << 20)
    .default(128)
    .describe('Tokens of a block.'),
  schedule: oneOf(kSchedules).default('linear').describe('Learning rate after the warm-up.'),
  warmup: integer(0, 1_000_000).default(0).describe('Steps of warm-up.'),
  clip: real(0, 1e6).default(1).describe('Largest gradient norm of a run; 0 for no clipping.'),
  weight_decay: real(0, 1).default(0).describe('Decoupled weight decay.'),
  data_seed: seed
    .optional()
    .describe(
      "Draws the order of the texts for all runs: then runs of all seeds are lanes of one batch. By default the run's seed.",
    ),
  memory: checked('a size such as `8GB`', parseMemory)
    .optional()
    .describe('Memory to stay within, such as `8GB`: runs are divided into batches that fit. Decides no result.'),
  checkpointing: flag
    .default(false)
    .describe('Compute blocks again in the backward pass: less memory, more time, same losses.'),
  precision: oneOf(kPrecisions).default('fp32').describe("Products with the model's weights: float32, or bfloat16."),
}).superRefine((tune, context) => {
  if (tune.rungs !== undefined && tune.halving === undefined)
    context.addIssue({
      code: 'custom',
      path: ['rungs'],
      message: 'Expected `tune.halving` beside `tune.rungs`, got none',
    });
});

export const embed = section('`embed`', {
  pool: oneOf(kPools).optional().describe("By default the mean of a word's tokens, the last token of a text."),
  context: oneOf(kContexts)
    .default('cumulative')
    .describe('What is read before a stimulus: all of its passage so far, or nothing.'),
  layers: z
    .union([z.literal('all'), z.array(integer(0, 1000)).min(1)], { error: '`all` or a list of layer numbers' })
    .default('all')
    .describe('Layers to score; 0 is the static embedding.'),
  image_size: integer(1, 100_000)
    .optional()
    .describe("Models of images: pixels a side, a multiple of the patch; by default what the model's processor makes."),
  window: integer(2, 1 << 24)
    .optional()
    .describe("Tokens in one sequence at most; by default the model's context."),
  precision: oneOf(kPrecisions).default('fp32').describe("Products with the model's weights: float32, or bfloat16."),
  save: flag
    .default(false)
    .describe(
      'Keep the features of every run (embeddings/features.safetensors, aligned to the rows of the responses); `cortune gc` frees them.',
    ),
});

export const align = section('`align`', {
  method: oneOf(['mean', 'sum', 'last', 'lanczos'])
    .default('mean')
    .describe('How the words of a volume become one row.'),
  time: oneOf(['onset', 'offset', 'middle']).default('middle').describe('Which moment of a word counts.'),
  response: oneOf(['fir', 'hrf']).default('fir').describe('Delayed copies, or the canonical haemodynamic response.'),
  delays: listOf(integer(0, 1000), 'delays in volumes', 100)
    .default([...kDelays])
    .describe('Volumes by which copies are delayed, with `fir`.'),
});

export const encode = section('`encode`', {
  folds: checked('folds such as `contiguous:5`', parseFolds)
    .default('contiguous:5')
    .describe('`contiguous:COUNT`, `grouped`, `grouped:COUNT`, or `shuffled:COUNT` (inflates scores).'),
  inner_folds: integer(2, 1000).default(5).describe('Folds of the training rows that choose alpha.'),
  trim: integer(0, 1_000_000).default(0).describe('Rows at each end of a test block that are not scored (transients).'),
  gap: integer(0, 1_000_000).default(0).describe('Rows left out of training beside a test block (autocorrelation).'),
  alphas: z
    .union(
      [
        checked('alphas', parseAlphas),
        z
          .array(real(0, 1e300, { above: true }))
          .min(1)
          .max(1000),
      ],
      { error: 'positive numbers, or `logspace:FROM:TO:COUNT` in powers of ten' },
    )
    .default(kDefaultAlphas)
    .describe('Penalties to choose from: a list, or `logspace:FROM:TO:COUNT` in powers of ten.'),
  standardize: oneOf(['zscore', 'center'])
    .default('zscore')
    .describe('What is done to features, by the training rows.'),
  alpha_per: oneOf(['target', 'shared']).default('target').describe('An alpha for each target, or one for all.'),
  selection: oneOf(['nested', 'loo', 'gcv'])
    .default('nested')
    .describe('What chooses alpha within the training rows: folds, leave-one-out, or generalised cross-validation.'),
  missing: oneOf(['error', 'drop'])
    .default('error')
    .describe('Responses that are NaN: refuse them, or leave their rows out for that target.'),
});

const refit = oneOf(['fixed', 'reselect', 'none']).default('fixed');

export const stats = section('`stats`', {
  permutations: integer(0, 1_000_000).default(0).describe('Permutations of each p-value; 0 for none.'),
  exchange: checked('`block:ROWS`, `circular`, `phase` or `rows`', parseExchange)
    .default('block:10')
    .describe('What is exchanged within each run: `block:ROWS`, `circular`, `phase`, or `rows` (trials).'),
  refit: refit.describe(
    'Permutations are fitted again with the alphas as chosen, or chosen anew (slow); `none` exchanges held-out rows only, which is right for one test fold alone.',
  ),
  alternative: oneOf(['greater', 'two-sided'])
    .default('greater')
    .describe('Is r higher than by chance, or further from 0?'),
  resamples: integer(0, 1_000_000).default(0).describe('Bootstrap resamples of each interval; 0 for none.'),
  block: integer(1, 1_000_000).default(10).describe('Rows that the bootstrap draws together; 1 for trials.'),
  level: real(0.5, 0.9999).default(0.95).describe('Share of resamples inside the interval.'),
});

/** Columns that are used together. */
const by = oneOf(['subject', 'roi', 'target', 'all']).default('subject');

export const decode = section('`decode`', {
  by: by.describe(
    'Response columns that decode together: those of a `subject`, of a `roi` of a subject, each `target`, or `all`.',
  ),
  metric: oneOf(['correlation', 'cosine']).default('correlation').describe('How alike two rows are.'),
  within: oneOf(['all', 'fold', 'group']).default('all').describe('Rows that are compared with each other.'),
  columns: oneOf(['zscore', 'raw']).default('zscore').describe('Scale embedding columns by the training rows, or not.'),
  permutations: integer(0, 100_000).default(0).describe('Shuffles for p-values; 0 for none.'),
  exchange: checked('`block:ROWS`, `circular`, `phase` or `rows`', parseExchange)
    .default('rows')
    .describe(
      'What is exchanged within each run in a shuffle: `rows`; for time courses `block:ROWS`, `circular` or (not with labels) `phase`.',
    ),
  refit: refit.describe(
    'Shuffles are decoded again with the alphas as chosen, or chosen anew (slow); `none` exchanges held-out rows only, which is right for one test fold alone. Labels are always fitted again.',
  ),
  seed: seed.default(0).describe('Of the shuffles.'),
  labels: text('a file')
    .optional()
    .describe('A table with a label for each row: a linear classifier predicts them from each layer.'),
  column: text('a column').optional().describe('Column of the labels.'),
  classifier: oneOf(['logistic', 'ridge']).default('logistic').describe('Of the labels.'),
  c: real(0, 1e12, { above: true })
    .default(1)
    .describe("Logistic: weight of the losses against the penalty, scikit-learn's C."),
});

export const rsa = section('`rsa`', {
  by: by.describe(
    'Response columns of one RDM: those of a `subject`, of a `roi` of a subject, each `target`, or `all`.',
  ),
  metric: oneOf(kDissimilarities).default('correlation').describe('Dissimilarity of two stimuli.'),
  comparison: oneOf(kRdmComparisons).default('spearman').describe('How two RDMs are compared.'),
  permutations: integer(0, 100_000).default(0).describe('Relabelings of the stimuli for p-values; 0 for none.'),
  resamples: integer(0, 100_000).default(0).describe('Bootstrap of the stimuli for intervals; 0 for none.'),
  level: real(0.5, 0.9999).default(0.95).describe('Share of resamples inside the interval.'),
  seed: seed.default(0).describe('Of relabelings and resamples.'),
});

export type TuneSection = z.output<typeof tune>;
export type DecodeSection = z.output<typeof decode>;
export type RsaSection = z.output<typeof rsa>;
