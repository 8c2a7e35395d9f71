/** The study file: what it may hold, its defaults, and how it is read. */
import { basename, dirname, extname, isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { integer, listOf, parseDescription, readDescription, real, section, text } from '../config.js';
import { CortuneError } from '../errors.js';
import type { ModelShape } from '../model/resolve.js';
import { type ControlEntry, control, controlNames } from './schema-controls.js';
import { gridSize, isTuned, type MethodEntry, method } from './schema-methods.js';
import { probe } from './schema-probe.js';
import {
  align,
  type DataEntry,
  data,
  decode,
  embed,
  encode,
  models,
  rsa,
  stats,
  tune as tuneSection,
} from './schema-sections.js';
import { kStimuli, type TaskEntry, task } from './schema-tasks.js';
import { atSize } from './sizes.js';

const kMaxRuns = 100_000;

export const studySchema = section('the study', {
  name: text('a name')
    .max(80, { error: 'a name of at most 80 characters' })
    .refine((name) => !/\p{Cc}/u.test(name), { error: 'a name without control characters' })
    .optional()
    .describe('By default the name of the file.'),
  description: text().optional().describe('For people; decides nothing.'),
  data: data.describe('A data set, or a list of them.'),
  models: models.describe(
    'Models: a short name, Hub id, folder or GGUF file; `untrained:NAME` for random weights, or a mapping with a shape of their own; or a list.',
  ),
  methods: listOf(method, 'methods').describe(
    'How the models are tuned: names of methods, or mappings with their options.',
  ),
  seeds: listOf(integer(0, 2 ** 31 - 1), 'seeds')
    .default([0])
    .describe('Draw fresh adapters, the order of the text, and random weights.'),
  fractions: listOf(real(0, 1, { above: true }), 'fractions of the text')
    .default([1])
    .describe(
      'Shares of the tuning texts that tuned runs learn from: every one is a run. Smaller ones are parts of larger ones.',
    ),
  tasks: listOf(task, 'tasks', 100)
    .prefault([kStimuli])
    .describe('What tuned runs learn, and how well they do it is measured: every task is a run.'),
  tune: tuneSection.prefault({}).describe('How tuned runs learn.'),
  embed: embed.prefault({}).describe('How stimuli are read.'),
  align: align.prefault({}).describe('Words to volumes; not used for trials.'),
  encode: encode.prefault({}).describe('How responses are predicted.'),
  decode: decode
    .optional()
    .describe('Embeddings predicted from responses: 2v2 and rank accuracy; and classifiers of labels.'),
  rsa: rsa.optional().describe('Geometry of layers against that of responses.'),
  probe: probe
    .optional()
    .describe('What is looked into after tuning: states, heads, attention of test items of a task.'),
  stats: stats.prefault({}).describe("Tests and intervals of every run's scores; none unless asked for."),
  controls: z
    .array(control, { error: `a list of controls: ${controlNames.join(', ')}` })
    .max(1000, { error: 'at most 1000 controls' })
    .default([])
    .describe('What predicts responses without any model: names, or mappings.'),
  sizes: z
    .record(z.string(), z.record(z.string(), z.unknown(), { error: 'a mapping of keys of the study' }), {
      error: 'a mapping from names of sizes to keys of the study',
    })
    .optional()
    .describe(
      'Other sizes of the study, for `cortune run STUDY --size NAME`: keys that take the place of its own, of sections key by key.',
    ),
}).superRefine((study, context) => {
  checkTasks(study, context);
  for (const [size, keys] of Object.entries(study.sizes ?? {}))
    for (const key of Object.keys(keys))
      if (!(key in studySchema.shape) || key === 'sizes')
        context.addIssue({
          code: 'custom',
          path: ['sizes', size, key],
          message: `Expected keys of a study in \`sizes.${size}\`, got \`${key}\``,
        });
  // Entries that are wrong have no axes, and are told of already.
  if (!study.methods.every(({ axes }) => Array.isArray(axes))) return;
  const runs = countRuns(study);
  if (runs > kMaxRuns)
    context.addIssue({
      code: 'custom',
      path: ['methods'],
      message: `Expected a study of at most ${kMaxRuns} runs, got ${runs}: the lists multiply`,
    });
});

/** Names of tasks are told apart, and each has what stops its runs. */
function checkTasks(
  { tasks, tune }: { tasks: TaskEntry[]; tune: z.output<typeof tuneSection> },
  context: z.core.$RefinementCtx,
): void {
  const issue = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
  for (const [i, { name, validation }] of tasks.entries()) {
    if (tasks.findIndex((other) => other.name === name) < i)
      issue(['tasks', i, 'name'], `Expected tasks of different names, got \`${name}\` twice`);
    for (const key of ['evaluate_every', 'patience'] as const)
      if (tune[key] !== undefined && validation === undefined)
        issue(['tune', key], `Expected \`validation\` of the task \`${name}\` beside \`tune.${key}\`, got none`);
  }
}

export type StudyFile = z.output<typeof studySchema>;

/** Runs a study stands for, from the lengths of its lists. */
function countRuns(study: {
  data: DataEntry[];
  models: { name: string }[];
  methods: MethodEntry[];
  seeds: number[];
  fractions: number[];
  tasks: TaskEntry[];
  controls: ControlEntry[];
}): number {
  const seeds = study.seeds.length;
  const each = study.methods.map((entry) =>
    isTuned(entry)
      ? gridSize(entry) * seeds * study.fractions.length * study.tasks.length
      : entry.method === 'untrained'
        ? seeds
        : 1,
  );
  const all = study.models.length * each.reduce((sum, count) => sum + count, 0) + study.controls.length;
  return study.data.length * all;
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

/** Reads a study from a file, or checks an object of the same form; at one of its `sizes`, where that is asked for. Throws ERR_CONFIG, ERR_NOT_FOUND, ERR_IO. */
export async function readStudy(source: string | Record<string, unknown>, size?: string): Promise<Study> {
  if (typeof source !== 'string') {
    const content = objectText(source);
    const value = parseDescription(content, studySchema, 'the study');
    const study = { ...value, name: value.name ?? 'study', file: '', text: content, folder: process.cwd() };
    return size === undefined ? study : resized(study, size);
  }
  const { value, text: content } = await readDescription(source, studySchema);
  const name = value.name ?? basename(source, extname(source));
  const study = { ...value, name, file: source, text: content, folder: dirname(resolve(source)) };
  return size === undefined ? study : resized(study, size);
}

/** The study at another of its sizes, under a name of its own; its text is what is left when the size is taken in. */
function resized(study: Study, size: string): Study {
  const file = study.file || 'the study';
  const content = atSize(study.text, size, file);
  const value = parseDescription(content, studySchema, `${file} at size ${size}`);
  const { name, file: path, folder } = study;
  return { ...value, name: `${name}-${size}`, file: path, folder, text: content };
}

/** JSON of an object; numbers that JSON has not are shown as what they are, and refused by their key. */
function objectText(source: Record<string, unknown>): string {
  const plain = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  try {
    return JSON.stringify(source, plain, 2);
  } catch (cause) {
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected the study to be an object that JSON can hold, got: ${(cause as Error).message.split('\n')[0]}.`,
      { cause },
    );
  }
}

/** A path of a study, which is relative to its file. */
export function studyPath(study: Study, path: string): string {
  return resolve(study.folder, path);
}

const kUntrained = 'untrained:';

/** Is a model of the study a shape, whose weights the seeds draw? `untrained:NAME` is one model with the weights of seed 0. */
export function isDrawn(study: Study, name: string): boolean {
  return study.models.some((model) => model.name === name && model.config !== undefined);
}

/** What the random twin of a model is called: `untrained:NAME`; a model of random weights is its own. */
export function untrainedOf(study: Study, name: string): string {
  return name.startsWith(kUntrained) || isDrawn(study, name) ? name : `${kUntrained}${name}`;
}

/** A model of the study as `loadModel` takes it: paths in a study are relative to its file. */
export function modelSource(study: Study, name: string): string | ModelShape {
  const { config, tokenizer } = study.models.find((model) => model.name === name) ?? {};
  if (config === undefined || tokenizer === undefined) return pathOf(study, name);
  return {
    name,
    config: typeof config === 'string' ? studyPath(study, config) : config,
    tokenizer: pathOf(study, tokenizer),
  };
}

function pathOf(study: Study, name: string): string {
  const [, prefix, path] = /^(untrained:)?(\.{1,2}\/.*)$/.exec(name) ?? [];
  return path && !isAbsolute(path) ? `${prefix ?? ''}${resolve(study.folder, path)}` : name;
}
