/** Hidden states of stimuli at every layer, in one pass over packed tokens. */
import { CortuneError, expected } from '../errors.js';
import type { ImageSource } from '../images/decode.js';
import { Images, readImages } from '../images/read.js';
import { isEncoder, readsImages } from '../model/config.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { Precision } from '../native/types.js';
import { precisionOf } from '../precision.js';
import { Tensor } from '../tensor.js';
import type { Lanes } from '../tune/lanes.js';
import { type EmbedPlan, planAlone, planCumulative, splitWords } from './plan.js';

/** How a stimulus' tokens become one vector. */
export const kPools = ['last', 'mean', 'first'] as const;
export type Pool = (typeof kPools)[number];

/** What a stimulus is read in: by itself, or after all that came before it in its passage. */
export const kContexts = ['none', 'cumulative'] as const;
export type Context = (typeof kContexts)[number];

/** What is embedded: texts; or for a model of images pictures (paths, contents of files, pixels), or what `readImages` made of them. */
export type Stimuli = readonly string[] | readonly ImageSource[] | Images;

export interface EmbedOptions extends JobOptions {
  /** Default 'last'. Of images 'first', the class token, or 'mean', that of the patches; default 'first'. */
  pool?: Pool;
  /** Of images, pixels a side in place of the processor's; a multiple of the model's patch. */
  imageSize?: number | undefined;
  /** Entries of transformers' `hidden_states` (0 the embedding output, the last the final norm-ed state). Default 'all'. */
  layers?: 'all' | readonly number[];
  /** Default 'none'. 'cumulative' needs a causal model. */
  context?: Context;
  /** Passage of each text, for 'cumulative': neighbours of one name are one passage. Default: all texts are one. */
  passages?: readonly string[];
  /** Tokens in one sequence at most. Default: the model's context. */
  window?: number;
  /** Products with the model's weights in float32 (default) or bfloat16 (states then agree to about 1 %). */
  precision?: Precision;
  /** Tuned state to put on the model. */
  lanes?: Lanes | undefined;
}

/**
 * Rows of one forward pass over all lanes: enough to keep the matrix products large, few enough that a layer's states stay in the caches of
 * the core that makes them.
 */
const kRowsPerPass = 512;

function layerNumbers(layers: 'all' | readonly number[], model: Model): Int32Array {
  const last = model.config.layers;
  if (layers === 'all') return Int32Array.from({ length: last + 1 }, (_, i) => i);
  for (const layer of layers)
    if (!Number.isInteger(layer) || layer < 0 || layer > last)
      throw expected('layers', `'all' or numbers from 0 to ${last}`, layer);
  if (layers.length === 0) throw expected('layers', 'at least one layer', layers);
  if (new Set(layers).size < layers.length) throw expected('layers', 'different layers', layers);
  return Int32Array.from(layers);
}

function plan(model: Model, texts: readonly string[], options: EmbedOptions): EmbedPlan {
  const { context = 'none', passages } = options;
  const limit = model.config.maxPositions;
  const window = options.window ?? limit;
  if (!Number.isInteger(window) || window < 2 || window > limit)
    throw expected('window', `an integer from 2 to ${limit}, the model's context`, window);
  if (passages && passages.length !== texts.length)
    throw expected('passages', `one name for each of the ${texts.length} texts`, passages.length);
  const reach = { tokenizer: model.tokenizer, window };
  if (context === 'none') return planAlone(texts, reach);
  if (context !== 'cumulative') throw expected('context', `one of ${kContexts.join(', ')}`, context);
  if (isEncoder(model.config))
    throw new CortuneError(
      'ERR_CONFIG',
      'Expected a causal model for cumulative context: an encoder would see the words that come after. Use context: none.',
    );
  return planCumulative(texts, reach, passages);
}

function textsOf(model: Model, stimuli: Stimuli): readonly string[] {
  if (Array.isArray(stimuli) && stimuli.every((each) => typeof each === 'string')) return stimuli;
  throw expected('stimuli', `texts: ${model.name} reads no images`, 'images');
}

async function embedImages(model: Model, stimuli: Stimuli, options: EmbedOptions): Promise<Tensor[]> {
  const { pool = 'first', lanes, signal, onProgress, imageSize } = options;
  if (pool !== 'first' && pool !== 'mean') throw expected('pool', 'first (the class token) or mean (of patches)', pool);
  if (options.context !== undefined && options.context !== 'none')
    throw expected('context', 'none for images', options.context);
  const layers = layerNumbers(options.layers ?? 'all', model);
  const precision = precisionOf(options.precision);
  const given = stimuli instanceof Images;
  const images = given ? stimuli : await readImages(model, stimuli, { imageSize, signal, onProgress });
  try {
    const { ids, lengths, images: handle } = images.packed(Array.from({ length: images.count }, (_, i) => i));
    const [from, to] = pool === 'first' ? [0, 1] : [images.firstPatch, images.tokens];
    const spans = Int32Array.from(
      { length: 2 * images.count },
      (_, i) => (i >> 1) * images.tokens + (i % 2 ? to : from),
    );
    const maxTokens = Math.max(16, Math.floor(kRowsPerPass / (lanes?.count ?? 1)));
    const args = {
      model: model.handle,
      lanes: lanes?.handle,
      ids,
      lengths,
      images: handle,
      spans,
      pool,
      maxTokens,
      layers,
      precision,
    };
    const handles = await runJob((progress) => native().embed(args, progress), { signal, onProgress });
    return handles.map((each) => new Tensor(each));
  } finally {
    if (!given) images.dispose();
  }
}

/**
 * Embeds texts or images with every lane of `options.lanes` in one pass (with the base model alone when there are none).
 * @returns for each lane a float32 tensor [kept layers, n, C]; the caller disposes them.
 * @throws ERR_DATA for an empty text or one longer than the model's context; RangeError for options out of range.
 */
export async function embedLanes(model: Model, stimuli: Stimuli, options: EmbedOptions = {}): Promise<Tensor[]> {
  if (readsImages(model.config)) return embedImages(model, stimuli, options);
  const texts = textsOf(model, stimuli);
  const { pool = 'last', lanes, signal, onProgress } = options;
  if (!kPools.includes(pool)) throw expected('pool', `one of ${kPools.join(', ')}`, pool);
  const layers = layerNumbers(options.layers ?? 'all', model);
  const precision = precisionOf(options.precision);
  const { ids, lengths, spans } = plan(model, texts, options);
  const maxTokens = Math.max(16, Math.floor(kRowsPerPass / (lanes?.count ?? 1)));
  const handles = await runJob(
    (progress) =>
      native().embed(
        { model: model.handle, lanes: lanes?.handle, ids, lengths, spans, pool, maxTokens, layers, precision },
        progress,
      ),
    { signal, onProgress },
  );
  return handles.map((handle) => new Tensor(handle));
}

/**
 * Embeds texts: transformers' `hidden_states`, pooled to one vector a text, without padding and without the vocabulary projection.
 * @returns float32 [kept layers, n, C]; of the first lane when `options.lanes` is given.
 */
export async function embed(model: Model, stimuli: Stimuli, options: EmbedOptions = {}): Promise<Tensor> {
  const [first, ...others] = await embedLanes(model, stimuli, options);
  for (const other of others) other.dispose();
  return first!;
}

/**
 * Embeds every word of texts (what lies between white space) in the context of its text: the mean of its tokens' states.
 * @returns the words in order, the text each belongs to, and for each lane [kept layers, words, C].
 */
export async function embedWords(
  model: Model,
  texts: readonly string[],
  options: Omit<EmbedOptions, 'context' | 'passages'> = {},
): Promise<{ words: string[]; textOf: number[]; lanes: Tensor[] }> {
  const { words, textOf } = splitWords(texts);
  const passages = textOf.map(String);
  const lanes = await embedLanes(model, words, { pool: 'mean', ...options, context: 'cumulative', passages });
  return { words, textOf, lanes };
}
