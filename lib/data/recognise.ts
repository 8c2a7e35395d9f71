/** Which of the described data sets a folder holds. */
import { join, resolve } from 'node:path';
import { readDescription } from '../config.js';
import { CortuneError } from '../errors.js';
import { fileSize } from './formats/bytes.js';
import { descriptionPath, findFiles } from './paths.js';
import { kDatasetSchema } from './schema.js';

/**
 * The description whose files a folder holds most of: its own dataset.yaml, else one of `known`.
 * @throws ERR_NOT_FOUND when no description fits.
 */
export async function recognise(folder: string, known: readonly string[]): Promise<string> {
  const own = join(resolve(folder), 'dataset.yaml');
  if ((await fileSize(own).catch(() => undefined)) !== undefined) return own;
  let best: { name: string; share: number } | undefined;
  for (const name of known) {
    const { value } = await readDescription(descriptionPath(name), kDatasetSchema);
    const needed = value.files.filter(({ optional }) => !optional);
    const there = needed.filter(({ path }) => findFiles(folder, path).length > 0).length;
    const share = needed.length === 0 ? 0 : there / needed.length;
    if (share > (best?.share ?? 0)) best = { name, share };
  }
  if (best) return best.name;
  throw new CortuneError(
    'ERR_NOT_FOUND',
    `Expected files of a known data set in ${folder} (${known.join(', ')}), found none of any. Name the data set with --as, or write a dataset.yaml there.`,
  );
}
