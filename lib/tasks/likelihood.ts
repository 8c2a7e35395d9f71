/** What lanes say of the right answers of items, and of their choices: losses by the native evaluation. */
import { CortuneError } from '../errors.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { Precision } from '../native/types.js';
import { Random } from '../random.js';
import {
  type Completion,
  type Example,
  type Objective,
  type Packing,
  packSequences,
  readExampleImages,
  sequencesOf,
} from '../tune/examples.js';
import type { Lanes } from '../tune/lanes.js';
import { hideTokens } from '../tune/masking.js';
import type { Evidence, Likelihood } from './metric.js';

/** Tokens of one pass of all lanes together, about: enough to keep the processor busy, few enough to hold their states. */
const kTokens = 2048;

export interface Judging extends JobOptions {
  objective: Objective;
  /** Of the trained head, in the order of its outputs. */
  classes: readonly string[];
  packing: Packing;
  block: number;
  precision: Precision;
  /** Of images, pixels a side. */
  imageSize?: number | undefined;
  /** What an item is called in messages. */
  noun: string;
}

/**
 * Losses of the right answers, one a sequence (with packing 'texts': an example); of each lane, one without lanes.
 * @throws what `prepareExamples` throws.
 */
export async function likelihoods(
  model: Model,
  lanes: Lanes | undefined,
  examples: readonly Example[],
  options: Judging,
): Promise<Likelihood[]> {
  const { objective, precision } = options;
  using images = await readExampleImages(model, examples, [], options);
  let sequences = sequencesOf(model, examples, { ...options, images });
  if (objective === 'masked') {
    const random = new Random(0);
    sequences = sequences.map((sequence) => hideTokens(model, sequence, random));
  }
  const count = lanes?.count ?? 1;
  const job = {
    ...packSequences(sequences),
    ...{ model: model.handle, lanes: lanes?.handle, images: images?.handle, objective, precision },
    tokens: Math.ceil(kTokens / count),
  };
  const { losses, rows, correct } = await runJob((progress) => native().judgeExamples(job, progress), options);
  const size = sequences.length;
  return Array.from({ length: count }, (_, k) => {
    const of = (values: Float64Array) => values.slice(k * size, (k + 1) * size);
    return { losses: of(losses), counts: of(rows), correct: of(correct) };
  });
}

/**
 * Losses of every choice of every item, per lane.
 * @throws ERR_DATA naming the number of an item whose completion is not among its choices, or with nothing to predict it from.
 */
export async function choiceLosses(
  model: Model,
  lanes: Lanes | undefined,
  examples: readonly Completion[],
  options: Judging,
): Promise<Evidence['choices'][]> {
  const rights = examples.map((example, i) => rightOf(example, i + 1, options.noun));
  const numbers = examples.flatMap(({ choices }, i) => choices!.map(() => i));
  const all = examples.flatMap(({ prompt, choices }) => choices!.map((completion) => ({ prompt, completion })));
  const judged = await likelihoods(model, lanes, all, options);
  const blind = judged[0]!.counts.indexOf(0);
  if (blind >= 0)
    throw new CortuneError(
      'ERR_DATA',
      `Expected ${options.noun} ${numbers[blind]! + 1} to have a prompt to predict its choices from, got an empty one.`,
    );
  return judged.map(({ losses }) => {
    const items: Evidence['choices'] = rights.map((right) => ({ losses: [], right }));
    for (const [j, i] of numbers.entries()) items[i]!.losses.push(losses[j]!);
    return items;
  });
}

function rightOf({ completion, choices }: Completion, number: number, noun: string): number {
  const right = choices?.indexOf(completion) ?? -1;
  if (right >= 0) return right;
  const shown = choices?.map((choice) => `\`${choice}\``).join(', ') ?? 'none';
  throw new CortuneError(
    'ERR_DATA',
    `Expected the completion of ${noun} ${number}, \`${completion}\`, among its choices, got ${shown}.`,
  );
}
