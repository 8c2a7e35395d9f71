/** What a tuning method is to the rest of cortune: one row of the table, its options, what it asks of native code. */
import { z } from 'zod';
import { section } from '../../config.js';
import { expected } from '../../errors.js';
import type { MethodSpec, ModelConfig } from '../../native/types.js';
import type { PeftFormat } from './peft.js';

/** What methods need to know of a model: its shapes, not its weights. */
export interface Base {
  name: string;
  config: ModelConfig;
  parameters: readonly BaseParameter[];
  /** Token ids of a text as the tokenizer gives them; for prompts that begin as one. */
  tokenize?: ((text: string) => number[]) | undefined;
}

export interface BaseParameter {
  name: string;
  shape: readonly number[];
  /** Weight of a linear module. */
  linear: boolean;
  /** Part of a head that only some objectives use; '' or absent for all others. */
  head?: string | undefined;
}

/** What a method comes to on one model: the native MethodSpec without its lanes. */
export interface Plan {
  targets: readonly string[];
  options: NonNullable<MethodSpec['options']>;
  /** Each lane's own. */
  lane: Record<string, number>;
  /** Trained numbers of one lane. */
  trainable: number;
}

/** An option as the table lists it. */
export interface OptionInfo {
  name: string;
  describe: string;
  /** Undefined where there is none, or the default depends on the model. */
  default: unknown;
}

export interface Method<Options = unknown> {
  name: string;
  /** What native code calls it: the methods that train the base's own parameters are one there. */
  native: string;
  title: string;
  paper: string;
  /** Several lanes train in one pass; else lane by lane. */
  stackable: boolean;
  /** Trains small modules beside the base weights (saved as a PEFT adapter), or the weights themselves (saved as a model). */
  adapter: boolean;
  /** A common starting point; PEFT has no default. */
  lr: number;
  /** Its own options with their defaults. */
  schema: z.ZodType<Options>;
  /** The same by name, for descriptions that hold more than one method's. */
  options: Readonly<Record<string, z.ZodType>>;
  /** What each option is. */
  describe: Record<string, string>;
  /** What the options come to on a model; `seeds` of the lanes. Throws ERR_CONFIG or a RangeError for options that do not fit it. */
  plan(base: Base, options: Options, seeds: readonly number[]): Plan;
  /** Throws for options that no fresh lane may have; adapters that were saved are not asked. */
  checkFresh?(base: Base, options: Options, plan: Plan): void;
  /** How PEFT writes it; absent for whole weights. */
  peft?: PeftFormat<Options>;
}

/** One row, with the types of its options checked against each other. */
export function method<Shape extends z.core.$ZodLooseShape>(
  row: Omit<Method<z.output<z.ZodObject<Shape>>>, 'schema' | 'options' | 'describe'> & {
    options: Shape;
    describe: Record<keyof Shape & string, string>;
  },
): Method {
  return { ...row, schema: section(`the method \`${row.name}\``, row.options) } as unknown as Method;
}

/** The method's own options with defaults filled in. Throws a RangeError or TypeError in the one sentence form. */
export function checkOptions<Options>(of: Method<Options>, given: Record<string, unknown>): Options {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const result = of.schema.safeParse(defined);
  if (result.success) return result.data;
  const issue = result.error.issues.find(({ code }) => code === 'unrecognized_keys') ?? result.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const known = Object.keys(of.describe);
    throw expected(
      key,
      `left out: method ${of.name} has no such option${known.length > 0 ? ` (it has ${known.join(', ')})` : ''}`,
      given[key],
    );
  }
  const name = issue.path.map(String).join('.');
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], given);
  // NaN is a number that is none; a wrong number is out of range.
  const wrongType = issue.code === 'invalid_type' && typeof value !== 'number';
  throw expected(name, issue.message, value, wrongType ? 'type' : 'range');
}

/** The options of a method with their defaults, for help and tables. */
export function optionsOf(of: Method): OptionInfo[] {
  const defaults = of.schema.safeParse({});
  const values = (defaults.success ? defaults.data : {}) as Record<string, unknown>;
  return Object.entries(of.describe).map(([name, describe]) => ({ name, describe, default: values[name] }));
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** A whole number from 0 to below 1: a share of something dropped. */
export function share(what: string) {
  const error = `${what} from 0 to below 1`;
  return z.number({ error }).min(0, { error }).lt(1, { error });
}

export const flag = z.boolean({ error: 'true or false' });
