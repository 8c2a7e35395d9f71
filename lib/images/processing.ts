/** What a model's `preprocessor_config.json` says is done to a picture before it is read. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortuneError, expected, show } from '../errors.js';
import type { ModelConfig } from '../native/types.js';
import type { Filter } from './resample.js';

/** Steps in their order; what is absent is left out. */
export interface ImageProcessing {
  /** The shorter side in pixels, or both. */
  resize?: { shortest: number } | { width: number; height: number } | undefined;
  filter: Filter;
  crop?: { width: number; height: number } | undefined;
  /** Levels 0 to 255 times this. */
  rescale: number;
  mean: readonly number[];
  std: readonly number[];
}

const kSide = z.int().positive().max(100_000);
const kSize = z.union([kSide, z.looseObject({ height: kSide, width: kSide }), z.looseObject({ shortest_edge: kSide })]);
const kNumbers = z.union([z.array(z.number()), z.number()]);
const kConfig = z.looseObject({
  do_resize: z.boolean().default(true),
  size: kSize.optional(),
  resample: z.int().min(0).max(5).nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: kSize.nullish(),
  do_rescale: z.boolean().default(true),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  do_normalize: z.boolean().default(true),
  image_mean: kNumbers.optional(),
  image_std: kNumbers.optional(),
});

/** Pillow's numbers. */
const kByNumber: readonly Filter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];
const kImageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** What transformers does for a family where no file says it. */
function familyDefaults({ family, imageSize }: ModelConfig): ImageProcessing {
  const fixed = { width: imageSize, height: imageSize };
  const common = { rescale: 1 / 255 };
  if (family === 'vit')
    return { ...common, resize: fixed, filter: 'bilinear', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const enlarged = { shortest: Math.round((imageSize * 8) / 7) };
  return { ...common, resize: enlarged, filter: 'bicubic', crop: fixed, ...kImageNet };
}

function bothSides(size: z.infer<typeof kSize>): { width: number; height: number } {
  if (typeof size === 'number') return { width: size, height: size };
  if ('shortest_edge' in size) {
    const side = size.shortest_edge as number;
    return { width: side, height: side };
  }
  return { width: size.width as number, height: size.height as number };
}

function resizeOf(size: z.infer<typeof kSize>): ImageProcessing['resize'] {
  if (typeof size === 'object' && 'shortest_edge' in size) return { shortest: size.shortest_edge as number };
  return bothSides(size);
}

/** The processing that a model's folder asks for. Throws ERR_FORMAT for a file that makes no sense. */
export async function readProcessing(folder: string, config: ModelConfig): Promise<ImageProcessing> {
  const defaults = familyDefaults(config);
  const path = join(folder, 'preprocessor_config.json');
  if (!existsSync(path)) return defaults;
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new CortuneError('ERR_FORMAT', `Expected ${path} to be JSON: ${(cause as Error).message}.`, { cause });
  }
  const parsed = kConfig.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new CortuneError(
      'ERR_FORMAT',
      `Expected \`${issue.path.join('.')}\` in ${path} to be right: ${issue.message}.`,
    );
  }
  const raw = parsed.data;
  const channels = (name: string, given: number | number[] | undefined, otherwise: readonly number[]) => {
    const list = given === undefined ? otherwise : Array.isArray(given) ? given : Array(config.channels).fill(given);
    if (list.length === config.channels) return list as number[];
    throw new CortuneError(
      'ERR_FORMAT',
      `Expected \`${name}\` in ${path} to hold ${config.channels} numbers, one a channel, got ${show(given)}.`,
    );
  };
  const crops = raw.do_center_crop ?? (raw.crop_size !== undefined && raw.crop_size !== null);
  return {
    resize: raw.do_resize ? (raw.size === undefined ? defaults.resize : resizeOf(raw.size)) : undefined,
    filter: raw.resample === null || raw.resample === undefined ? defaults.filter : kByNumber[raw.resample]!,
    crop: crops ? (raw.crop_size ? bothSides(raw.crop_size) : defaults.crop) : undefined,
    rescale: raw.do_rescale ? raw.rescale_factor : 1,
    mean: raw.do_normalize ? channels('image_mean', raw.image_mean, defaults.mean) : Array(config.channels).fill(0),
    std: raw.do_normalize ? channels('image_std', raw.image_std, defaults.std) : Array(config.channels).fill(1),
  };
}

/**
 * The same for pictures of `size` pixels a side in the end, a multiple of the model's patch; a resize before a crop keeps its ratio to it. The
 * position table is interpolated.
 */
export function withSize(processing: ImageProcessing, size: number, patch: number): ImageProcessing {
  if (!Number.isInteger(size) || size < patch || size % patch !== 0)
    throw expected('imageSize', `a multiple of ${patch} pixels, the model's patch`, size);
  const { resize, crop } = processing;
  const fixed = { width: size, height: size };
  if (crop && resize && 'shortest' in resize)
    return { ...processing, resize: { shortest: Math.round((resize.shortest * size) / crop.width) }, crop: fixed };
  return { ...processing, resize: fixed, crop: undefined };
}
