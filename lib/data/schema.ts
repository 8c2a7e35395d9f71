/** What a dataset.yaml may say. */
import { z } from 'zod';
import { integer, listOf, oneOf, real, section, text } from '../config.js';
import { parseDetrend } from './detrend.js';

export const kSubjectModes = ['mean', 'each', 'both'] as const;
export type SubjectMode = (typeof kSubjectModes)[number];

/** Variables that a path may hold. */
const kVariable = /\{([^}]*)\}/g;

/** More of them would take ages to compare with long names. */
const kMaxStars = 3;

/** A path below the data folder. Nothing in a description can reach out of that folder. */
function pathBelow(variables: readonly string[]) {
  const what = `a path below the data folder${variables.map((name) => `, with or without {${name}}`).join('')}`;
  return text(what)
    .refine((path) => !/^([\\/]|[A-Za-z]:)/.test(path) && !path.split(/[\\/]/).includes('..'), {
      error: `${what}, relative and without \`..\``,
    })
    .refine((path) => path.split(/[\\/]/).every((part) => part.split('*').length <= kMaxStars + 1), {
      error: `${what}, with ${kMaxStars} \`*\` in a part of it at most`,
    })
    .refine((path) => [...path.matchAll(kVariable)].every((match) => variables.includes(match[1]!)), {
      error: `${what}, and no other {variable}`,
    });
}

/** A subject, run or column called by a number or a text. */
const label = z.union([z.number().transform(String), text('a name')], { error: 'a name or a number' });

/** A file, or several places where it may be: the first that exists is read. */
const fileBelow = (variables: readonly string[]) => listOf(pathBelow(variables), 'a path or a list of paths', 8);

/** One file at one place. */
const oneFile = pathBelow(['subject', 'variant']);

/** Rows by the values that columns have in them; `{variant}` stands for the variant. */
const where = z.record(z.string(), listOf(label, 'a value or a list of values'), {
  error: 'columns, each with the values wanted',
});

const words = section('the stimuli', {
  kind: z.literal('words'),
  /** A TextGrid, WebVTT or SRT, or a table with a header (BIDS events too). With {run}: a file a run. */
  file: fileBelow(['variant', 'run']),
  /** TextGrid: the tier; may be left out when there is one. */
  tier: text('the name of a tier').optional(),
  /** Table: its columns. `duration` is read where there is no `offset`. */
  word: text('a column').default('word'),
  onset: text('a column').default('onset'),
  offset: text('a column').default('offset'),
  duration: text('a column').default('duration'),
  /** Names of the columns of a table without a header. */
  header: listOf(text('a column'), 'a list of columns').optional(),
  /** Table: rows to read, by the values that columns have in them. */
  where: where.optional(),
  /** Labels that are no words; the empty label never is one. */
  skip: listOf(z.string({ error: 'a label' }), 'a label or a list of labels').default(['sp', 'sil']),
  /** Seconds per volume; by default those of `sidecar`, else of a NIfTI file's header. */
  tr: real(0, 1000, { above: true }).optional(),
  /** A BIDS .json beside the volumes, of which `RepetitionTime` is read. */
  sidecar: pathBelow(['variant']).optional(),
  /** Time of volume 0 in the recording (of each run), s. */
  start: real(-1e6, 1e6).default(0),
});

const trials = section('the stimuli', {
  kind: z.literal('trials'),
  /** .txt, .csv, .tsv, .jsonl, .parquet, .mat (a cell array) or .nc (a coordinate of its rows). With {run}: a file a run, one after the other. */
  file: fileBelow(['variant', 'run']),
  text: text('a column').optional(),
  /** The texts are paths of pictures (for models of images) below the folder of their file, or below `folder`. */
  pictures: z.boolean({ error: '`true` or `false`' }).default(false),
  folder: pathBelow(['variant']).optional(),
  /** Column that names the passage of each text. */
  passage: text('a column').optional(),
  /** Column that names the run or story of each text, for grouped folds; by default {run}. */
  group: text('a column').optional(),
  /** Rows to read, and columns of numbers or names that put them into an order; of the responses, too. */
  where: where.optional(),
  order: listOf(text('a column'), 'a column or a list of columns', 8).optional(),
});

/** All places of a file stand for one subject each, or all for one matrix. */
const sameKind = (files: string[]) =>
  ['{subject}', '{run}'].every((variable) => new Set(files.map((file) => file.includes(variable))).size === 1);

const responses = section('the responses', {
  /** With {subject}: a file a subject. With {run}: a file a run, whose rows follow one another. Without: one matrix. */
  file: fileBelow(['subject', 'run', 'variant']).refine(sameKind, {
    error: 'paths that all hold {subject} and {run}, or none of them',
  }),
  /** Runs and their order; by default all that have a file, in natural order. */
  runs: listOf(label, 'a list of runs').optional(),
  /** Array of a .npz or HDF5 file, variable of a .mat or .nc, tensor of a .safetensors. */
  key: text('the name of an array').optional(),
  /** The file has a row a target and a column a stimulus or volume. */
  transpose: z.boolean({ error: '`true` or `false`' }).optional(),
  /** NIfTI: an image whose voxels other than 0 are read. */
  mask: oneFile.optional(),
  /** NIfTI: masks by the names of their regions. */
  masks: z.record(text('a region'), oneFile, { error: 'regions, each with the path of its mask' }).optional(),
  /** NIfTI and CIFTI: an image of whole numbers, one a region, and the table of their names. */
  atlas: oneFile.optional(),
  labels: oneFile.optional(),
  /** netCDF: coordinates that name the columns, their regions and subjects. */
  coords: section('coordinates', {
    column: text('a coordinate').optional(),
    region: text('a coordinate').optional(),
    subject: text('a coordinate').optional(),
  }).optional(),
  /** One target a region (the mean of its voxels; the default with `atlas` and `masks`), or one a voxel. */
  reduce: oneOf(['mean', 'none']).optional(),
  /** Names of the columns of files without header; the columns to read of files with one; regions of an atlas by name or number. */
  columns: listOf(label, 'a list of columns', 1_000_000).optional(),
  /** Subjects to read; by default all that have a file. */
  include: listOf(label, 'a list of subjects').optional(),
  /** Subjects to leave out, each with the reason. */
  exclude: z.record(z.string(), text('the reason'), { error: 'subjects, each with the reason' }).default({}),
  /** One target a region (mean over subjects), one a subject and region, or both. */
  subjects: oneOf(kSubjectModes).default('mean'),
  detrend: text('how to remove drift')
    .refine((form) => readable(form), {
      error: '`none`, `linear`, `legendre:ORDER` (1 to 20) or `highpass:SECONDS`',
    })
    .default('none'),
  /** Z-score each subject's columns before anything else is done with them. */
  zscore: z.boolean({ error: '`true` or `false`' }).default(true),
  /** Remove drift and z-score within each run (`stimuli.group` or {run}) by itself, not over all rows. */
  per_run: z.boolean({ error: '`true` or `false`' }).default(false),
});

function readable(form: string): boolean {
  try {
    parseDetrend(form);
    return true;
  } catch {
    return false;
  }
}

/** A file of the data set as it is published, for `cortune data check`. */
const published = section('a file', {
  /** Variables and `*` stand for anything in one part of the path. */
  path: pathBelow(['subject', 'run', 'variant']),
  about: text('what it is').optional(),
  /** How many files fit the path in the whole data set. */
  count: integer(1, 1_000_000).optional(),
  bytes: integer(0, Number.MAX_SAFE_INTEGER).optional(),
  sha1: hash(40).optional(),
  /** Shape of the matrix that `responses` reads from it. */
  rows: integer(1, 1_000_000_000).optional(),
  columns: integer(1, 1_000_000_000).optional(),
  /** It is not needed to read the data. */
  optional: z.boolean({ error: '`true` or `false`' }).default(false),
});

function hash(length: number) {
  return text(`${length} hexadecimal digits`).regex(new RegExp(`^[0-9a-f]{${length}}$`), {
    error: `${length} hexadecimal digits`,
  });
}

/** The whole description. */
export const kDatasetSchema = section('the data set', {
  name: text('a name'),
  citation: text('who to cite').default(''),
  licence: text('a licence').default(''),
  /** Where to get it, for the message when it is not there. */
  source: text('where the data can be got').default(''),
  /** The data folder, or several places where it may be; `${NAME}` stands for an environment variable. Default: beside this file. */
  root: listOf(text('a folder'), 'a folder or a list of folders', 16).optional(),
  /** Values of {variant} in paths; the first is the default. */
  variants: listOf(label, 'a list of names', 64).optional(),
  /** May be left out where they are no texts: the data can then be checked and its responses read. */
  stimuli: z.discriminatedUnion('kind', [words, trials], { error: '`words` or `trials`' }).optional(),
  responses,
  /** Files as they are published; and a table `path`, `bytes`, `md5` of them beside this description. */
  files: listOf(published, 'a file or a list of files', 100).default([]),
  sums: text('the name of a table')
    .refine((name) => /^[\w.-]+\.tsv$/.test(name), { error: 'the name of a .tsv file beside the description' })
    .optional(),
  /** The responses are made up: a stand-in for measurements, which reports say. */
  simulated: z.boolean({ error: '`true` or `false`' }).default(false),
  /** Whether this description was tried on the real files; `of ...` says on which. */
  tried: z.union([z.boolean(), text('what was tried')], { error: '`true`, `false` or what was tried' }).optional(),
  /** What readers should know. */
  notes: listOf(text('a note'), 'a list of notes').default([]),
  version: integer(1, 1).default(1),
}).superRefine((description, context) => {
  const { stimuli, responses, variants } = description;
  const fail = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  for (const key of ['stimuli', 'responses'] as const) {
    const files = description[key]?.file ?? [];
    if (!variants && files.some((file) => file.includes('{variant}')))
      fail([key, 'file'], 'Expected `variants` to list the values of {variant} in this path, got none');
  }
  const perRun = responses.file[0]?.includes('{run}');
  if (stimuli?.kind === 'words' && stimuli.file[0]?.includes('{run}') && !perRun)
    fail(['responses', 'file'], 'Expected `responses.file` to hold {run}, as the words have a file a run, got none');
  if (responses.runs && !perRun && !stimuli?.file[0]?.includes('{run}'))
    fail(['responses', 'runs'], 'Expected {run} in `responses.file` or `stimuli.file`, as `runs` are listed, got none');
  if (responses.atlas && responses.masks)
    fail(['responses', 'masks'], 'Expected `masks` or `atlas`, whose regions are read, got both');
  if (responses.labels && !responses.atlas)
    fail(['responses', 'labels'], 'Expected `atlas`, whose regions `labels` names, got none');
});

export type DatasetDescription = z.output<typeof kDatasetSchema>;
