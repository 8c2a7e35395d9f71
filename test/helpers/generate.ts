/** Tokens that native code writes after prompts of tokens. */
import type { Model } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import type { GenerateArgs, LanesHandle } from '../../lib/native/types.js';

const kPlain = {
  stops: [],
  pieces: new Uint8Array(),
  pieceLengths: new Int32Array(),
  precision: 'fp32',
  beams: 1,
  lengthPenalty: 1,
  earlyStopping: 'false',
  sample: false,
  temperature: 1,
  topK: 0,
  topP: 1,
  seed: 0,
  maxNewTokens: 12,
  batch: 16,
} as const;

export type WriteOptions = Partial<GenerateArgs>;

/** Tokens after each prompt, in each lane. */
export async function writeTokens(
  model: Model,
  lanes: LanesHandle | undefined,
  prompts: number[][],
  options: WriteOptions = {},
): Promise<number[][][]> {
  const { tokens, lengths } = await runJob(() =>
    native().generate({
      model: model.handle,
      lanes,
      ids: Int32Array.from(prompts.flat()),
      lengths: Int32Array.from(prompts, ({ length }) => length),
      ends: new Int32Array(),
      ...kPlain,
      ...options,
    }),
  );
  let at = 0;
  const texts = Array.from(lengths, (length) => {
    at += length;
    return [...tokens.subarray(at - length, at)];
  });
  return Array.from({ length: texts.length / prompts.length }, (_, k) =>
    texts.slice(k * prompts.length, (k + 1) * prompts.length),
  );
}
