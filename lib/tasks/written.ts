/** What lanes write after the prompts of items, as evidence of task quality. */
import { generateLanes } from '../generate/generate.js';
import type { DecodingOptions } from '../generate/options.js';
import type { Model } from '../model/load.js';
import type { JobOptions } from '../native/jobs.js';
import type { Precision } from '../native/types.js';
import type { Completion } from '../tune/examples.js';
import type { Lanes } from '../tune/lanes.js';
import type { Evidence } from './metric.js';

export interface Writing extends JobOptions {
  generate: DecodingOptions;
  precision: Precision;
}

/**
 * Texts of each lane, of the model itself without lanes; white space around texts and references does not count.
 * @throws ERR_DATA naming the number of an item whose prompt is empty or leaves no room in the context.
 */
export async function writtenTexts(
  model: Model,
  lanes: Lanes | undefined,
  items: readonly Completion[],
  { generate, ...options }: Writing,
): Promise<Evidence['texts'][]> {
  const references = items.map(({ completion, references }) => (references ?? [completion]).map((text) => text.trim()));
  const prompts = items.map(({ prompt }) => prompt);
  const written = await generateLanes(model, prompts, { ...generate, ...options, lanes });
  return written.map((texts) => ({ texts: texts.map(({ text }) => text.trim()), references }));
}
