/** Pictures as a model reads them: decoded, resized, cropped, in native memory. */
import { CortuneError, expected } from '../errors.js';
import { readsImages } from '../model/config.js';
import type { Model } from '../model/load.js';
import { native } from '../native/load.js';
import type { ImagesHandle, OnProgress, Packed } from '../native/types.js';
import { decode, type ImageSource } from './decode.js';
import { type ImageProcessing, withSize } from './processing.js';
import { centreCrop, type Picture, resample } from './resample.js';

export interface ReadImagesOptions {
  /** Pixels a side, a multiple of the model's patch: smaller than the processor's is faster, positions are interpolated. Default: the processor's. */
  imageSize?: number | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress;
  /** What a picture is called in messages. Default 'image'. */
  noun?: string | undefined;
}

/** Pictures decoded at a time. */
const kAtOnce = 4;
/** More than this in one call would be a slip. */
const kMostBytes = 2 ** 36;

/** Images of one size, ready for one model. Free them with `dispose()` or `using`. */
export class Images implements Disposable {
  readonly handle: ImagesHandle;
  readonly count: number;
  /** Tokens of each: class token and its like, registers, patches. */
  readonly tokens: number;
  /** The first token that is a patch. */
  readonly firstPatch: number;

  constructor(handle: ImagesHandle, fields: Pick<Images, 'count' | 'tokens' | 'firstPatch'>) {
    this.handle = handle;
    this.count = fields.count;
    this.tokens = fields.tokens;
    this.firstPatch = fields.firstPatch;
  }

  /** Sequences of some of the images, by number. */
  packed(numbers: readonly number[]): Packed {
    const ids = new Int32Array(numbers.length * this.tokens);
    for (const [i, number] of numbers.entries()) ids.fill(number, i * this.tokens, (i + 1) * this.tokens);
    return { ids, lengths: new Int32Array(numbers.length).fill(this.tokens), images: this.handle };
  }

  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Throws ERR_CONFIG for a model of texts. */
export function processingOf(model: Model): ImageProcessing {
  if (readsImages(model.config) && model.processing) return model.processing;
  throw new CortuneError(
    'ERR_CONFIG',
    `Expected a model of images (ViT, DeiT, DINOv2) to read images with, got ${model.name}, a ${model.config.family}.`,
  );
}

/** One picture as `processing` has it; 8-bit levels. */
export function process(picture: Picture, processing: ImageProcessing): Picture {
  const { resize, crop, filter } = processing;
  let now = picture;
  if (resize) {
    const { width, height } = 'shortest' in resize ? ofShortest(picture, resize.shortest) : resize;
    now = resample(now, width, height, filter);
  }
  return crop ? centreCrop(now, crop.width, crop.height) : now;
}

/** The longer side is cut to whole pixels, as transformers does. */
function ofShortest({ width, height }: Picture, shortest: number): { width: number; height: number } {
  const other = Math.trunc((shortest * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: shortest, height: other } : { width: other, height: shortest };
}

/**
 * Reads pictures for a model, as its `preprocessor_config.json` says: resized as Pillow does, so that the model sees what it sees in transformers.
 * @throws ERR_NOT_FOUND, ERR_DATA naming the number of a picture that is missing, no picture, cut off, too large or of another size than the others;
 * ERR_CONFIG for a model of texts; RangeError for an `imageSize` that is no multiple of the patch; ERR_CANCELLED.
 */
export async function readImages(
  model: Model,
  sources: readonly ImageSource[],
  options: ReadImagesOptions = {},
): Promise<Images> {
  const { imageSize, noun = 'image', signal, onProgress } = options;
  const { patchSize, registers, family } = model.config;
  const given = processingOf(model);
  const processing = imageSize === undefined ? given : withSize(given, imageSize, patchSize);
  if (sources.length === 0) throw expected(`${noun}s`, 'at least one', sources);
  let bytes: Uint8Array | undefined;
  let size: { width: number; height: number } | undefined;
  let next = 0;
  let done = 0;
  const place = (picture: Picture, number: number) => {
    const { width, height, data } = picture;
    size ??= { width, height };
    if (width !== size.width || height !== size.height)
      throw new CortuneError(
        'ERR_DATA',
        `Expected ${noun}s of one size, as the model's processor leaves them as they are, got ${width} x ${height} at number ${number + 1} and ${size.width} x ${size.height} before.`,
      );
    const area = width * height;
    if (area * 3 * sources.length > kMostBytes)
      throw new CortuneError(
        'ERR_MEMORY',
        `Expected at most ${kMostBytes / 2 ** 30} GB of images, got more. Read fewer at a time.`,
      );
    bytes ??= new Uint8Array(3 * area * sources.length);
    const base = number * 3 * area;
    for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) bytes[base + c * area + i] = data[3 * i + c]!;
  };
  const work = async () => {
    while (next < sources.length) {
      const number = next++;
      if (signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Cancelled.');
      const picture = await decode(sources[number]!, `${noun} ${number + 1}`);
      place(process(picture, processing), number);
      onProgress?.({ done: ++done, total: sources.length, stage: 'reading images' });
    }
  };
  await Promise.all(Array.from({ length: Math.min(kAtOnce, sources.length) }, work));
  const { width, height } = size!;
  const handle = native().imagesFrom({
    shape: Int32Array.of(sources.length, 3, height, width),
    bytes,
    scale: Float32Array.from(processing.std, (std) => processing.rescale / std),
    shift: Float32Array.from(processing.mean, (mean, c) => -mean / processing.std[c]!),
  });
  const firstPatch = (family === 'deit' ? 2 : 1) + registers;
  const patches = Math.floor(width / patchSize) * Math.floor(height / patchSize);
  return new Images(handle, { count: sources.length, tokens: firstPatch + patches, firstPatch });
}
