/**
 * Resizing of 8-bit pictures as Pillow does it, number by number: separable filters widened by the scale (antialiasing), weights as 22-bit
 * integers, rounded to 8 bits after each direction. transformers' processors resize with Pillow, so pictures reach a model as they do there;
 * libvips, which decodes them, shrinks in two steps and differs by some levels.
 */

/** Pixels, row after row, channels together. */
export interface Picture {
  data: Uint8Array;
  width: number;
  height: number;
  channels: number;
}

export const kFilters = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'] as const;
export type Filter = (typeof kFilters)[number];

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Half width of each filter, and its value; bicubic is that of Catmull and Rom (a = -0.5). */
const kKernels: Record<Exclude<Filter, 'nearest'>, { support: number; at: (x: number) => number }> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, at: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0) },
  bicubic: {
    support: 2,
    at: (given) => {
      const [x, a] = [Math.abs(given), -0.5];
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
  lanczos: { support: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Bits of the integer weights: 32 less 8 of a level and 2 for sums beyond it. */
const kBits = 22;

/** For each output: the first input it reads, and the weights of it and those after it. */
interface Weights {
  starts: Int32Array;
  counts: Int32Array;
  /** [outputs, most] */
  values: Int32Array;
  most: number;
}

function weightsOf(inputs: number, outputs: number, filter: Exclude<Filter, 'nearest'>): Weights {
  const kernel = kKernels[filter];
  const scale = inputs / outputs;
  const widened = Math.max(scale, 1);
  const support = kernel.support * widened;
  const most = Math.ceil(support) * 2 + 1;
  const [starts, counts] = [new Int32Array(outputs), new Int32Array(outputs)];
  const values = new Int32Array(outputs * most);
  for (let i = 0; i < outputs; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(inputs, Math.trunc(centre + support + 0.5));
    const own = Array.from({ length: last - first }, (_, j) => kernel.at((j + first - centre + 0.5) / widened));
    const sum = own.reduce((total, each) => total + each, 0);
    starts[i] = first;
    counts[i] = own.length;
    for (const [j, each] of own.entries()) {
      const share = sum === 0 ? each : each / sum;
      values[i * most + j] = Math.trunc((share < 0 ? -0.5 : 0.5) + share * 2 ** kBits);
    }
  }
  return { starts, counts, values, most };
}

function level(sum: number): number {
  const value = sum >> kBits;
  return Math.max(0, Math.min(value, 255));
}

/**
 * One direction: outputs lie `stride` apart and read inputs `stride` apart; `lines` of them begin `gap` apart.
 * Sums stay below 2^31: weights add up to 2^22, and a filter's negative lobes to a fraction of that.
 */
function alongAxis(
  from: Uint8Array,
  into: Uint8Array,
  { starts, counts, values, most }: Weights,
  lines: { count: number; from: number; into: number },
  stride: number,
): void {
  for (let line = 0; line < lines.count; line++)
    for (let i = 0; i < starts.length; i++)
      for (let c = 0; c < stride; c++) {
        let sum = 1 << (kBits - 1);
        let at = line * lines.from + starts[i]! * stride + c;
        for (let j = 0; j < counts[i]!; j++, at += stride) sum += from[at]! * values[i * most + j]!;
        into[line * lines.into + i * stride + c] = level(sum);
      }
}

function nearest({ data, width, height, channels }: Picture, across: number, down: number): Picture {
  const result = new Uint8Array(across * down * channels);
  for (let y = 0; y < down; y++)
    for (let x = 0; x < across; x++) {
      const at = Math.floor(((y + 0.5) * height) / down) * width + Math.floor(((x + 0.5) * width) / across);
      result.set(data.subarray(at * channels, (at + 1) * channels), (y * across + x) * channels);
    }
  return { data: result, width: across, height: down, channels };
}

function toWidth(now: Picture, width: number, filter: Exclude<Filter, 'nearest'>): Picture {
  if (width === now.width) return now;
  const { channels, height } = now;
  const data = new Uint8Array(width * height * channels);
  const lines = { count: height, from: now.width * channels, into: width * channels };
  alongAxis(now.data, data, weightsOf(now.width, width, filter), lines, channels);
  return { ...now, data, width };
}

function toHeight(now: Picture, height: number, filter: Exclude<Filter, 'nearest'>): Picture {
  if (height === now.height) return now;
  const stride = now.width * now.channels;
  const data = new Uint8Array(height * stride);
  alongAxis(now.data, data, weightsOf(now.height, height, filter), { count: 1, from: 0, into: 0 }, stride);
  return { ...now, data, height };
}

/**
 * `picture` in another size; a picture of that size is handed back. Columns come first, as in Pillow; its version 13 takes rows first for some
 * pictures that shrink more in height, which changes levels by one or two.
 */
export function resample(picture: Picture, width: number, height: number, filter: Filter): Picture {
  if (filter === 'nearest') return nearest(picture, width, height);
  return toHeight(toWidth(picture, width, filter), height, filter);
}

/** The middle of a picture; what lies outside of it is black. */
export function centreCrop(picture: Picture, width: number, height: number): Picture {
  if (width === picture.width && height === picture.height) return picture;
  const data = new Uint8Array(width * height * picture.channels);
  const [left, top] = [cropStart(picture.width, width), cropStart(picture.height, height)];
  const [from, to] = [Math.max(0, left), Math.min(picture.width, left + width)];
  for (let y = Math.max(0, top); y < Math.min(picture.height, top + height); y++) {
    const row = picture.data.subarray(
      (y * picture.width + from) * picture.channels,
      (y * picture.width + to) * picture.channels,
    );
    data.set(row, ((y - top) * width + from - left) * picture.channels);
  }
  return { data, width, height, channels: picture.channels };
}

/** Where `size` of `all` begin; negative where the picture is padded, which transformers rounds the other way. */
function cropStart(all: number, size: number): number {
  return size <= all ? Math.floor((all - size) / 2) : -Math.ceil((size - all) / 2);
}
