/** The quality of tuned lanes, or of the model as it is, on held-out items of a task. */
import { CortuneError, expected } from '../errors.js';
import type { DecodingOptions } from '../generate/options.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import type { Precision } from '../native/types.js';
import { precisionOf } from '../precision.js';
import {
  type Completion,
  type Example,
  isCompletion,
  isLabelled,
  type Objective,
  objectiveOf,
  type Packing,
} from '../tune/examples.js';
import type { Lanes } from '../tune/lanes.js';
import { choiceLosses, type Judging, likelihoods } from './likelihood.js';
import type { Evidence, Metric, TaskKind } from './metric.js';
import { metricsFor } from './metrics.js';
import { type Writing, writtenTexts } from './written.js';

export interface EvaluateOptions extends JobOptions {
  /** Default: by the examples, as in `tune`. */
  objective?: Objective | undefined;
  /** Classes in the order of the head's outputs, as `tune` gives them; needed for texts with classes. */
  classes?: readonly string[] | undefined;
  /** Of plain texts: 'texts' (default) one sequence each, 'blocks' joined and cut into `block` tokens (default 128). */
  packing?: Packing | undefined;
  block?: number | undefined;
  /** Of images, pixels a side, as when the lanes were tuned. */
  imageSize?: number | undefined;
  /** Of products with the model's weights. Default fp32. */
  precision?: Precision | undefined;
  /** How texts are written, for metrics of written texts. Default: greedily, 64 new tokens at most. */
  generate?: DecodingOptions | undefined;
  /** What an item is called in messages. Default 'item'. */
  noun?: string | undefined;
}

/** One measure of a lane. */
export interface Quality {
  metric: string;
  /** NaN where the lane's losses are not finite. */
  value: number;
  /** Items that it is over; of losses and token accuracy, tokens. */
  items: number;
}

/** How evidence is collected, of every lane. */
const kCollectors: {
  [Kind in keyof Evidence]: (
    model: Model,
    lanes: Lanes | undefined,
    examples: readonly Example[],
    options: Judging & Writing,
  ) => Promise<Evidence[Kind][]>;
} = {
  likelihood: likelihoods,
  choices: (model, lanes, examples, options) => choiceLosses(model, lanes, examples as Completion[], options),
  texts: (model, lanes, examples, options) => writtenTexts(model, lanes, examples as Completion[], options),
};

/**
 * Evaluates each lane (the model itself, where `lanes` is undefined) on held-out examples.
 * @param metrics names of metrics (`kMetricNames`); by default those that fit the examples.
 * @returns for each lane its measures, in the order of `metrics`.
 * @throws RangeError for a metric that is none or does not fit; ERR_DATA naming the number of an item that is empty, too long, of an
 * unknown class, or whose completion is not among its choices; ERR_CANCELLED.
 */
export async function evaluate(
  model: Model,
  lanes: Lanes | undefined,
  examples: readonly Example[],
  metrics?: readonly string[],
  options: EvaluateOptions = {},
): Promise<Quality[][]> {
  const { noun = 'item', block = 128 } = options;
  if (examples.length === 0) throw new CortuneError('ERR_DATA', `Expected at least one ${noun}, got none.`);
  const objective = objectiveOf(model, examples, options.objective);
  const kind = kindOf(examples, objective);
  if ((kind === 'classes' || kind === 'values') && !lanes?.outputs)
    throw expected('lanes', 'lanes with a head, tuned on texts with labels', lanes);
  const asked = metricsFor(kind, evidenceThere(examples), metrics);
  const judging: Judging & Writing = {
    ...{ signal: options.signal, onProgress: options.onProgress, objective, noun, block },
    classes: options.classes ?? [],
    packing: kind === 'texts' ? (options.packing ?? 'texts') : 'texts',
    precision: precisionOf(options.precision),
    imageSize: options.imageSize,
    generate: options.generate ?? {},
  };
  const scores: Quality[][] = Array.from({ length: lanes?.count ?? 1 }, () => []);
  const found = new Map<keyof Evidence, Evidence[keyof Evidence][]>();
  for (const metric of asked) {
    const evidence = found.get(metric.needs) ?? (await kCollectors[metric.needs](model, lanes, examples, judging));
    found.set(metric.needs, evidence);
    for (const [k, own] of evidence.entries()) scores[k]!.push(scored(metric, own, examples));
  }
  return scores;
}

function scored(metric: Metric, evidence: Evidence[keyof Evidence], examples: readonly Example[]): Quality {
  const { value, items } = metric.score(evidence, examples);
  return { metric: metric.name, value: Number.isFinite(value) ? value : Number.NaN, items };
}

/** What examples are. @throws ERR_DATA naming the first that is of another kind than the first of all. */
export function kindOf(examples: readonly Example[], objective: Objective): TaskKind {
  const of = (example: Example): TaskKind => {
    if (isCompletion(example)) return 'completions';
    if (!isLabelled(example)) return 'texts';
    return objective === 'regression' ? 'values' : 'classes';
  };
  const kind = of(examples[0]!);
  const other = examples.findIndex((example) => of(example) !== kind);
  if (other < 0) return kind;
  throw new CortuneError('ERR_DATA', `Expected ${kind} alone, got ${of(examples[other]!)} at number ${other + 1}.`);
}

function evidenceThere(examples: readonly Example[]): (keyof Evidence)[] {
  const choose = examples.every((example) => isCompletion(example) && example.choices !== undefined);
  const write = examples.every((example) => isCompletion(example));
  return ['likelihood', ...(choose ? ['choices' as const] : []), ...(write ? ['texts' as const] : [])];
}
