/** Attention maps: how much each head of each layer looks from each token to each, the mean over texts that are equally long. */
import type { Model } from '../model/load.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { packIds } from '../native/pack.js';
import { byLength, tokenLabels } from './aligned.js';
import { type ProbeOptions, probed } from './items.js';

/** Texts of one length in tokens. */
export interface AttentionMap {
  /** Numbers of the texts, from 0. */
  texts: number[];
  /** What stands at each position: the token where the texts agree, else those of the first two with `|` between. [T] */
  tokens: string[];
  layers: number;
  heads: number;
  /** `[L, H, T, T]`: from token (row) to token (column), the mean over the texts. Rows sum to 1 but for what virtual tokens take. */
  weights: Float32Array;
}

/**
 * Average attention weights of every head. Texts of one template have one length and are averaged; each other length is a map of its own.
 * @returns maps in the order of their first text.
 * @throws ERR_DATA for an empty text or one longer than the model's context.
 */
export async function attentionMaps(
  model: Model,
  texts: readonly string[],
  options: ProbeOptions = {},
): Promise<AttentionMap[]> {
  const maps: AttentionMap[] = [];
  for (const { numbers, sequences } of byLength(model, texts)) {
    const handle = await runJob(
      (progress) => native().attentionWeights({ ...probed(model, options), ...packIds(sequences) }, progress),
      { signal: options.signal, onProgress: options.onProgress },
    );
    const weights = native().tensorRead(handle);
    const [layers, heads] = handle.shape as [number, number];
    handle.dispose();
    maps.push({ texts: numbers, tokens: tokenLabels(model, sequences), layers, heads, weights });
  }
  return maps;
}
