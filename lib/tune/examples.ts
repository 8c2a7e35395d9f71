/** What a model is tuned on: texts, prompts with completions, texts with labels; and the objectives that learn from them. */
import { CortuneError, expected, show } from '../errors.js';
import type { ImageSource } from '../images/decode.js';
import { type Images, readImages } from '../images/read.js';
import { isEncoder, readsImages } from '../model/config.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import { packIds, packValues } from '../native/pack.js';
import type { ObjectiveName, PackedExamples } from '../native/types.js';

/** The completion is learnt, given the prompt. What stands between them (a space, a line end) belongs to one of the two. */
export interface Completion {
  prompt: string;
  completion: string;
  /** Completions to choose from, the right one among them; for metrics of task quality alone. */
  choices?: readonly string[];
  /** Answers that count as right beside the completion's; for metrics of written texts alone. Default: the completion. */
  references?: readonly string[];
}
/** A class (text or number) or a value to predict from the text. */
export interface Labelled {
  text: string;
  label: string | number;
}
/** A class (text or number) or a value to predict from the picture, for models of images. */
export interface LabelledImage {
  image: ImageSource;
  label: string | number;
}
export type Example = string | Completion | Labelled | LabelledImage;

/**
 * - causal: next tokens of a causal model (of completions only, where there are prompts).
 * - masked: hidden tokens of an encoder (Devlin et al. 2019): 15 % of the tokens, of which 80 % are hidden, 10 % replaced, 10 % kept; chosen anew
 *   for every pass over a text, the same for all lanes.
 * - classification, regression: the label, through a new linear head on the last token (encoders: on the pooled first token), as
 *   transformers' ForSequenceClassification models.
 */
export const kObjectives = ['causal', 'masked', 'classification', 'regression'] as const satisfies ObjectiveName[];
export type Objective = (typeof kObjectives)[number];

/** One sequence a text, or all texts joined and cut into blocks of `block` tokens. */
export const kPackings = ['texts', 'blocks'] as const;
export type Packing = (typeof kPackings)[number];

/** Sequences with what is to be learnt of each; a target a token (-1 for none), or one. */
export interface Sequence {
  ids: Int32Array;
  labels: Float32Array;
}

/** How examples become sequences. */
export interface Preparing {
  objective: Objective;
  packing: Packing;
  /** Tokens of a block. */
  block: number;
  /** Names of the classes, in the order of the head's outputs; empty for other objectives. */
  classes: readonly string[];
  /** What a text is called in messages: 'text', 'validation text'. */
  noun: string;
  /** Of models of images: those of the examples, and the number of the first. */
  images?: Images | undefined;
  firstImage?: number | undefined;
}

export function isCompletion(example: Example): example is Completion {
  return typeof example === 'object' && example !== null && 'prompt' in example;
}
export function isLabelled(example: Example): example is Labelled | LabelledImage {
  return typeof example === 'object' && example !== null && 'label' in example;
}

/**
 * The pictures of examples and of those held out, one after the other, as the model reads them; undefined for a model of texts. Dispose them.
 * @throws as `readImages`; ERR_DATA naming the number of an example without a picture or a label.
 */
export async function readExampleImages(
  model: Model,
  examples: readonly Example[],
  validation: readonly Example[] = [],
  options: { imageSize?: number | undefined } & JobOptions = {},
): Promise<Images | undefined> {
  if (!readsImages(model.config)) return undefined;
  const sources = [...examples, ...validation].map((example, i) => {
    if (typeof example === 'object' && example !== null && 'image' in example && 'label' in example)
      return example.image;
    const [noun, number] = i < examples.length ? ['image', i + 1] : ['validation image', i + 1 - examples.length];
    throw new CortuneError(
      'ERR_DATA',
      `Expected \`image\` and \`label\` for a model of images, got ${show(example)} as ${noun} ${number}.`,
    );
  });
  if (sources.length === 0) throw new CortuneError('ERR_DATA', 'Expected at least one image to tune on, got none.');
  return readImages(model, sources, options);
}

/** The objective that fits examples when none is asked for: labels that are texts are classes, numbers are values. */
export function objectiveOf(model: Model, examples: readonly Example[], asked?: Objective): Objective {
  if (asked !== undefined && !kObjectives.includes(asked))
    throw expected('objective', `one of ${kObjectives.join(', ')}`, asked);
  const labelled = examples.filter(isLabelled);
  const ofSequences = asked === 'classification' || asked === 'regression';
  if (labelled.length > 0 && asked !== undefined && !ofSequences)
    throw expected('objective', 'classification or regression, for texts with labels', asked);
  const encoder = isEncoder(model.config);
  if (asked === 'causal' && encoder)
    throw expected('objective', 'masked, classification or regression for an encoder', asked);
  if (asked === 'masked' && !encoder)
    throw expected('objective', 'causal, classification or regression for a causal model', asked);
  if (asked === 'masked' && readsImages(model.config))
    throw expected('objective', 'classification or regression for a model of images', asked);
  if (asked !== undefined) return asked;
  if (labelled.length > 0)
    return labelled.every(({ label }) => typeof label === 'number') ? 'regression' : 'classification';
  return encoder ? 'masked' : 'causal';
}

/** Names of the classes of examples, sorted: numbers by value, texts by code unit. */
export function classesOf(examples: readonly Example[]): string[] {
  const found = [...new Set(examples.filter(isLabelled).map(({ label }) => label))];
  const numbers = found.every((label) => typeof label === 'number');
  const names = numbers
    ? found.sort((a, b) => Number(a) - Number(b)).map(String)
    : [...new Set(found.map(String))].sort();
  if (names.length < 2)
    throw new CortuneError(
      'ERR_DATA',
      `Expected labels of at least two classes, got ${names.length === 1 ? `\`${names[0]}\` only` : 'none'}.`,
    );
  return names;
}

/**
 * Sequences of examples. 'texts': one each, with the tokenizer's special tokens; refused when longer than the context. 'blocks': texts one
 * after the other in blocks of `block` tokens (the last may be shorter). A sequence with nothing to learn is left out. The labels of
 * 'masked' are those of no token yet: `hideTokens` chooses.
 * @throws ERR_DATA naming the number of an example that is empty, too long or without what the objective needs.
 */
export function prepareExamples(model: Model, examples: readonly Example[], options: Preparing): Sequence[] {
  const sequences = sequencesOf(model, examples, options);
  const kept =
    options.objective === 'causal'
      ? sequences.filter(({ labels }) => labels.some((label, i) => i > 0 && label >= 0))
      : sequences;
  if (kept.length === 0)
    throw new CortuneError(
      'ERR_DATA',
      `Expected a ${options.noun} of at least two tokens to predict one from the other, got none.`,
    );
  return kept;
}

/** The same with every sequence: with packing 'texts' one an example, in their order. */
export function sequencesOf(model: Model, examples: readonly Example[], options: Preparing): Sequence[] {
  const { packing, block, noun } = options;
  if (examples.length === 0) throw new CortuneError('ERR_DATA', `Expected at least one ${noun}, got none.`);
  if (!kPackings.includes(packing)) throw expected('packing', `one of ${kPackings.join(', ')}`, packing);
  if (options.images) return examples.map((example, i) => imageSequence(example, i, options));
  return packing === 'texts'
    ? examples.map((example, i) => sequenceOf(model, example, i + 1, options))
    : cutBlocks(model, examples, checkBlock(block, model.config.maxPositions), options);
}

function textOf(example: Example, number: number, noun: string): string {
  const text = typeof example === 'string' ? example : (example as Partial<Labelled> | null)?.text;
  if (typeof text !== 'string')
    throw new CortuneError('ERR_DATA', `Expected a text at number ${number}, got ${show(example)}.`);
  if (text.trim() === '')
    throw new CortuneError('ERR_DATA', `Expected every ${noun} to have words, got an empty one at number ${number}.`);
  return text;
}

function sequenceOf(model: Model, example: Example, number: number, options: Preparing): Sequence {
  const { objective, noun } = options;
  if (isCompletion(example)) return completionOf(model, example, number, options);
  const ids = checkLength(model, model.tokenizer.encode(textOf(example, number, noun)).ids, number, noun);
  if (objective === 'causal') return { ids, labels: nextTokens(ids) };
  if (objective === 'masked') return { ids, labels: new Float32Array(ids.length).fill(-1) };
  if (!isLabelled(example))
    throw new CortuneError('ERR_DATA', `Expected a label for every ${noun}, got none at number ${number}.`);
  return { ids, labels: Float32Array.of(labelOf(example.label, number, options)) };
}

/** An image is as many tokens as it has, each with the image's number for an id. */
function imageSequence(example: Example, i: number, options: Preparing): Sequence {
  const { images, firstImage = 0 } = options;
  const ids = new Int32Array(images!.tokens).fill(firstImage + i);
  return { ids, labels: Float32Array.of(labelOf((example as LabelledImage).label, i + 1, options)) };
}

function labelOf(label: string | number, number: number, { objective, classes, noun }: Preparing): number {
  if (objective === 'regression') {
    if (typeof label === 'number' && Number.isFinite(label)) return label;
    throw new CortuneError(
      'ERR_DATA',
      `Expected a finite number as the label of ${noun} ${number}, got ${show(label)}.`,
    );
  }
  const place = classes.indexOf(String(label));
  if (place >= 0) return place;
  throw new CortuneError(
    'ERR_DATA',
    `Expected the label of ${noun} ${number} to be one of ${classes.map((name) => `\`${name}\``).join(', ')}, got ${show(label)}.`,
  );
}

function checkLength(model: Model, ids: Int32Array, number: number, noun: string): Int32Array {
  const context = model.config.maxPositions;
  if (ids.length <= context) return ids;
  throw new CortuneError(
    'ERR_DATA',
    `Expected ${noun}s of at most ${context} tokens, the model's context, got ${ids.length} at number ${number}. Use packing: blocks.`,
  );
}

/** Prompt and completion as one text; tokens that reach into the completion are learnt. */
function completionOf(model: Model, example: Completion, number: number, { objective, noun }: Preparing): Sequence {
  const { prompt, completion } = example;
  if (objective !== 'causal')
    throw new CortuneError(
      'ERR_DATA',
      `Expected texts for objective ${objective}, got a prompt with a completion at number ${number}.`,
    );
  for (const [name, part] of Object.entries({ prompt, completion }))
    if (typeof part !== 'string' || (name === 'completion' && part.trim() === ''))
      throw new CortuneError(
        'ERR_DATA',
        `Expected every ${noun} to have a ${name}, got ${show(part)} at number ${number}.`,
      );
  const { ids, offsets } = model.tokenizer.encode(prompt + completion);
  const context = model.config.maxPositions;
  // The first token with a place in the text that ends behind the prompt.
  let first = ids.length;
  for (let i = ids.length - 1; i >= 0; i--) if (offsets[2 * i + 1]! > prompt.length) first = i;
  if (ids.length > context)
    throw new CortuneError(
      'ERR_DATA',
      `Expected a prompt and completion of at most ${context} tokens, the model's context, got ${first} and ${ids.length - first} at number ${number}. Shorten the prompt.`,
    );
  return { ids, labels: nextTokens(ids, first) };
}

/** Every token is to be predicted from those before it, from token `first` on. The first of all has only a method's virtual tokens before it. */
export function nextTokens(ids: Int32Array, first = 0): Float32Array {
  return Float32Array.from(ids, (id, i) => (i < first ? -1 : id));
}

function checkBlock(block: number, context: number): number {
  if (!Number.isInteger(block) || block < 2 || block > context)
    throw expected('block', `an integer from 2 to ${context}, the model's context`, block);
  return block;
}

function cutBlocks(
  model: Model,
  examples: readonly Example[],
  block: number,
  { objective, noun }: Preparing,
): Sequence[] {
  const texts = examples.map((example, i) => {
    if (isCompletion(example) || isLabelled(example))
      throw expected('packing', 'texts: prompts and labels belong to one sequence each', 'blocks');
    return textOf(example, i + 1, noun);
  });
  const all = Int32Array.from(texts.flatMap((text) => [...model.tokenizer.encode(text).ids]));
  const blocks: Sequence[] = [];
  for (let at = 0; at < all.length; at += block) {
    const ids = all.slice(at, at + block);
    blocks.push({ ids, labels: objective === 'causal' ? nextTokens(ids) : new Float32Array(ids.length).fill(-1) });
  }
  return blocks;
}

/** Sequences one after the other, as native code takes them. */
export function packSequences(sequences: readonly Sequence[]): PackedExamples {
  return { ...packIds(sequences.map(({ ids }) => ids)), labels: packValues(sequences.map(({ labels }) => labels)) };
}
