/** Tokens hidden for masked language modelling (Devlin et al. 2019), as transformers' DataCollatorForLanguageModeling does. */
import { CortuneError } from '../errors.js';
import type { Model } from '../model/load.js';
import type { Random } from '../random.js';
import type { Sequence } from './examples.js';

/** Share of the tokens that are to be predicted; of those, what share is hidden, and what share of the rest replaced. */
const kChosen = 0.15;
const kHidden = 0.8;
const kReplaced = 0.5;

/**
 * A copy of `sequence` in which each token but special ones is chosen with probability 0.15; of the chosen 80 % become the mask token, 10 % a
 * random token, 10 % stay. At least one is chosen, so that every sequence teaches something.
 * @throws ERR_CONFIG for a tokenizer without a mask token.
 */
export function hideTokens(model: Model, sequence: Sequence, random: Random): Sequence {
  const { tokenizer } = model;
  const mask = tokenizer.maskId;
  if (mask === undefined)
    throw new CortuneError(
      'ERR_CONFIG',
      `Expected a tokenizer with a mask token for masked language modelling, that of ${model.name} has none.`,
    );
  const places = [...sequence.ids.keys()].filter((i) => !tokenizer.isSpecial(sequence.ids[i]!));
  const ids = sequence.ids.slice();
  const labels = new Float32Array(ids.length).fill(-1);
  let chosen = places.filter(() => random.uniform() < kChosen);
  if (chosen.length === 0 && places.length > 0) chosen = [places[Math.floor(random.uniform() * places.length)]!];
  for (const i of chosen) {
    labels[i] = ids[i]!;
    if (random.uniform() < kHidden) ids[i] = mask;
    else if (random.uniform() < kReplaced) ids[i] = Math.floor(random.uniform() * tokenizer.vocabSize);
  }
  return { ids, labels };
}

/**
 * Sequences as `order` draws them, each drawing with its own hidden tokens, and the order of those: what is hidden differs from epoch to epoch
 * and is the same for all lanes.
 */
export function hideAlong(
  model: Model,
  sequences: readonly Sequence[],
  order: Int32Array,
  random: Random,
): { sequences: Sequence[]; order: Int32Array } {
  const drawn: Sequence[] = [];
  const numbers = order.map((number) => {
    if (number < 0) return -1;
    drawn.push(hideTokens(model, sequences[number]!, random));
    return drawn.length - 1;
  });
  return { sequences: drawn, order: numbers };
}
