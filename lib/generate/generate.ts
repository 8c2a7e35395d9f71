/** Texts that a model writes after prompts, with a cache of keys and values, many prompts and lanes at once. */
import { CortuneError, expected, show } from '../errors.js';
import type { Model } from '../model/load.js';
import type { TextTokenizer } from '../model/tokenizer.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { packIds } from '../native/pack.js';
import type { Precision } from '../native/types.js';
import { precisionOf } from '../precision.js';
import type { Lanes } from '../tune/lanes.js';
import { type DecodingOptions, decodingOf } from './options.js';

export interface GenerateOptions extends DecodingOptions, JobOptions {
  /** Tuned state to put on the model. */
  lanes?: Lanes | undefined;
  /** Texts (prompts, or beams of them) that are written at once. Default 32. */
  batch?: number | undefined;
  /** Products with the model's weights in float32 (default) or bfloat16. */
  precision?: Precision | undefined;
}

/** What was written after one prompt. */
export interface GeneratedText {
  /** Without the prompt, the token or the string that ended it. */
  text: string;
  /** All new tokens. */
  tokens: Int32Array;
  /** A token that ends texts, a stop string, the most new tokens, or a model whose numbers are not finite. */
  stoppedBy: 'end' | 'stop' | 'length' | 'diverged';
  /** Beams: sum of the log-probabilities, by the length; else 0. */
  score: number;
}

function promptIds(tokenizer: TextTokenizer, prompt: string, number: number): Int32Array {
  if (typeof prompt !== 'string' || prompt.trim() === '')
    throw new CortuneError('ERR_DATA', `Expected every prompt to have text, got ${show(prompt)} at number ${number}.`);
  const { ids, offsets } = tokenizer.encode(prompt);
  let end = ids.length;
  while (end > 0 && offsets[2 * end - 1]! < 0) end--; // what the tokenizer puts behind whole texts
  return ids.subarray(0, end);
}

/** The bytes of tokens, which native code looks for stop strings in. */
function piecesOf(tokenizer: TextTokenizer, needed: boolean) {
  const all = needed ? tokenizer.tokenBytes() : [];
  const pieces = new Uint8Array(all.reduce((sum, bytes) => sum + bytes.length, 0));
  let at = 0;
  for (const bytes of all) {
    pieces.set(bytes, at);
    at += bytes.length;
  }
  return { pieces, pieceLengths: Int32Array.from(all, (bytes) => bytes.length) };
}

/** The text that `tokens` add to that of `prompt`: some decoders write no space before the first word. */
function addedText(tokenizer: TextTokenizer, prompt: Int32Array, tokens: Int32Array): string {
  const before = tokenizer.decode(prompt);
  const whole = tokenizer.decode([...prompt, ...tokens]);
  return whole.startsWith(before) ? whole.slice(before.length) : tokenizer.decode(tokens);
}

function cutAt(text: string, stops: readonly string[]): string {
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
  return places.length === 0 ? text : text.slice(0, Math.min(...places));
}

/**
 * Continues every prompt with every lane of `options.lanes` in one batch (with the base model alone when there are none). Greedy by
 * default; the same tokens as transformers' `generate` for greedy and beam search. Draws depend on the seed, the prompt and how often it
 * came before, not on what else is written: lanes see the same draws.
 * @returns for each lane a text for each prompt.
 * @throws ERR_DATA naming the number of a prompt that is empty or leaves no room for new tokens in the model's context; ERR_CONFIG for
 *   an encoder; RangeError or TypeError for options.
 */
export async function generateLanes(
  model: Model,
  prompts: readonly string[],
  options: GenerateOptions = {},
): Promise<GeneratedText[][]> {
  const { lanes, signal, onProgress, batch = 32 } = options;
  if (!Array.isArray(prompts)) throw expected('prompts', 'a list of texts', prompts, 'type');
  const decoding = decodingOf(options, model.ends);
  if (!Number.isSafeInteger(batch) || batch < 1) throw expected('batch', 'an integer from 1', batch);
  if (prompts.length === 0) throw new CortuneError('ERR_DATA', 'Expected at least one prompt, got none.');
  const { tokenizer } = model;
  const ids = prompts.map((prompt, i) => promptIds(tokenizer, prompt, i + 1));
  const args = {
    model: model.handle,
    lanes: lanes?.handle,
    ...packIds(ids),
    ...decoding,
    ...piecesOf(tokenizer, decoding.stops.length > 0),
    batch,
    precision: precisionOf(options.precision),
  };
  const written = await runJob((progress) => native().generate(args, progress), { signal, onProgress });
  let at = 0;
  const texts = Array.from(written.lengths, (length, i): GeneratedText => {
    const tokens = written.tokens.slice(at, at + length);
    at += length;
    const stoppedBy = written.stops[i]!;
    const kept = stoppedBy === 'end' ? tokens.subarray(0, -1) : tokens;
    const text = addedText(tokenizer, ids[i % ids.length]!, kept);
    return { text: cutAt(text, decoding.stops), tokens, stoppedBy, score: written.scores[i]! };
  });
  const count = texts.length / prompts.length;
  return Array.from({ length: count }, (_, k) => texts.slice(k * prompts.length, (k + 1) * prompts.length));
}

/** Continues every prompt: see `generateLanes`; of the first lane when `options.lanes` is given. */
export async function generate(
  model: Model,
  prompts: readonly string[],
  options: GenerateOptions = {},
): Promise<GeneratedText[]> {
  return (await generateLanes(model, prompts, options))[0]!;
}
