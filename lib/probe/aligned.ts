/** Texts that have token positions in common, and how people read their tokens. */
import { CortuneError } from '../errors.js';
import type { Model } from '../model/load.js';

/** One token as people read it: line ends are shown, spaces kept. */
const readable = (model: Model, id: number) => model.tokenizer.decode([id]).replaceAll('\n', '⏎');

/** What stands at each position of equally long sequences: the token where they agree, else the first two, `|` between. */
export function tokenLabels(model: Model, sequences: readonly Int32Array[]): string[] {
  return Array.from(sequences[0]!, (_, t) => {
    const different = [...new Set(sequences.map((ids) => ids[t]!))];
    const shown = different.slice(0, 2).map((id) => readable(model, id));
    return `${shown.join('|')}${different.length > 2 ? '|…' : ''}`;
  });
}

/** Numbers of the texts by their length in tokens, in the order of the first of each. @throws ERR_DATA for an empty or too long one. */
export function byLength(model: Model, texts: readonly string[]): { numbers: number[]; sequences: Int32Array[] }[] {
  if (texts.length === 0) throw new CortuneError('ERR_DATA', 'Expected at least one text, got none.');
  const groups = new Map<number, { numbers: number[]; sequences: Int32Array[] }>();
  for (const [i, text] of texts.entries()) {
    const { ids } = model.tokenizer.encode(text);
    if (ids.length === 0 || ids.length > model.config.maxPositions)
      throw new CortuneError(
        'ERR_DATA',
        `Expected texts of 1 to ${model.config.maxPositions} tokens, the model's context, got ${ids.length} at number ${i + 1}.`,
      );
    const group = groups.get(ids.length) ?? { numbers: [], sequences: [] };
    group.numbers.push(i);
    group.sequences.push(ids);
    groups.set(ids.length, group);
  }
  return [...groups.values()];
}

/** The texts of the most frequent length. */
export function alignedItems(model: Model, texts: readonly string[]) {
  const groups = byLength(model, texts);
  const largest = groups.reduce((a, b) => (b.numbers.length > a.numbers.length ? b : a));
  return { ...largest, tokens: tokenLabels(model, largest.sequences) };
}
