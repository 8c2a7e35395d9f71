/** Items that a model is asked: prompts, the completions that are right, the choices there are; as token sequences with what is scored. */
import { CortuneError, expected, show } from '../errors.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import type { Precision, Probed } from '../native/types.js';
import { precisionOf } from '../precision.js';
import type { Lanes } from '../tune/lanes.js';

/** What stands between prompt and completion (a space, a line end) belongs to one of the two. */
export interface ProbeItem {
  prompt: string;
  /** The right one. */
  completion: string;
  /** What the model chooses from, the right completion among them. Without, it must prefer the completion to every other text. */
  choices?: readonly string[] | undefined;
  /** Anything known of the item, to decode or to colour by. */
  variables?: Readonly<Record<string, string | number>> | undefined;
}

/** What is looked into: a lane of tuned state, or the model itself. */
export interface ProbeOptions extends JobOptions {
  lanes?: Lanes | undefined;
  /** Of `lanes`; default 0. */
  lane?: number | undefined;
  /** Products with the model's weights in float32 (default) or bfloat16. */
  precision?: Precision | undefined;
}

export function probed(model: Model, options: ProbeOptions): Probed {
  const { lanes, lane = 0 } = options;
  if (lanes) lanes.lane(lane);
  else if (lane !== 0) throw expected('lane', '0 without `lanes`', lane);
  return { model: model.handle, lanes: lanes?.handle, lane, precision: precisionOf(options.precision) };
}

/** Numbers of the scored tokens that make up one choice. */
type Scored = number[];

/** Sequences to read, and for each item its choices (the right one first) as scored tokens. */
export interface ItemPlan {
  sequences: Int32Array[];
  /** Three numbers each: sequence, position, token. */
  scored: number[];
  items: Scored[][];
}

interface Candidate {
  ids: Int32Array;
  /** First token of the completion. */
  first: number;
}

/** Tokens of prompt and completion as one text, without what a tokenizer adds at the end. */
function candidateOf(model: Model, prompt: string, completion: string, number: number): Candidate {
  const { ids, offsets } = model.tokenizer.encode(prompt + completion);
  let end = ids.length;
  while (end > 0 && offsets[2 * end - 1]! < 0) end--;
  let first = end;
  for (let i = end - 1; i >= 0; i--) if (offsets[2 * i + 1]! > prompt.length) first = i;
  if (first === 0)
    throw new CortuneError(
      'ERR_DATA',
      `Expected every item to have a prompt, got ${show(prompt)} at number ${number}.`,
    );
  if (end > model.config.maxPositions)
    throw new CortuneError(
      'ERR_DATA',
      `Expected items of at most ${model.config.maxPositions} tokens, the model's context, got ${end} at number ${number}.`,
    );
  return { ids: ids.slice(0, end), first };
}

/** The completion, and the choices other than it. */
function choicesOf(item: ProbeItem, number: number): string[] {
  for (const [name, part] of [
    ['prompt', item?.prompt],
    ['completion', item?.completion],
  ] as const)
    if (typeof part !== 'string' || part.trim() === '')
      throw new CortuneError(
        'ERR_DATA',
        `Expected every item to have a ${name}, got ${show(part)} at number ${number}.`,
      );
  if (item.choices === undefined) return [item.completion];
  if (!item.choices.includes(item.completion))
    throw new CortuneError(
      'ERR_DATA',
      `Expected the choices of item ${number} to hold its completion ${show(item.completion)}, got ${item.choices.map(show).join(', ')}.`,
    );
  return [item.completion, ...item.choices.filter((choice) => choice !== item.completion)];
}

const sameStart = (a: Candidate, b: Candidate) =>
  a.first === b.first && a.ids.subarray(0, a.first).every((id, i) => id === b.ids[i]);

/**
 * Choices of one token each after the same prompt are scored in one sequence; others are read one by one. The last token of a choice is
 * expected, never read.
 */
export function planItems(model: Model, items: readonly ProbeItem[]): ItemPlan {
  if (items.length === 0) throw new CortuneError('ERR_DATA', 'Expected at least one item, got none.');
  const plan: ItemPlan = { sequences: [], scored: [], items: [] };
  const score = (sequence: number, position: number, token: number) => {
    plan.scored.push(sequence, position, token);
    return plan.scored.length / 3 - 1;
  };
  for (const [i, item] of items.entries()) {
    const candidates = choicesOf(item, i + 1).map((choice) => candidateOf(model, item.prompt, choice, i + 1));
    const together = candidates.every((each) => each.ids.length === each.first + 1 && sameStart(each, candidates[0]!));
    plan.items.push(
      candidates.map(({ ids, first }, c) => {
        if (!together || c === 0) plan.sequences.push(ids.slice(0, -1));
        const sequence = plan.sequences.length - 1;
        return Array.from(ids.subarray(first), (token, t) => score(sequence, first + t - 1, token));
      }),
    );
  }
  return plan;
}

/** How the items fare. */
export interface ItemScores {
  /** Share of items whose completion is the likeliest choice (without choices: each of its tokens the likeliest of all). */
  accuracy: number;
  /** Mean negative log probability of the completions' tokens, in nats. */
  loss: number;
}

/** What native code says of every variant (row) and scored token (column). */
export interface Scores {
  logP: Float64Array;
  hits: Float64Array;
}

/** Log probability of each choice of item `item` in row `row`, the right one first, in nats. */
export function choiceScores(plan: ItemPlan, { logP }: Pick<Scores, 'logP'>, row: number, item: number): number[] {
  const columns = plan.scored.length / 3;
  return plan.items[item]!.map((scored) => scored.reduce((sum, s) => sum + logP[row * columns + s]!, 0));
}

/** 1 for each item that is right in row `row`, else 0. */
export function rightItems(plan: ItemPlan, scores: Scores, row: number): Uint8Array {
  const columns = plan.scored.length / 3;
  return Uint8Array.from(plan.items, (choices, i) => {
    const [own, ...others] = choiceScores(plan, scores, row, i);
    const wins =
      others.length > 0
        ? others.every((other) => own! > other)
        : choices[0]!.every((s) => scores.hits[row * columns + s] === 1);
    return wins ? 1 : 0;
  });
}

export function itemScores(plan: ItemPlan, scores: Scores, row: number): ItemScores {
  const right = rightItems(plan, scores, row);
  let loss = 0;
  let tokens = 0;
  for (const [i, choices] of plan.items.entries()) {
    loss -= choiceScores(plan, scores, row, i)[0]!;
    tokens += choices[0]!.length;
  }
  return { accuracy: right.reduce((sum, one) => sum + one, 0) / right.length, loss: loss / tokens };
}
