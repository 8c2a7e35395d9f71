/** Pictures as transformers' processors on Pillow make them, and files that are not what they say. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decode } from '../../../lib/images/decode.js';
import { readProcessing, withSize } from '../../../lib/images/processing.js';
import { process, readImages } from '../../../lib/images/read.js';
import type { Picture } from '../../../lib/images/resample.js';
import { embed, loadModel, type Model } from '../../../lib/index.js';
import { readPlain } from '../../helpers/safetensors.js';
import { temporaryFolder } from '../../helpers/temporary.js';
import { tinyModel } from '../../helpers/tiny-models.js';
import { visionModel } from '../../helpers/vision.js';

const kDir = fileURLToPath(new URL('../../fixtures/images', import.meta.url));
const kGolden = readPlain(join(kDir, 'golden.safetensors'));
const kTemporary = temporaryFolder();
const file = (name: string) => join(kDir, name);

let model: Model;
beforeAll(async () => {
  model = await loadModel(visionModel('vit'));
});
afterAll(() => model.dispose());

/** Channels first, as transformers has them. */
function planes({ data, width, height, channels }: Picture): number[] {
  return Array.from(
    { length: data.length },
    (_, i) => data[(i % (width * height)) * channels + Math.floor(i / (width * height))]!,
  );
}

describe.each(['crop', 'fixed', 'larger'])('processor %s', (kind) => {
  const cases = [...kGolden.keys()]
    .filter((key) => key.startsWith(`${kind}/`))
    .map((key) => key.slice(kind.length + 1));

  it.each(cases)('makes of %s what Pillow makes of it', async (name) => {
    const processing = await readProcessing(file(kind), model.config);
    const ours = process(await decode(file(name), name), processing);
    const { shape, data } = kGolden.get(`${kind}/${name}`)!;
    expect([3, ours.height, ours.width]).toEqual(shape);
    const apart = planes(ours).map((level, i) => Math.abs(level - data[i]!));
    // Resizing is exact. JPEG decoders may differ by rounding in the cosine transform and the chroma; Pillow 13 resizes rows before columns
    // for some pictures that shrink more in height. Either changes a level by one or two.
    const exact = !name.endsWith('.jpg') && name !== 'tall.png';
    expect(Math.max(...apart)).toBeLessThanOrEqual(exact ? 0 : 2);
    if (name.endsWith('.jpg')) expect(apart.filter((each) => each > 0).length / apart.length).toBeLessThan(0.02);
  });
});

describe('what a model is given', () => {
  it('is rescaled and normalised as transformers does', async () => {
    const processing = await readProcessing(file('crop'), model.config);
    const ours = planes(process(await decode(file('photo.png'), 'photo'), processing));
    const { data } = kGolden.get('model/photo.png')!;
    const area = ours.length / 3;
    const given = ours.map((level, i) => {
      const c = Math.floor(i / area);
      return (level * processing.rescale - processing.mean[c]!) / processing.std[c]!;
    });
    expect(Math.max(...given.map((value, i) => Math.abs(value - data[i]!)))).toBeLessThan(1e-5);
  });

  it('keeps the ratio of resize and crop at another size', async () => {
    const processing = await readProcessing(file('crop'), model.config);
    expect(withSize(processing, 56, 14)).toMatchObject({ resize: { shortest: 64 }, crop: { width: 56, height: 56 } });
    expect(() => withSize(processing, 50, 14)).toThrow('Expected `imageSize` to be a multiple of 14 pixels');
  });

  it('is the same from a path, the bytes of a file and pixels', async () => {
    const { data, info } = await sharp(file('photo.png')).raw().toBuffer({ resolveWithObject: true });
    const pixels = { data: new Uint8Array(data), width: info.width, height: info.height, channels: info.channels };
    const states = await embed(model, [file('photo.png'), new Uint8Array(readFileSync(file('photo.png'))), pixels]);
    const [layers, count, width] = states.shape as [number, number, number];
    expect([layers, count, width]).toEqual([4, 3, 24]);
    const values = states.toArray();
    states.dispose();
    for (let layer = 0; layer < layers; layer++)
      for (const other of [1, 2])
        for (let c = 0; c < width; c++)
          expect(values[(layer * 3 + other) * width + c]).toBe(values[layer * 3 * width + c]);
  });
});

describe('files of other kinds', () => {
  it('takes the upper half of 16 bits', async () => {
    const [deep, first] = [await decode(file('deep.png'), 'deep'), readFileSync(file('deep.png'))];
    expect(first.length).toBeGreaterThan(0);
    const { data } = await sharp(file('deep.png'))
      .toColourspace('grey16')
      .raw({ depth: 'ushort' })
      .toBuffer({ resolveWithObject: true });
    const words = new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
    const step = words.length / (deep.width * deep.height);
    expect([deep.width, deep.height, deep.channels]).toEqual([20, 16, 3]);
    for (let i = 0; i < deep.width * deep.height; i++) expect(deep.data[3 * i]).toBe(words[i * step]! >> 8);
  });

  it('reads CMYK as colours near those it was made of', async () => {
    const [cmyk, rgb] = [await decode(file('cmyk.jpg'), 'cmyk'), await decode(file('photo.png'), 'photo')];
    const mean = ({ data }: Picture) => data.reduce((sum, each) => sum + each, 0) / data.length;
    expect(cmyk.channels).toBe(3);
    expect(Math.abs(mean(cmyk) - mean(rgb))).toBeLessThan(40);
  });
});

describe('bad input', () => {
  const read = (...sources: unknown[]) => readImages(model, sources as string[]);

  it.each([
    ['cut.jpg', 'ERR_DATA', /Expected image 2 \(.*cut\.jpg\) to be whole, and it is damaged or cut off/],
    ['text.png', 'ERR_DATA', /Expected image 2 \(.*text\.png\) to be a picture, and its content is none/],
    ['drawing.svg', 'ERR_DATA', /Expected image 2 \(.*drawing\.svg\) to be a picture \(jpeg, png.*got svg/],
    ['missing.png', 'ERR_NOT_FOUND', /Expected a file for image 2 \(.*missing\.png\)/],
  ])('names the number of %s', async (name, code, message) => {
    await expect(read(file('photo.png'), file(name))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('refuses a picture that unfolds to more than memory', async () => {
    const path = join(kTemporary, 'bomb.png');
    const blank = { create: { width: 11_000, height: 10_000, channels: 3 as const, background: 'black' } };
    writeFileSync(
      path,
      await sharp({ ...blank, limitInputPixels: false })
        .png({ compressionLevel: 9 })
        .toBuffer(),
    );
    await expect(read(path)).rejects.toMatchObject({ message: expect.stringContaining('at most 100 million pixels') });
  });

  it('refuses pixels that do not fill their size, and what is no picture at all', async () => {
    const pixels = { data: new Uint8Array(11), width: 2, height: 2, channels: 3 };
    await expect(read(pixels)).rejects.toThrow('Expected image 1 to hold width x height x channels bytes');
    await expect(read(7)).rejects.toThrow('Expected a path, bytes or pixels for image 1, got `7` (number)');
    await expect(read()).rejects.toThrow('Expected `images` to be at least one');
  });

  it('refuses texts for a model of images, and images for a model of texts', async () => {
    await expect(embed(model, ['the rabbit ran'])).rejects.toThrow('Expected a file for image 1 (the rabbit ran)');
    const texts = await loadModel(tinyModel('gpt2'));
    await expect(readImages(texts, [file('photo.png')])).rejects.toThrow('Expected a model of images');
    texts.dispose();
  });
});
