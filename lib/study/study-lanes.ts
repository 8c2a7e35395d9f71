/** One entry of a study's methods as lanes: every combination of its lists, as tuning, labels and ids take it. */
import type { RunOptions } from '../tune/runs.js';
import type { RunLabels } from './records.js';
import type { Study } from './schema.js';
import { type Axis, kRunSettings, type MethodEntry, snake } from './schema-methods.js';

/** A run of a method before it meets a model and data. */
export interface Lane {
  entry: MethodEntry;
  tuning: RunOptions;
  labels: Pick<RunLabels, 'method' | 'lr' | 'rank' | 'seed'>;
  /** What of its tuning decides its result. */
  key: Record<string, unknown>;
}

/** The lanes of an entry with one seed. */
export function lanesOf(entry: MethodEntry, seed: number, study: Study): Lane[] {
  return combinations(entry.axes).map((chosen) => laneOf(entry, chosen, seed, study));
}

/** Every way to take one step of each axis; the last axis turns fastest. */
function combinations(axes: readonly Axis[]): Record<string, unknown>[] {
  return axes.reduce<Record<string, unknown>[]>(
    (all, { keys, steps }) =>
      all.flatMap((so) =>
        steps.map((step) => ({ ...so, ...Object.fromEntries(keys.map((key, i) => [key, step[i]])) })),
      ),
    [{}],
  );
}

function laneOf(entry: MethodEntry, chosen: Record<string, unknown>, seed: number, study: Study): Lane {
  const { lr, rank, ...others } = chosen as { lr: number; rank?: number } & Record<string, unknown>;
  const settings: Record<string, unknown> = {};
  const options: Record<string, unknown> = { ...entry.options };
  const tune = { ...study.tune } as Record<string, unknown>;
  for (const [key, value] of Object.entries(others)) {
    if (key in kRunSettings) tune[key] = value;
    else options[camel(key)] = value;
  }
  for (const [key, name] of Object.entries(kRunSettings)) settings[name] = tune[key];
  const own = rank === undefined ? options : { ...options, rank };
  const varied = variedKeys(entry).map((key) => `${key.replaceAll('_', ' ')} ${shortText(chosen[key])}`);
  return {
    entry,
    tuning: { method: entry.method, lr, seed, ...settings, options: own } as RunOptions,
    labels: { method: [entry.name ?? entry.method, ...varied].join(' '), lr, rank: rank ?? null, seed },
    key: {
      ...tuneKey(tune as Study['tune']),
      lr,
      seed,
      ...(rank === undefined ? {} : { rank }),
      ...optionsKey(entry.method, options),
    },
  };
}

/** Keys whose values tell the runs of an entry apart, beside rate and rank, which have labels of their own. */
function variedKeys({ axes }: MethodEntry): string[] {
  return axes
    .filter(({ steps }) => steps.length > 1)
    .flatMap(({ keys }) => keys)
    .filter((key) => key !== 'lr' && key !== 'rank');
}

function shortText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value).replaceAll('"', '');
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}

/** `rankPattern` for `rank_pattern`: undoes `snake`. */
function camel(key: string): string {
  const name = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return snake(name) === key ? name : key;
}

/** What of `tune` decides a result. Options that came later are absent at their defaults, so that runs made before keep their names. */
function tuneKey(tune: Study['tune']): Record<string, unknown> {
  const { steps, batch, packing, block, schedule, warmup, clip, weight_decay } = tune;
  const { accumulate, precision, image_size, evaluate_every, patience, halving, rungs, data_seed } = tune;
  return {
    ...{ steps, batch, packing, block, schedule, warmup, clip, weight_decay },
    ...{ evaluate_every, patience, halving, rungs, data_seed },
    ...(accumulate > 1 && { accumulate }),
    ...(precision !== 'fp32' && { precision }),
    ...(image_size !== undefined && { image_size }),
  };
}

/** What of a method's options names a run: LoRA's alpha and targets always, the others where they are not the defaults. */
function optionsKey(method: string, options: Record<string, unknown>): Record<string, unknown> {
  const { targets, ...others } = options as { targets?: string | string[] };
  const sorted = targets === undefined ? undefined : [targets].flat().sort();
  if (method === 'lora') return { alpha: 8, ...others, targets: sorted ?? 'default' };
  return sorted === undefined ? others : { ...others, targets: sorted };
}
