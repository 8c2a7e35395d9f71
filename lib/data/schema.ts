/** What a dataset.yaml may say. */
import { z } from 'zod';
import { integer, listOf, oneOf, real, section, text } from '../config.js';
import { parseDetrend } from './detrend.js';

export const kSubjectModes = ['mean', 'each', 'both'] as const;
export type SubjectMode = (typeof kSubjectModes)[number];

/** Variables that a path may hold. */
const kVariable = /\{([^}]*)\}/g;

/** A path below the data folder. Nothing in a description can reach out of that folder. */
function pathBelow(variables: readonly string[]) {
  const what = `a path below the data folder${variables.map((name) => `, with or without {${name}}`).join('')}`;
  return text(what)
    .refine((path) => !/^([\\/]|[A-Za-z]:)/.test(path) && !path.split(/[\\/]/).includes('..'), {
      error: `${what}, relative and without \`..\``,
    })
    .refine((path) => [...path.matchAll(kVariable)].every((match) => variables.includes(match[1]!)), {
      error: `${what}, and no other {variable}`,
    })
    .refine((path) => !/\{subject\}.*[\\/].*\{subject\}/.test(path), {
      error: `${what}, {subject} in one part of the path only`,
    });
}

/** A subject, run or column called by a number or a text. */
const label = z.union([z.number().transform(String), text('a name')], { error: 'a name or a number' });

/** A file, or several places where it may be: the first that exists is read. */
const fileBelow = (variables: readonly string[]) => listOf(pathBelow(variables), 'a path or a list of paths', 8);

const words = section('the stimuli', {
  kind: z.literal('words'),
  /** A TextGrid, or a table with a header. */
  file: fileBelow(['variant']),
  /** TextGrid: the tier; may be left out when there is one. */
  tier: text('the name of a tier').optional(),
  /** Table: its columns. */
  word: text('a column').default('word'),
  onset: text('a column').default('onset'),
  offset: text('a column').default('offset'),
  /** Labels that are no words; the empty label never is one. */
  skip: listOf(z.string({ error: 'a label' }), 'a label or a list of labels').default(['sp', 'sil']),
  /** Seconds per volume. */
  tr: real(0, 1000, { above: true }),
  /** Time of volume 0 in the recording, s. */
  start: real(-1e6, 1e6).default(0),
});

const trials = section('the stimuli', {
  kind: z.literal('trials'),
  /** .txt, .csv, .tsv or .jsonl. */
  file: fileBelow(['variant']),
  text: text('a column').optional(),
  /** Column that names the passage of each text. */
  passage: text('a column').optional(),
  /** Column that names the run or story of each text, for grouped folds. */
  group: text('a column').optional(),
});

/** All places of a file stand for one subject each, or all for one matrix. */
const sameKind = (files: string[]) => new Set(files.map((file) => file.includes('{subject}'))).size === 1;

const responses = section('the responses', {
  /** With {subject}: a file a subject. Without: one matrix. */
  file: fileBelow(['subject', 'variant']).refine(sameKind, { error: 'paths that all hold {subject}, or none of them' }),
  /** Array of a .npz or tensor of a .safetensors. */
  key: text('the name of an array').optional(),
  /** Names of the columns of files without header; the columns to read of files with one. */
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
  /** Remove drift and z-score within each run (`stimuli.group`) by itself, not over all rows. */
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
  stimuli: z.discriminatedUnion('kind', [words, trials], { error: '`words` or `trials`' }),
  responses,
  /** What readers should know. */
  notes: listOf(text('a note'), 'a list of notes').default([]),
  version: integer(1, 1).default(1),
}).superRefine((description, context) => {
  for (const key of ['stimuli', 'responses'] as const) {
    const files = description[key].file;
    if (description.variants || !files.some((file) => file.includes('{variant}'))) continue;
    context.addIssue({
      code: 'custom',
      path: [key, 'file'],
      message: 'Expected `variants` to list the values of {variant} in this path, got none',
    });
  }
});

export type DatasetDescription = z.output<typeof kDatasetSchema>;
