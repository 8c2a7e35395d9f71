/** The grid of `cortune tune`: comma lists of methods, rates, ranks, seeds... and the name of each run. */
import { expected } from '../errors.js';
import { methodOf } from '../tune/methods.js';
import type { RunOptions } from '../tune/runs.js';
import { kSchedules, type Schedule } from '../tune/schedule.js';

/** Options that may be lists, as typed. */
export interface GridOptions {
  method: string;
  lr?: string | undefined;
  rank?: string | undefined;
  alpha?: string | undefined;
  seed: string;
  schedule: string;
  warmup: string;
  weightDecay: string;
  targets?: string | undefined;
  /** `name=value`, each once or several times. */
  set?: readonly string[] | undefined;
}

/** A run and its folder's name. */
export interface GridRun {
  name: string;
  run: RunOptions;
}

function parts(name: string, text: string): string[] {
  const list = String(text)
    .split(',')
    .map((part) => part.trim());
  if (list.some((part) => part === '')) throw expected(name, 'values separated by commas', text);
  if (new Set(list).size < list.length) throw expected(name, 'different values', text);
  return list;
}

function numbers(name: string, text: string | undefined, { zero = false, integer = false } = {}): number[] | undefined {
  if (text === undefined) return undefined;
  const list = parts(name, text).map(Number);
  const fine = (value: number) =>
    Number.isFinite(value) && (zero ? value >= 0 : value > 0) && (!integer || Number.isInteger(value));
  const what = `${zero ? 'non-negative' : 'positive'} ${integer ? 'integers' : 'numbers'}`;
  if (!list.every(fine))
    throw expected(name, `${what} separated by commas, such as \`${integer ? '4,8' : '1e-4,3e-4'}\``, text);
  if (new Set(list).size < list.length) throw expected(name, 'different values', text);
  return list;
}

function schedules(text: string): Schedule[] {
  const list = parts('schedule', text);
  for (const one of list)
    if (!kSchedules.includes(one as Schedule)) throw expected('schedule', `one of ${kSchedules.join(', ')}`, one);
  return list as Schedule[];
}

/** What varies from run to run, the slowest first: runs of one method are neighbours. */
interface Axis {
  name: string;
  values: readonly (string | number | undefined)[];
  set(run: RunOptions, value: never): RunOptions;
}

/** Axes that are options of some methods only. */
const kOfMethods = new Set(['rank', 'alpha']);

/** What is typed for an option of a method: JSON, a comma list of names, or a text. */
function parseValue(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    if (['targets', 'exclude', 'feedforward'].includes(name) && !text.startsWith('/') && text !== 'all-linear')
      return parts(name, text);
    return name === 'layers' ? parts(name, text).map(Number) : text;
  }
}

/** Options of methods as typed; each must be one of a method of the grid. */
function settings(options: GridOptions): [string, unknown][] {
  const methods = parts('method', options.method).map(methodOf);
  const typed = [...(options.set ?? [])];
  if (options.targets !== undefined) typed.push(`targets=${options.targets}`);
  return typed.map((each) => {
    const at = each.indexOf('=');
    if (at < 1) throw expected('set', 'an option and its value, such as `dora=true`', each);
    const [name, value] = [each.slice(0, at), each.slice(at + 1)];
    if (!methods.some(({ describe }) => name in describe)) {
      const known = [...new Set(methods.flatMap(({ describe }) => Object.keys(describe)))];
      throw expected(
        'set',
        `an option of ${methods.map((method) => method.name).join(' or ')} (${known.join(', ')})`,
        name,
      );
    }
    return [name, parseValue(name, value)];
  });
}

const option = (key: 'rank' | 'alpha') => (run: RunOptions, value: number | undefined) =>
  value === undefined ? run : { ...run, options: { ...run.options, [key]: value } };
const field = (key: keyof RunOptions) => (run: RunOptions, value: unknown) =>
  value === undefined ? run : { ...run, [key]: value };

/**
 * Every combination of the lists. A run is named by its rate and by what else varies: `lr-0.0001`, `lora-lr-0.0001-rank-8-seed-1`.
 * @throws RangeError for a value that makes no sense.
 */
export function gridOf(options: GridOptions): GridRun[] {
  const fixed = settings(options);
  const count = { integer: true };
  const axes: Axis[] = [
    { name: 'method', values: parts('method', options.method), set: field('method') },
    { name: 'lr', values: numbers('lr', options.lr) ?? [undefined], set: field('lr') },
    { name: 'rank', values: numbers('rank', options.rank, count) ?? [undefined], set: option('rank') },
    { name: 'alpha', values: numbers('alpha', options.alpha) ?? [undefined], set: option('alpha') },
    { name: 'decay', values: numbers('weightDecay', options.weightDecay, { zero: true })!, set: field('weightDecay') },
    { name: 'schedule', values: schedules(options.schedule), set: field('schedule') },
    { name: 'warmup', values: numbers('warmup', options.warmup, { ...count, zero: true })!, set: field('warmup') },
    { name: 'seed', values: numbers('seed', options.seed, { ...count, zero: true })!, set: field('seed') },
  ];
  let grid: { names: string[]; run: RunOptions }[] = [{ names: [], run: {} }];
  for (const { name, values, set } of axes)
    grid = grid.flatMap(({ names, run }) => {
      if (kOfMethods.has(name) && !(name in methodOf(run.method!).describe)) return [{ names, run }];
      return values.map((value) => {
        const next = set(run, value as never);
        const shown =
          name === 'lr'
            ? `lr-${value ?? methodOf(next.method!).lr}`
            : name === 'method'
              ? String(value)
              : `${name}-${value}`;
        return { names: name === 'lr' || values.length > 1 ? [...names, shown] : names, run: next };
      });
    });
  return grid.map(({ names, run }) => {
    const own = fixed.filter(([name]) => name in methodOf(run.method!).describe);
    const chosen = own.length === 0 ? run : { ...run, options: { ...run.options, ...Object.fromEntries(own) } };
    return { name: names.join('-'), run: chosen };
  });
}
