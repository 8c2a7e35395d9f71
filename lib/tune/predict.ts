/** What heads that were tuned say of texts or images: classes, values, accuracy. */
import { CortuneError, expected } from '../errors.js';
import { readsImages } from '../model/config.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { Precision } from '../native/types.js';
import { precisionOf } from '../precision.js';
import { positive } from './checks.js';
import { type Example, packSequences, prepareExamples, readExampleImages } from './examples.js';
import type { Lanes } from './lanes.js';
import { lanesTogether } from './memory.js';

export interface PredictOptions extends JobOptions {
  /** Names of the classes in the order of the head's outputs, as `tune` gave them; left out for values. */
  classes?: readonly string[] | undefined;
  /** Sequences of a pass. Default: as many as keep the processor busy. */
  batch?: number | undefined;
  precision?: Precision | undefined;
  /** Of images, as when they were tuned on. */
  imageSize?: number | undefined;
}

/** Of one lane. */
export interface Predicted {
  /** `[n, outputs]`: logits of classes, or values. */
  outputs: Float32Array;
  /** The most likely class of each; absent without `classes`. */
  classes?: string[];
  /** Share of examples whose class is their label; absent without `classes`. */
  accuracy?: number;
}

/**
 * What the heads of all lanes say of labelled examples, which they did not learn from.
 * @returns one result for each lane.
 * @throws ERR_CONFIG for lanes without a head; ERR_DATA naming the number of an example whose label is none of the classes; as `tune`.
 */
export async function predict(
  model: Model,
  lanes: Lanes,
  examples: readonly Example[],
  options: PredictOptions = {},
): Promise<Predicted[]> {
  const { classes = [] } = options;
  if (lanes.outputs === 0)
    throw new CortuneError(
      'ERR_CONFIG',
      'Expected lanes tuned with labels, whose head says something of a text, got none.',
    );
  const objective = options.classes ? ('classification' as const) : ('regression' as const);
  const wanted = options.classes ? lanes.outputs : 1;
  if (lanes.outputs !== (options.classes ? classes.length : 1))
    throw expected('classes', `${wanted} names, as the head has ${lanes.outputs} outputs`, options.classes);
  using images = await readExampleImages(model, examples, [], options);
  const noun = readsImages(model.config) ? 'image' : 'text';
  const how = { objective, packing: 'texts' as const, block: model.config.maxPositions, classes, noun, images };
  const sequences = prepareExamples(model, examples, how);
  const longest = Math.max(...sequences.map(({ ids }) => ids.length));
  const batch = positive('batch', options.batch ?? lanesTogether(longest * lanes.count), { integer: true });
  const args = {
    ...packSequences(sequences),
    ...{ model: model.handle, lanes: lanes.handle, images: images?.handle, objective, batch },
    precision: precisionOf(options.precision),
  };
  const handle = await runJob((progress) => native().predict(args, progress), options);
  const all = native().tensorRead(handle);
  handle.dispose();
  const size = examples.length * lanes.outputs;
  return Array.from({ length: lanes.count }, (_, k) => {
    const outputs = all.slice(k * size, (k + 1) * size);
    return options.classes ? { outputs, ...scored(outputs, sequences, classes) } : { outputs };
  });
}

function scored(outputs: Float32Array, sequences: readonly { labels: Float32Array }[], names: readonly string[]) {
  const found = sequences.map((_, i) => {
    const own = outputs.subarray(i * names.length, (i + 1) * names.length);
    return own.reduce((best, value, c) => (value > own[best]! ? c : best), 0);
  });
  const right = found.filter((c, i) => c === sequences[i]!.labels[0]).length;
  return { classes: found.map((c) => names[c]!), accuracy: right / found.length };
}
