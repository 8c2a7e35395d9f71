/** Controls of a study: known ones under a name, with their options, or features from a file. */
import { z } from 'zod';
import { integer, oneOf, real, section, text, written } from '../config.js';
import { type Control, kControls } from '../data/controls.js';

const seed = integer(0, 2 ** 31 - 1);
export const controlNames = Object.keys(kControls) as [Control, ...Control[]];

/** A control as the plan takes it: a known one with its options, or features from a file. */
export interface ControlEntry {
  name: string;
  control: Control | null;
  file?: string | undefined;
  key?: string | undefined;
  options: { sigma?: number | undefined; seed?: number | undefined };
}

const known = section('a control', {
  control: oneOf(controlNames).describe('One of the known controls.'),
  name: text('a name').optional().describe('What tables call it; by default the control.'),
  sigma: real(0, 1e6, { above: true })
    .optional()
    .describe("Of `oasm`: its smoothing's standard deviation in rows, 2 by default."),
  seed: seed.optional().describe('Of `random_embeddings`; 0 by default.'),
}).transform(
  ({ control, name = control, sigma, seed }): ControlEntry => ({
    name,
    control,
    options: { ...(sigma === undefined ? {} : { sigma }), ...(seed === undefined ? {} : { seed }) },
  }),
);
const fromFile = section('a control', {
  name: text('a name').describe('What tables call it.'),
  file: text('a file').describe(
    'A matrix with a row for each response row: .npy, .npz, .mat, .csv, .tsv, .safetensors.',
  ),
  key: text('the name of an array').optional().describe('Array of a .npz or tensor of a .safetensors.'),
}).transform((entry): ControlEntry => ({ ...entry, control: null, options: {} }));

/** `word_rate` is short for `{control: word_rate}`. */
const readControl = z.preprocess(
  (value) => (typeof value === 'string' ? { control: value } : value),
  z.unknown().transform((value, context): ControlEntry => {
    const isFile = value instanceof Object && 'file' in value;
    const result = (isFile ? fromFile : known).safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as never);
    return z.NEVER;
  }),
);
export const control = written(readControl, oneOf(controlNames), known, fromFile);
