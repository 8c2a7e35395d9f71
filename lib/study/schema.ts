/** The study file: what it may hold, its defaults, and how it is read. */
import { basename, dirname, extname, isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { parseExchange } from '../analysis/surrogates.js';
import { integer, listOf, oneOf, parseDescription, readDescription, real, section, text } from '../config.js';
import { kDelays } from '../data/align.js';
import { type Control, kControls } from '../data/controls.js';
import { kSubjectModes } from '../data/schema.js';
import { kContexts, kPools } from '../embed/embed.js';
import { kDefaultAlphas, parseAlphas } from '../encode/alphas.js';
import { parseFolds } from '../encode/folds.js';
import { kPackings } from '../tune/examples.js';
import { kMethods, type Method } from '../tune/methods.js';
import { kSchedules } from '../tune/schedule.js';

const kMaxRuns = 100_000;

const learningRate = real(0, 10, { above: true });
const seed = integer(0, 2 ** 31 - 1);
/** A subject or variant called by a number or a text. */
const label = z.union([z.number().transform(String), text('a name')], { error: 'a name or a number' });

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

/** One entry of `methods`: lists of rates and ranks are a grid; the method's own options under their names in `options`. */
export interface MethodEntry {
  method: string;
  /** What tables call its runs; by default the method. */
  name?: string | undefined;
  /** Of tuning methods. */
  lr?: number[] | undefined;
  /** Of methods that have one. */
  rank?: number[] | undefined;
  /** Options that are not the method's defaults. */
  options: Record<string, unknown>;
}

/** The keys of studies: `rank_pattern` for `rankPattern`. */
function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A tuning method with its own options; a list of rates or ranks is a grid. */
function methodSection({ name, lr, options }: Method) {
  const { rank, ...own } = options;
  return section(`the method \`${name}\``, {
    method: z.literal(name),
    name: text('a name').optional(),
    lr: listOf(learningRate, 'learning rates').default([lr]),
    ...(rank ? { rank: listOf(integer(1, 65_536), 'ranks').default([rank.parse(undefined) as number]) } : {}),
    ...Object.fromEntries(Object.entries(own).map(([key, schema]) => [snake(key), schema])),
  });
}

/** Options apart from the rest, by their own names, without those at their defaults. */
function tidy(entry: Record<string, unknown>): MethodEntry {
  const { method, name, lr, rank } = entry as unknown as MethodEntry;
  const of = kMethods.find((each) => each.name === method);
  const options = Object.entries(of?.options ?? {})
    .filter(([key]) => key !== 'rank' && entry[snake(key)] !== undefined)
    .map(([key, schema]) => [key, entry[snake(key)], schema.parse(undefined)] as const)
    .filter(([, value, otherwise]) => JSON.stringify(value) !== JSON.stringify(otherwise))
    .map(([key, value]) => [key, value]);
  const grid = Object.fromEntries(Object.entries({ name, lr, rank }).filter(([, value]) => value !== undefined));
  return { method, ...grid, options: Object.fromEntries(options) };
}

const untuned = ['untrained', 'untuned'].map((name) =>
  section(`the method \`${name}\``, { method: z.literal(name), name: text('a name').optional() }),
);
const sections = [...untuned, ...kMethods.map(methodSection)] as unknown as [z.ZodObject, ...z.ZodObject[]];
const controlNames = Object.keys(kControls) as [Control, ...Control[]];
const methodNames = ['untrained', 'untuned', ...kMethods.map(({ name }) => name)] as [string, ...string[]];

/** `untuned` is short for `{method: untuned}`. */
const method = z.preprocess(
  (value) => (typeof value === 'string' ? { method: value } : value),
  section('a method', { method: oneOf(methodNames) })
    .loose()
    .pipe(
      z.discriminatedUnion('method', sections as never) as unknown as z.ZodType<
        Record<string, unknown>,
        { method: string }
      >,
    )
    .transform(tidy),
);

/** `simulated` or a path is short for `{dataset: ...}`. */
const data = z.preprocess(
  (value) => (typeof value === 'string' ? { dataset: value } : value),
  section('`data`', {
    dataset: text('the path of a dataset.yaml, or `simulated`'),
    root: text('a folder').optional(),
    variant: label.optional(),
    /** One target a region (mean over subjects), one a subject and region, or both. */
    subjects: oneOf(kSubjectModes).optional(),
    include: listOf(label, 'subjects').optional(),
    rois: listOf(text('a region'), 'regions').optional(),
    detrend: text('how to remove drift').optional(),
  }),
);

const tune = section('`tune`', {
  steps: integer(1, 1_000_000).default(50),
  batch: integer(1, 4096).default(8),
  /** `blocks`: the text cut into `block` tokens; `texts`: one sequence a passage. */
  packing: oneOf(kPackings).default('blocks'),
  block: integer(2, 1 << 20).default(128),
  schedule: oneOf(kSchedules).default('linear'),
  warmup: integer(0, 1_000_000).default(0),
  clip: real(0, 1e6).default(1),
  weight_decay: real(0, 1).default(0),
});

const embed = section('`embed`', {
  /** By default the mean of a word's tokens, the last token of a text. */
  pool: oneOf(kPools).optional(),
  context: oneOf(kContexts).default('cumulative'),
  layers: z
    .union([z.literal('all'), z.array(integer(0, 1000)).min(1)], { error: '`all` or a list of layer numbers' })
    .default('all'),
  /** Tokens in one sequence at most; by default the model's context. */
  window: integer(2, 1 << 24).optional(),
});

/** Words to volumes; not used for trials. */
const align = section('`align`', {
  method: oneOf(['mean', 'sum', 'last', 'lanczos']).default('mean'),
  time: oneOf(['onset', 'offset', 'middle']).default('middle'),
  response: oneOf(['fir', 'hrf']).default('fir'),
  delays: listOf(integer(0, 1000), 'delays in volumes', 100).default([...kDelays]),
});

const encode = section('`encode`', {
  folds: checked('folds such as `contiguous:5`', parseFolds).default('contiguous:5'),
  inner_folds: integer(2, 1000).default(5),
  trim: integer(0, 1_000_000).default(0),
  gap: integer(0, 1_000_000).default(0),
  alphas: z
    .union(
      [
        checked('alphas', parseAlphas),
        z
          .array(real(0, 1e300, { above: true }))
          .min(1)
          .max(1000),
      ],
      {
        error: 'positive numbers, or `logspace:FROM:TO:COUNT` in powers of ten',
      },
    )
    .default(kDefaultAlphas),
  standardize: oneOf(['zscore', 'center']).default('zscore'),
  alpha_per: oneOf(['target', 'shared']).default('target'),
});

/** Tests and intervals of every run's scores; none unless asked for. */
const stats = section('`stats`', {
  permutations: integer(0, 1_000_000).default(0),
  /** What is exchanged within each test fold. */
  exchange: checked('`block:ROWS`, `circular`, `phase` or `rows`', parseExchange).default('block:10'),
  alternative: oneOf(['greater', 'two-sided']).default('greater'),
  resamples: integer(0, 1_000_000).default(0),
  /** Rows that the bootstrap draws together. */
  block: integer(1, 1_000_000).default(10),
  level: real(0.5, 0.9999).default(0.95),
});

export const studySchema = section('the study', {
  name: text('a name').max(80, { error: 'a name of at most 80 characters' }).optional(),
  description: text().optional(),
  data,
  models: listOf(text('the name of a model'), 'names of models'),
  methods: listOf(method, 'methods'),
  seeds: listOf(seed, 'seeds').default([0]),
  tune: tune.prefault({}),
  embed: embed.prefault({}),
  align: align.prefault({}),
  encode: encode.prefault({}),
  stats: stats.prefault({}),
  controls: z.array(oneOf(controlNames), { error: `a list of controls: ${controlNames.join(', ')}` }).default([]),
}).superRefine((study, context) => {
  const runs = study.models.length * study.seeds.length * study.methods.reduce((sum, each) => sum + grid(each), 0);
  if (runs > kMaxRuns)
    context.addIssue({
      code: 'custom',
      path: ['methods'],
      message: `Expected a study of at most ${kMaxRuns} runs, got ${runs}: the lists multiply`,
    });
});

export type StudyFile = z.output<typeof studySchema>;

/** Runs that one entry of `methods` stands for, per model and seed. */
function grid(entry: MethodEntry): number {
  return (entry.lr?.length ?? 1) * (entry.rank?.length ?? 1);
}

/** A study with everything filled in, and where it came from. */
export interface Study extends StudyFile {
  name: string;
  /** The file's path as given; '' for an object. */
  file: string;
  /** The exact text; JSON for an object. */
  text: string;
  /** Folder against which its paths are resolved. */
  folder: string;
}

/** Reads a study from a file, or checks an object of the same form. Throws ERR_CONFIG, ERR_NOT_FOUND, ERR_IO. */
export async function readStudy(source: string | Record<string, unknown>): Promise<Study> {
  if (typeof source !== 'string') {
    const content = JSON.stringify(source, null, 2);
    const value = parseDescription(content, studySchema, 'the study');
    return { ...value, name: value.name ?? 'study', file: '', text: content, folder: process.cwd() };
  }
  const { value, text: content } = await readDescription(source, studySchema);
  const name = value.name ?? basename(source, extname(source));
  return { ...value, name, file: source, text: content, folder: dirname(resolve(source)) };
}

/** A model's name as it is: paths in a study are relative to its file. */
export function modelName(study: Study, name: string): string {
  const [, prefix, path] = /^(untrained:)?(\.{1,2}\/.*)$/.exec(name) ?? [];
  return path && !isAbsolute(path) ? `${prefix ?? ''}${resolve(study.folder, path)}` : name;
}
