/** What the section `probe` of a study finds in a run: variables decoded, heads ablated, attention averaged, states mapped. */
import { CortuneError } from '../errors.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import { type Ablation, ablate } from '../probe/ablate.js';
import { alignedItems } from '../probe/aligned.js';
import { type AttentionMap, attentionMaps } from '../probe/attention.js';
import { type DecodedStates, decodeStates } from '../probe/decode-states.js';
import { mapStates, type StateMap } from '../probe/map.js';
import type { Lanes } from '../tune/lanes.js';
import type { Study } from './schema.js';
import type { TaskItems } from './training.js';

/** probe.json of a run. */
export interface Probed {
  task: string;
  decode?: DecodedStates | undefined;
  ablate?: Ablation | undefined;
  /** Weights to four decimals. */
  attention?: (Omit<AttentionMap, 'weights'> & { weights: number[] }) | undefined;
  map?: (StateMap & { variables: Record<string, string | number>[] }) | undefined;
}

/** The task that is probed: the one named, else the first with items to test. @throws ERR_CONFIG for one that has none. */
export function probedTask(study: Pick<Study, 'probe' | 'tasks'>, tasks: readonly Pick<TaskItems, 'items'>[]): number {
  const wanted = study.probe!.task;
  const number = study.tasks.findIndex(({ name }, i) =>
    wanted === undefined ? tasks[i]!.items !== undefined : name === wanted,
  );
  if (number >= 0 && tasks[number]!.items) return number;
  throw new CortuneError(
    'ERR_CONFIG',
    `Expected \`probe\` to have a task whose \`test\` has prompts and completions, got ${wanted === undefined ? 'none' : `\`${wanted}\``}.`,
  );
}

/** Looks into one lane, or into the model as it is. @throws what the functions of lib/probe throw. */
export async function probeOf(
  model: Model,
  study: Study,
  tasks: readonly TaskItems[],
  lanes: Lanes | undefined,
  lane: number,
  job: JobOptions,
): Promise<Probed> {
  const { decode, ablate: ablating, attention, map, where = {}, seed } = study.probe!;
  const number = probedTask(study, tasks);
  const all = tasks[number]!.items!;
  const items = all.filter(({ variables }) =>
    Object.entries(where).every(([name, value]) => String(variables?.[name]) === String(value)),
  );
  if (items.length === 0)
    throw new CortuneError('ERR_DATA', `Expected test items that \`probe.where\` picks, got none of ${all.length}.`);
  const options = { ...job, lanes, lane, precision: study.embed.precision };
  const found: Probed = { task: study.tasks[number]!.name };
  if (decode) found.decode = await decodeStates(model, items, { ...options, ...decode, seed });
  if (ablating) found.ablate = await ablate(model, all.slice(0, ablating.limit), { ...options, ...ablating });
  if (attention) {
    const prompts = items.map(({ prompt }) => prompt);
    const own = alignedItems(model, prompts).numbers.slice(0, attention.limit);
    const [first] = await attentionMaps(
      model,
      own.map((i) => prompts[i]!),
      options,
    );
    found.attention = { ...first!, weights: Array.from(first!.weights, (value) => Number(value.toFixed(4))) };
  }
  if (map) {
    const points = await mapStates(model, items, { ...options, ...map, seed });
    found.map = { ...points, variables: items.map(({ variables }) => ({ ...variables })) };
  }
  return found;
}
