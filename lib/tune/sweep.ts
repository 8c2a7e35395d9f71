/** Many runs in as few lane batches as the methods and the memory allow. */
import { readsImages } from '../model/config.js';
import type { Model } from '../model/load.js';
import { type Example, readExampleImages } from './examples.js';
import { checkLeast, divideLanes, largestPass, measureLane } from './memory.js';
import { groupLanes, type PlannedLane, type RunOptions } from './runs.js';
import { type Prepared, prepare, type TuneOptions, type TuneResult, tune } from './tune.js';

export interface SweepOptions extends TuneOptions {
  runs: readonly RunOptions[];
  /** Bytes that the process may take. Default: no limit. */
  memory?: number | undefined;
  /** Called once before tuning begins, when everything that can be refused has been. */
  onPrepared?: (prepared: Prepared) => void;
}

/** One lane batch of a sweep: the numbers of its runs, and what they came to. Dispose its lanes. */
export interface SweepPart {
  runs: number[];
  result: TuneResult;
}

/** Numbers of the runs of each batch. */
async function divide(model: Model, { data, lanes }: Prepared, options: SweepOptions): Promise<number[][]> {
  if (options.memory === undefined) return byMethod(lanes);
  const what = { objective: data.objective, outputs: data.outputs, checkpointing: options.checkpointing ?? false };
  const found = new Map<string, Awaited<ReturnType<typeof measureLane>>>();
  const measured = [];
  const pass = largestPass(data, options.batch ?? 8);
  for (const lane of lanes) {
    const { method, settings, trainable } = lane;
    checkLeast(method.name, trainable, pass.tokens, options.memory);
    const key = JSON.stringify([method.name, settings]);
    const footprint =
      found.get(key) ??
      (await measureLane(model, groupLanes([lane])[0]!, { ...what, alone: !method.stackable }, options));
    found.set(key, footprint);
    measured.push({ name: method.name, stackable: method.stackable, footprint });
  }
  return divideLanes(model, measured, pass, {
    limit: options.memory,
    used: process.memoryUsage().rss,
    bestStates: options.patience !== undefined,
    ...(options.halving ? { together: lanes.length } : options.together ? { together: options.together } : {}),
  });
}

/** Neighbouring runs of methods that stack are one batch. */
function byMethod(lanes: readonly PlannedLane[]): number[][] {
  const batches: number[][] = [];
  for (const [k, { method }] of lanes.entries()) {
    const last = batches.at(-1);
    if (last && method.stackable && lanes[last[0]!]!.method.stackable) last.push(k);
    else batches.push([k]);
  }
  return batches;
}

/**
 * Tunes runs batch by batch, each as `tune` does; halving compares the runs of one batch.
 * @throws as `tune`, and ERR_MEMORY when a run does not fit into `memory` even alone.
 */
export async function* sweep(
  model: Model,
  examples: readonly Example[],
  options: SweepOptions,
): AsyncGenerator<SweepPart, void, undefined> {
  if (readsImages(model.config) && !options.images) {
    using images = await readExampleImages(model, examples, options.validation, options);
    yield* sweep(model, examples, { ...options, images });
    return;
  }
  const prepared = prepare(model, examples, options);
  options.onPrepared?.(prepared);
  for (const runs of await divide(model, prepared, options)) {
    const own = runs.map((k) => options.runs[k]!);
    yield { runs, result: await tune(model, examples, { ...options, runs: own }) };
  }
}
