/** `cortune methods`: every tuning method, its options and paper; with a model, how many parameters each trains. */
import type { CommandModule } from 'yargs';
import { describeModel } from '../model/describe.js';
import {
  type Base,
  baseOfDescription,
  kMethods,
  type Method,
  methodOf,
  type OptionInfo,
  optionsOf,
  planOf,
} from '../tune/methods.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface MethodsOptions extends CommonOptions {
  name?: string | undefined;
  model?: string | undefined;
}

/** A method as it is printed. */
interface Row {
  name: string;
  title: string;
  paper: string;
  saved: 'adapter' | 'model';
  stackable: boolean;
  peft: string | null;
  lr: number;
  options: OptionInfo[];
  /** With a model: trained parameters with default options, or null and why not. */
  trainable?: number | null;
  reason?: string;
}

export const command: CommandModule<unknown, MethodsOptions> = {
  command: 'methods [name]',
  describe: 'List the tuning methods, their options and what they train',
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', describe: 'One method, with its options' })
      .option('model', { type: 'string', describe: 'Count the parameters each trains on this model' })
      .example('$0 methods', 'Every method and its paper')
      .example('$0 methods --model smollm2-135m', 'Trained parameters of each, with its defaults')
      .example('$0 methods lora', 'Its options and their defaults') as never,
  handler: (argv) => runCommand(argv, (ctx) => run(argv, ctx)),
};

async function run({ name, model }: MethodsOptions, ctx: CommandContext): Promise<void> {
  const base = model && baseOfDescription(await describeModel(model, { signal: ctx.signal, note: ctx.note }));
  const rows = (name === undefined ? kMethods : [methodOf(name)]).map((method) => rowOf(method, base || undefined));
  const all = base ? base.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) : undefined;
  const value = name === undefined ? { ...(base ? { model, parameters: all } : {}), methods: rows } : rows[0];
  ctx.result(value, () => (name === undefined ? list(rows, all) : details(rows[0]!, all)));
}

function rowOf(method: Method, base: Base | undefined): Row {
  const { name, title, paper, stackable, lr } = method;
  const saved = method.adapter ? 'adapter' : 'model';
  const row: Row = {
    name,
    title,
    paper,
    saved,
    stackable,
    peft: method.peft?.type ?? null,
    lr,
    options: optionsOf(method),
  };
  if (!base) return row;
  try {
    return { ...row, trainable: planOf(base, method).plan.trainable };
  } catch (error) {
    return { ...row, trainable: null, reason: (error as Error).message };
  }
}

function count(trainable: number | null | undefined, all: number | undefined): string[] {
  if (all === undefined) return [];
  if (typeof trainable !== 'number') return ['-', ''];
  return [trainable.toLocaleString('en'), `${((100 * trainable) / all).toPrecision(3)} %`];
}

function list(rows: readonly Row[], all: number | undefined): string {
  const header = ['method', ...(all === undefined ? [] : ['trained', 'of all']), 'saved as', 'what', 'paper'];
  const lines = rows.map((row) => [
    row.name,
    ...count(row.trainable, all),
    row.peft ? `${row.peft} adapter` : 'model',
    row.title,
    row.paper,
  ]);
  const reasons = rows.filter((row) => row.reason).map((row) => `${row.name}: ${row.reason}`);
  return [table(header, lines), ...(reasons.length > 0 ? ['', ...reasons] : [])].join('\n');
}

function shown(value: unknown): string {
  return value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function details(row: Row, all: number | undefined): string {
  const [trained, part] = count(row.trainable, all);
  return [
    `${row.name}: ${row.title}${row.paper ? ` (${row.paper})` : ''}`,
    `saved as ${row.peft ? `a PEFT adapter (${row.peft})` : 'a model'}; ${row.stackable ? 'many runs in one pass' : 'one run after the other'}`,
    ...(trained ? [`trains ${trained} parameters${part ? `, ${part} of all` : ''} with its defaults`] : []),
    ...(row.reason ? [row.reason] : []),
    '',
    table(
      ['option', 'default', 'what'],
      row.options.map((option) => [option.name, shown(option.default), option.describe]),
    ),
  ].join('\n');
}
