/** How texts are written: the most likely token, drawn ones, or beams. */
import { expected } from '../errors.js';
import type { GenerateArgs } from '../native/types.js';

export interface DecodingOptions {
  /** New tokens of a text at most. Default 64. */
  maxNewTokens?: number | undefined;
  /** Strings that end a text; they are no part of it. Default none. */
  stop?: readonly string[] | undefined;
  /** Tokens that end a text. Default: those that the model's files name. */
  ends?: readonly number[] | undefined;
  /** Beam search with so many beams. Default 1: the most likely token, each time. */
  beams?: number | undefined;
  /** Beams: scores are divided by length to this power; above 0 favours long texts. Default 1. */
  lengthPenalty?: number | undefined;
  /** Beams: end with as many texts as beams (true), when none of the same length can be better (false, the default), or none of any. */
  earlyStopping?: boolean | 'never' | undefined;
  /** Draws from the fewest tokens that have this probability (nucleus sampling). Default 1, where `topK` or `temperature` is given. */
  topP?: number | undefined;
  /** Draws from so many of the most likely tokens. Default all. */
  topK?: number | undefined;
  /** Draws from softmax(logits / temperature). Default 1, where `topP` or `topK` is given. */
  temperature?: number | undefined;
  /** Of draws. Default 0. */
  seed?: number | undefined;
}

function whole(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least)
    throw expected(name, `an integer from ${least}`, value, typeof value === 'number' ? 'range' : 'type');
  return value;
}
function inside(name: string, value: number, what: string, isInside: boolean): number {
  if (typeof value !== 'number' || !isInside)
    throw expected(name, what, value, typeof value === 'number' ? 'range' : 'type');
  return value;
}

const kDrawing = ['topP', 'topK', 'temperature'] as const;

function stopsOf(stop: unknown): string[] {
  const list = stop ?? [];
  if (!Array.isArray(list) || list.some((text) => typeof text !== 'string' || text === ''))
    throw expected('stop', 'a list of texts that are not empty', stop, 'type');
  return list as string[];
}

/** Checks the options and fills in defaults. Throws RangeError or TypeError. */
export function decodingOf(
  options: DecodingOptions,
  ends: readonly number[],
): Omit<GenerateArgs, 'model' | 'ids' | 'lengths' | 'pieces' | 'pieceLengths' | 'batch' | 'precision'> {
  const {
    beams = 1,
    lengthPenalty = 1,
    earlyStopping = false,
    topP = 1,
    topK = 0,
    temperature = 1,
    seed = 0,
  } = options;
  whole('beams', beams, 1);
  const drawing = kDrawing.find((name) => options[name] !== undefined);
  if (drawing !== undefined && beams > 1) throw expected('beams', `1 where \`${drawing}\` is given`, beams);
  if (beams === 1)
    for (const name of ['lengthPenalty', 'earlyStopping'] as const)
      if (options[name] !== undefined) throw expected('beams', `at least 2 where \`${name}\` is given`, beams);
  if (![true, false, 'never'].includes(earlyStopping))
    throw expected('earlyStopping', 'true, false or never', earlyStopping);
  return {
    maxNewTokens: whole('maxNewTokens', options.maxNewTokens ?? 64, 1),
    ends: Int32Array.from(options.ends ?? ends, (id) => whole('ends', id, 0)),
    stops: stopsOf(options.stop),
    beams,
    lengthPenalty: inside('lengthPenalty', lengthPenalty, 'a finite number', Number.isFinite(lengthPenalty)),
    earlyStopping: String(earlyStopping) as GenerateArgs['earlyStopping'],
    sample: drawing !== undefined,
    temperature: inside('temperature', temperature, 'above 0', temperature > 0 && Number.isFinite(temperature)),
    topK: options.topK === undefined ? 0 : whole('topK', topK, 1),
    topP: inside('topP', topP, 'above 0, at most 1', topP > 0 && topP <= 1),
    seed: whole('seed', seed, 0),
  };
}
