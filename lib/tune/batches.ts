/** Texts as training sequences, and the order in which steps see them. */
import { CortuneError, expected } from '../errors.js';
import type { Model } from '../model/load.js';
import type { Packed } from '../native/types.js';
import { Random } from '../random.js';

/** One sequence a text, or all texts joined and cut into blocks of `block` tokens. */
export const kPackings = ['texts', 'blocks'] as const;
export type Packing = (typeof kPackings)[number];

/**
 * Sequences of texts. 'texts': one each, with the tokenizer's special tokens; refused when longer than the context. 'blocks': passages one
 * after the other in blocks of `block` tokens (the last may be shorter). A sequence of one token has nothing to predict and is left out.
 */
export function sequencesOf(model: Model, texts: readonly string[], packing: Packing, block: number): Packed {
  if (texts.length === 0) throw new CortuneError('ERR_DATA', 'Expected at least one text to tune on, got none.');
  const empty = texts.findIndex((text) => text.trim() === '');
  if (empty >= 0)
    throw new CortuneError('ERR_DATA', `Expected every text to have words, got an empty one at number ${empty + 1}.`);
  if (!kPackings.includes(packing)) throw expected('packing', `one of ${kPackings.join(', ')}`, packing);
  const context = model.config.maxPositions;
  const encoded = texts.map((text) => model.tokenizer.encode(text).ids);
  const sequences = packing === 'texts' ? encoded : cutBlocks(encoded, checkBlock(block, context));
  for (const [i, sequence] of sequences.entries())
    if (sequence.length > context)
      throw new CortuneError(
        'ERR_DATA',
        `Expected texts of at most ${context} tokens, the model's context, got ${sequence.length} at number ${i + 1}. Use packing: blocks.`,
      );
  const kept = sequences.filter((sequence) => sequence.length >= 2);
  if (kept.length === 0)
    throw new CortuneError(
      'ERR_DATA',
      'Expected a text of at least two tokens to predict one from the other, got none.',
    );
  return {
    ids: Int32Array.from(kept.flatMap((sequence) => [...sequence])),
    lengths: Int32Array.from(kept, (s) => s.length),
  };
}

function checkBlock(block: number, context: number): number {
  if (!Number.isInteger(block) || block < 2 || block > context)
    throw expected('block', `an integer from 2 to ${context}, the model's context`, block);
  return block;
}

function cutBlocks(encoded: readonly Int32Array[], block: number): Int32Array[] {
  const all = Int32Array.from(encoded.flatMap((ids) => [...ids]));
  const blocks: Int32Array[] = [];
  for (let at = 0; at < all.length; at += block) blocks.push(all.subarray(at, at + block));
  return blocks;
}

/**
 * Sequence numbers [steps, batch]: epochs one after the other, each in a new order drawn from `seed`. A batch may reach over the end of an
 * epoch; no batch holds a sequence twice unless there are fewer sequences than `batch`, then rows end in -1.
 */
export function drawOrder(sequences: number, steps: number, batch: number, seed: number): Int32Array {
  const random = new Random(seed);
  const order = new Int32Array(steps * batch).fill(-1);
  const size = Math.min(batch, sequences);
  let epoch: number[] = [];
  for (let step = 0; step < steps; step++) {
    const row: number[] = [];
    while (row.length < size) {
      if (epoch.length === 0) epoch = random.permutation(sequences);
      // What the row already holds waits for the next one.
      const next = epoch.findIndex((number) => !row.includes(number));
      if (next < 0) {
        epoch = [...epoch, ...random.permutation(sequences)];
        continue;
      }
      row.push(...epoch.splice(next, 1));
    }
    order.set(row, step * batch);
  }
  return order;
}
