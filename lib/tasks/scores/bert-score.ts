/** BERTScore (Zhang et al. 2020, arXiv:1904.09675): how well the tokens of a text are found among those of a reference, by an encoder's states. */
import { CortuneError, expected } from '../../errors.js';
import type { Model } from '../../model/load.js';
import { type JobOptions, runJob } from '../../native/jobs.js';
import { native } from '../../native/load.js';
import { packIds } from '../../native/pack.js';
import { checkItems } from './items.js';

export interface BertScoreOptions extends JobOptions {
  /** Layer whose states are compared: the package bert-score takes 9 for BERT base, 18 for BERT large. Default: the last. */
  layer?: number | undefined;
  /** Rare tokens count more, by their inverse frequency among the references. Default false. */
  idf?: boolean | undefined;
  /** Scores of unrelated texts (precision, recall, F) at this layer, from a table of bert-score; scores s become (s - b) / (1 - b). */
  baseline?: readonly [number, number, number] | undefined;
}

export interface BertScores {
  precision: number[];
  recall: number[];
  f: number[];
}

interface Text {
  ids: Int32Array;
  /** A token of the tokenizer's own, before or after the text. */
  isOutside: boolean[];
}

function textOf(model: Model, text: string): Text {
  const { ids, offsets } = model.tokenizer.encode(text.trim());
  const isOutside = Array.from(ids, (_, i) => offsets[2 * i]! < 0);
  const limit = model.config.maxPositions;
  if (ids.length <= limit) return { ids, isOutside };
  // As transformers cuts: the last special token stays.
  const tail = isOutside.at(-1) ? 1 : 0;
  const cut = <T>(list: T[]) => [...list.slice(0, limit - tail), ...list.slice(list.length - tail)];
  return { ids: Int32Array.from(cut([...ids])), isOutside: cut(isOutside) };
}

/** Weight of each token id: log((n + 1) / (texts that have it + 1)). */
function inverseFrequencies(references: readonly Text[]): (id: number) => number {
  const found = new Map<number, number>();
  for (const { ids } of references) for (const id of new Set(ids)) found.set(id, (found.get(id) ?? 0) + 1);
  return (id) => Math.log((references.length + 1) / ((found.get(id) ?? 0) + 1));
}

async function statesOf(model: Model, texts: readonly Text[], layer: number, options: JobOptions) {
  const packed = packIds(texts.map(({ ids }) => ids));
  const args = {
    model: model.handle,
    ...packed,
    spans: Int32Array.from({ length: 2 * packed.ids.length }, (_, i) => (i + 1) >> 1), // [i, i + 1) for every token
    pool: 'first' as const,
    maxTokens: 512,
    layers: Int32Array.of(layer),
    precision: 'fp32' as const,
  };
  const [states] = await runJob((progress) => native().embed(args, progress), options);
  return states!;
}

function rescaled(value: number, baseline: number | undefined): number {
  return baseline === undefined ? value : (value - baseline) / (1 - baseline);
}

/**
 * BERTScore of each prediction, as the package bert-score gives it; of several references the best of each number counts. Empty predictions
 * score 0 (before rescaling).
 * @throws ERR_CONFIG where the model is no encoder; RangeError for a layer that it has not.
 */
export async function bertScore(
  model: Model,
  predictions: readonly string[],
  references: readonly (readonly string[])[],
  options: BertScoreOptions = {},
): Promise<BertScores> {
  const { layer = model.config.layers, idf = false, baseline } = options;
  if (model.config.family !== 'bert')
    throw new CortuneError('ERR_CONFIG', `Expected a BERT-family encoder for BERTScore, got ${model.name}.`);
  if (!Number.isInteger(layer) || layer < 0 || layer > model.config.layers)
    throw expected('layer', `an integer from 0 to ${model.config.layers}`, layer);
  checkItems(predictions, references);
  const own = predictions.map((text) => textOf(model, text));
  const theirs = references.flatMap((list) => list.map((text) => textOf(model, text)));
  const weigh = idf ? inverseFrequencies(theirs) : () => 1;
  const texts = [...own, ...theirs];
  const weights = Float32Array.from(
    texts.flatMap(({ ids, isOutside }) => Array.from(ids, (id, i) => (isOutside[i] ? 0 : weigh(id)))),
  );
  let next = own.length;
  const pairs = references.flatMap((list, i) => list.flatMap(() => [i, next++]));
  const states = await statesOf(model, texts, layer, options);
  try {
    const lengths = Int32Array.from(texts, ({ ids }) => ids.length);
    const isEmpty = texts.map(({ isOutside }) => !isOutside.includes(false));
    const scores = await runJob(
      () => native().softMatch({ states, lengths, weights, pairs: Int32Array.from(pairs) }),
      options,
    );
    // Nothing is like an empty text, though its special tokens have states.
    for (let i = 0; i < pairs.length; i++) if (isEmpty[pairs[i]!]) scores.fill(0, i & ~1, (i | 1) + 1);
    return bestOf(scores, references, baseline);
  } finally {
    states.dispose();
  }
}

function bestOf(
  scores: Float64Array,
  references: readonly (readonly string[])[],
  baseline: readonly [number, number, number] | undefined,
): BertScores {
  const result: BertScores = { precision: [], recall: [], f: [] };
  let pair = 0;
  for (const list of references) {
    const best: [number, number, number] = [
      Number.NEGATIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ];
    for (let r = 0; r < list.length; r++, pair++) {
      const [p, q] = [scores[2 * pair]!, scores[2 * pair + 1]!];
      for (const [k, value] of [p, q, p + q === 0 ? 0 : (2 * p * q) / (p + q)].entries())
        best[k] = Math.max(best[k]!, value);
    }
    const [precision, recall, f] = best.map((value, k) => rescaled(value, baseline?.[k]));
    result.precision.push(precision!);
    result.recall.push(recall!);
    result.f.push(f!);
  }
  return result;
}
