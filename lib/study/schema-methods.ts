/** Methods of a study: each with its own options, and lists of values that a run takes one of: grids, and lists walked together. */
import { z } from 'zod';
import { integer, listOf, oneOf, real, section, text, written } from '../config.js';
import { kMethods, type Method } from '../tune/methods.js';
import { kSchedules } from '../tune/schedule.js';

/** What runs of one entry differ in: `keys` take the values of one of `steps`. An entry's runs are all combinations of its axes' steps. */
export interface Axis {
  keys: string[];
  steps: unknown[][];
}

/** One entry of `methods`. */
export interface MethodEntry {
  method: string;
  /** What tables call its runs; by default the method. */
  name?: string | undefined;
  /** Learning rates, ranks, and whatever else its lists vary; empty for methods that tune nothing. */
  axes: Axis[];
  /** The method's own options that are not its defaults, by their names in Node. */
  options: Record<string, unknown>;
}

/** Settings of a run that are no option of its method: by their names in a study, as `RunOptions` calls them. */
export const kRunSettings = { weight_decay: 'weightDecay', schedule: 'schedule', warmup: 'warmup' } as const;

const learningRate = real(0, 10, { above: true });
const rank = integer(1, 65_536);
const runSettings = {
  weight_decay: real(0, 1),
  schedule: oneOf(kSchedules),
  warmup: integer(0, 1_000_000),
};

/** The keys of studies: `rank_pattern` for `rankPattern`. */
export function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Runs that an entry stands for, per model, data set, fraction and seed; counted, not made. */
export function gridSize({ axes }: MethodEntry): number {
  return axes.reduce((product, { steps }) => product * steps.length, 1);
}

/** Does this entry tune anything? `untuned` and `untrained` do not. */
export function isTuned({ method }: MethodEntry): boolean {
  return method !== 'untuned' && method !== 'untrained';
}

/** What a run of this method may be given a list of: rate, rank, schedule and the method's own options. */
function itemsOf({ options }: Method): Record<string, z.ZodType> {
  const { rank: own, ...others } = options;
  const named = Object.entries(others).map(([key, schema]) => [snake(key), schema] as const);
  return { lr: learningRate, ...(own && { rank }), ...runSettings, ...Object.fromEntries(named) };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** A tuning method with its own options. */
function methodSection(method: Method) {
  const { name, title, describe, options } = method;
  const lists = (what: string) =>
    section(
      `\`${what}\` of the method \`${name}\``,
      Object.fromEntries(
        Object.entries(itemsOf(method)).map(([key, item]) => [
          key,
          z
            .array(item, { error: 'a list of values' })
            .min(1, { error: 'a list of values' })
            .max(1000, { error: 'a list of at most 1000 values' })
            .optional(),
        ]),
      ),
    );
  const own = Object.entries(options).filter(([key]) => key !== 'rank');
  return section(`the method \`${name}\``, {
    method: z.literal(name).describe(title),
    name: text('a name').optional().describe('What tables and figures call its runs; by default the method.'),
    lr: listOf(learningRate, 'learning rates')
      .optional()
      .describe(`Learning rate, or a list: every one is a run. By default ${method.lr}.`),
    ...(options.rank && {
      rank: listOf(rank, 'ranks')
        .optional()
        .describe(`Rank, or a list: every one is a run. By default ${options.rank.parse(undefined)}.`),
    }),
    weight_decay: runSettings.weight_decay.optional().describe('Instead of `tune.weight_decay`.'),
    schedule: runSettings.schedule.optional().describe('Instead of `tune.schedule`.'),
    warmup: runSettings.warmup.optional().describe('Instead of `tune.warmup`.'),
    ...Object.fromEntries(own.map(([key, schema]) => [snake(key), schema.describe(sentence(describe[key]!))])),
    grid: lists('grid')
      .optional()
      .describe(
        'Options with a list of values each: every combination is a run. `{alpha: [8, 16], dora: [false, true]}`',
      ),
    zip: lists('zip')
      .optional()
      .describe('Options with lists of one length, walked together: `{lr: [1e-4, 1e-3], rank: [4, 16]}` is two runs.'),
  }).superRefine((entry, context) => checkLists(entry as Lists, method, context));
}

type Lists = Record<string, unknown> & {
  grid?: Record<string, unknown[] | undefined>;
  zip?: Record<string, unknown[] | undefined>;
};

const given = (lists: Record<string, unknown[] | undefined> | undefined) =>
  Object.entries(lists ?? {}).filter((entry): entry is [string, unknown[]] => entry[1] !== undefined);

/** Lists of `zip` are of one length; no option stands in two places. Defaults do not count as given. */
function checkLists(entry: Lists, { options }: Method, context: z.core.$RefinementCtx): void {
  const zip = given(entry.zip);
  const [first, firstValues] = zip[0] ?? [];
  const uneven = zip.find(([, values]) => values.length !== firstValues!.length);
  if (uneven)
    context.addIssue({
      code: 'custom',
      continue: false,
      path: ['zip', uneven[0]],
      message: `Expected lists of one length in \`zip\`, got ${firstValues!.length} of \`${first}\` and ${uneven[1].length} of \`${uneven[0]}\``,
    });
  const defaults = new Map(Object.entries(options).map(([key, schema]) => [snake(key), schema]));
  for (const [where, lists] of [['zip', zip] as const, ['grid', given(entry.grid)] as const])
    for (const [key] of lists) {
      const inZip = where === 'grid' && zip.some(([other]) => other === key);
      const alone = entry[key] !== undefined && !same(entry[key], defaults.get(key)?.safeParse(undefined).data);
      if (inZip || alone)
        context.addIssue({
          code: 'custom',
          continue: false,
          path: [where, key],
          message: `Expected \`${key}\` in one place, got it in \`${where}\` and ${inZip ? 'in `zip`' : 'beside it'}`,
        });
    }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Options apart from lists, by their own names, without those at their defaults. */
function tidy(entry: Lists & { method: string; name?: string }): MethodEntry {
  const { method, name } = entry;
  const head = { method, ...(name === undefined ? {} : { name }) };
  const of = kMethods.find((each) => each.name === method);
  if (!of) return { ...head, axes: [], options: {} };
  const listed = new Set([...given(entry.zip), ...given(entry.grid)].map(([key]) => key));
  const options = Object.entries(of.options)
    .filter(([key]) => key !== 'rank' && !listed.has(snake(key)) && entry[snake(key)] !== undefined)
    .filter(([key, schema]) => !same(entry[snake(key)], schema.safeParse(undefined).data))
    .map(([key]) => [key, entry[snake(key)]]);
  return { ...head, axes: axesOf(entry, of, listed), options: Object.fromEntries(options) };
}

/** Ranks before rates, then what else varies. */
function axesOf(entry: Lists, { lr, options }: Method, listed: ReadonlySet<string>): Axis[] {
  const axes: Axis[] = [];
  const add = (key: string, values: unknown[]) => axes.push({ keys: [key], steps: values.map((value) => [value]) });
  if (options.rank && !listed.has('rank'))
    add('rank', (entry.rank as number[] | undefined) ?? [options.rank.parse(undefined)]);
  if (!listed.has('lr')) add('lr', (entry.lr as number[] | undefined) ?? [lr]);
  for (const key of Object.keys(kRunSettings)) if (entry[key] !== undefined) add(key, [entry[key]]);
  const zip = given(entry.zip);
  if (zip.length > 0)
    axes.push({ keys: zip.map(([key]) => key), steps: zip[0]![1].map((_, i) => zip.map(([, values]) => values[i])) });
  for (const [key, values] of given(entry.grid)) add(key, values);
  return axes;
}

const untuned = [
  ['untrained', 'Random weights in the shape of the model, drawn by each seed: a control.'],
  ['untuned', 'The model as it was published.'],
].map(([name, title]) =>
  section(`the method \`${name}\``, {
    method: z.literal(name!).describe(title!),
    name: text('a name').optional().describe('What tables and figures call its runs; by default the method.'),
  }),
);
export const methodSections = [...untuned, ...kMethods.map(methodSection)] as unknown as [
  z.ZodObject,
  ...z.ZodObject[],
];
export const kMethodNames = ['untrained', 'untuned', ...kMethods.map(({ name }) => name)] as [string, ...string[]];

/** `untuned` is short for `{method: untuned}`. */
const read = z.preprocess(
  (value) => (typeof value === 'string' ? { method: value } : value),
  section('a method', { method: oneOf(kMethodNames) })
    .loose()
    .pipe(
      z.discriminatedUnion('method', methodSections as never) as unknown as z.ZodType<
        Record<string, unknown>,
        { method: string }
      >,
    )
    .transform((entry) => tidy(entry as Lists & { method: string })),
);
export const method = written(read, oneOf(kMethodNames), ...methodSections);
