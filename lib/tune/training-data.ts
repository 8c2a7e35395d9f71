/** Examples as native code trains on them: sequences with labels, their order, what is held out. */
import type { Images } from '../images/read.js';
import { isEncoder } from '../model/config.js';
import type { Model } from '../model/load.js';
import { native } from '../native/load.js';
import type { PackedExamples } from '../native/types.js';
import { Random } from '../random.js';
import { drawOrder } from './batches.js';
import { positive } from './checks.js';
import {
  classesOf,
  type Example,
  type Objective,
  objectiveOf,
  type Packing,
  packSequences,
  prepareExamples,
} from './examples.js';
import { hideAlong, hideTokens } from './masking.js';

export interface DataOptions {
  objective?: Objective;
  packing?: Packing;
  block?: number;
  dataSeed?: number;
  validation?: readonly Example[];
  /** Of a model of images: those of the examples and of those held out (`readExampleImages`). */
  images?: Images | undefined;
}

export interface TrainingData {
  objective: Objective;
  /** In the order of the head's outputs; empty for other objectives. */
  classes: string[];
  /** Of the sequence head; 0 for none. */
  outputs: number;
  train: PackedExamples;
  held: PackedExamples | undefined;
  /** [steps, perStep] */
  order: Int32Array;
  /** Of all training texts. */
  tokens: number;
}

/** What the examples come to for `steps` updates of `perStep` sequences. @throws as prepareExamples, objectiveOf and hideTokens do. */
export function trainingData(
  model: Model,
  examples: readonly Example[],
  options: DataOptions,
  steps: number,
  perStep: number,
): TrainingData {
  const { validation, dataSeed = 0 } = options;
  const objective = objectiveOf(model, examples, options.objective);
  const classes = objective === 'classification' ? classesOf(examples) : [];
  const how = {
    objective,
    packing: options.packing ?? 'texts',
    block: options.block ?? Math.min(128, model.config.maxPositions),
    classes,
    images: options.images,
  };
  const noun = options.images ? 'image' : 'text';
  let train = prepareExamples(model, examples, { ...how, noun });
  const behind = { ...how, noun: `validation ${noun}`, firstImage: examples.length };
  let held = validation && prepareExamples(model, validation, behind);
  // All lanes are measured by the same tokens, also those whose prompt would predict the first.
  if (objective === 'causal')
    held = held?.map(({ ids, labels }) => ({ ids, labels: labels.map((id, i) => (i > 0 ? id : -1)) }));
  const tokens = train.reduce((sum, { ids }) => sum + ids.length, 0);
  let order = drawOrder(train.length, steps, perStep, positive('dataSeed', dataSeed, { zero: true, integer: true }));
  if (objective === 'masked') {
    // Apart from what draws the order.
    const random = new Random(dataSeed + 0x6d61736b);
    held = held?.map((sequence) => hideTokens(model, sequence, random));
    ({ sequences: train, order } = hideAlong(model, train, order, random));
  }
  const outputs = objective === 'classification' ? classes.length : objective === 'regression' ? 1 : 0;
  const pack = (sequences: typeof train) => ({ ...packSequences(sequences), images: options.images?.handle });
  return { objective, classes, outputs, train: pack(train), held: held && pack(held), order, tokens };
}

/** Heads of the model that an objective uses. */
function headOf(objective: Objective): string {
  if (objective === 'masked') return 'masked';
  return objective === 'causal' ? '' : 'pooler';
}

/** Of the parts of heads: what the objective uses and the checkpoint lacks, and what it does not use (that would get no gradient). */
export function headParts(model: Model, objective: Objective): { fresh: string[]; unused: Set<string> } {
  const parts = native()
    .modelParameters(model.handle)
    .filter(({ head }) => head !== '');
  const uses = headOf(objective);
  return {
    fresh: parts.filter(({ fresh, head }) => fresh && head === uses).map(({ name }) => name),
    unused: new Set(parts.filter(({ head }) => head !== uses).map(({ name }) => name)),
  };
}

/** Parameters of a sequence head: a row of weights an output, encoders with a bias. */
export function countHead(model: Model, outputs: number): number {
  const { family, hiddenSize, embedSize } = model.config;
  // DINOv2's head reads the class token beside the mean of the patches.
  const width = family === 'dinov2' ? 2 * hiddenSize : embedSize || hiddenSize;
  return outputs * (width + (isEncoder(model.config) ? 1 : 0));
}
