/** Picture files to pixels, by sharp (libvips), which is loaded when the first picture is read. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { CortuneError, show } from '../errors.js';
import type { Picture } from './resample.js';

/** A picture: a path, the content of a file, or pixels (1, 3 or 4 channels, which are grey, RGB, RGB with alpha). */
export type ImageSource = string | Uint8Array | Picture;

/** Beyond this a small file may be a bomb: one that unfolds to more than memory. */
const kMostPixels = 100_000_000;
const kFormats = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif'];

export function isPicture(source: unknown): source is Picture {
  return typeof source === 'object' && source !== null && 'data' in source && 'width' in source;
}

type Sharp = typeof import('sharp').default;

async function loadSharp(): Promise<Sharp> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new CortuneError(
      'ERR_NOT_FOUND',
      'Expected the npm package sharp, which reads pictures. Run: npm install --include=optional sharp',
      { cause },
    );
  }
}

function checkPicture(picture: Picture, name: string): Picture {
  const { data, width, height, channels } = picture;
  const whole = [width, height].every((side) => Number.isInteger(side) && side > 0);
  if (data instanceof Uint8Array && whole && [1, 3, 4].includes(channels) && data.length === width * height * channels)
    return asRgb(picture);
  throw new CortuneError(
    'ERR_DATA',
    `Expected ${name} to hold width x height x channels bytes (1, 3 or 4 channels), got ${show(width)} x ${show(height)} x ${show(channels)} and ${show(data?.length)} bytes.`,
  );
}

/** Grey three times over; alpha left out, as Pillow's conversion does. */
function asRgb({ data, width, height, channels }: Picture): Picture {
  if (channels === 3) return { data, width, height, channels };
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[i * channels + (channels === 1 ? 0 : c)]!;
  return { data: rgb, width, height, channels: 3 };
}

/**
 * Three channels of 8 bits, turned as EXIF says; CMYK by its profile, 16 bits by their upper half, the first of several frames.
 * @param name what the picture is called in messages, with its number.
 * @throws ERR_NOT_FOUND, ERR_DATA for what is no picture, is cut off or larger than 100 million pixels.
 */
export async function decode(source: ImageSource, name: string): Promise<Picture> {
  if (isPicture(source)) return checkPicture(source, name);
  if (typeof source !== 'string' && !(source instanceof Uint8Array))
    throw new CortuneError('ERR_DATA', `Expected a path, bytes or pixels for ${name}, got ${show(source)}.`);
  const of = typeof source === 'string' ? `${name} (${source})` : name;
  if (typeof source === 'string')
    await access(source, constants.R_OK).catch((cause: NodeJS.ErrnoException) => {
      throw new CortuneError('ERR_NOT_FOUND', `Expected a file for ${of}, and there is none that can be read.`, {
        cause,
      });
    });
  const sharp = await loadSharp();
  try {
    const opened = sharp(source, { limitInputPixels: kMostPixels, failOn: 'error' });
    const { format, width, height } = await opened.metadata();
    if (!kFormats.includes(format ?? ''))
      throw new CortuneError('ERR_DATA', `Expected ${of} to be a picture (${kFormats.join(', ')}), got ${format}.`);
    if ((width ?? 0) * (height ?? 0) > kMostPixels) throw new Error('Input image exceeds pixel limit');
    const { data, info } = await opened
      .autoOrient()
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return asRgb({ data: pixels, width: info.width, height: info.height, channels: info.channels });
  } catch (cause) {
    if (cause instanceof CortuneError) throw cause;
    throw new CortuneError('ERR_DATA', reason(of, (cause as Error).message), { cause });
  }
}

/** libvips says it in its own words, over several lines. */
function reason(of: string, message: string): string {
  if (/pixel limit|exceeds/i.test(message))
    return `Expected ${of} to have at most ${kMostPixels / 1e6} million pixels, got more. Make it smaller.`;
  if (/unsupported image format|corrupt header/i.test(message))
    return `Expected ${of} to be a picture, and its content is none. It is damaged, or another kind of file.`;
  const [line] = message
    .split('\n')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  return `Expected ${of} to be whole, and it is damaged or cut off (${line}). Get it again.`;
}
