/** Results as few bytes: JSON in which arrays of numbers are places in one stream of 16-bit integers. Node packs, the page unpacks. */

/** No number. */
const kNone = -32768;
const kMost = 32767;
const kDecimals = 4;

/** Decimals that are kept: four, or as many as the largest value leaves room for. */
function decimalsOf(values: Float64Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (size > most && size < Number.POSITIVE_INFINITY) most = size;
  }
  let decimals = kDecimals;
  while (Math.round(most * 10 ** decimals) > kMost) decimals--;
  return decimals;
}

/**
 * Packs a value of JSON in which numbers stand in Float64Arrays; they are rounded to four decimals, or fewer where one is large, and what
 * is not finite becomes NaN. The length of the JSON (32 bits), the JSON, then the low bytes of all integers and their high bytes: apart, the
 * high ones deflate to almost nothing.
 */
export function packBytes(value: unknown): Uint8Array {
  const columns: Int16Array[] = [];
  let count = 0;
  const text = JSON.stringify(value, (_, part) => {
    if (!(part instanceof Float64Array)) return part;
    const decimals = decimalsOf(part);
    const scale = 10 ** decimals;
    // By index: iterators take several times as long, and a large study has millions of numbers.
    const column = new Int16Array(part.length);
    for (let i = 0; i < part.length; i++) {
      const number = part[i]!;
      column[i] = Number.isFinite(number) ? Math.round(number * scale) : kNone;
    }
    const place = [count, column.length, decimals];
    columns.push(column);
    count += column.length;
    return { $: place };
  });
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(4 + json.length + 2 * count);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, 4);
  let at = 4 + json.length;
  for (const column of columns)
    for (let i = 0; i < column.length; i++) {
      const number = column[i]!;
      bytes[at] = number & 255;
      bytes[at + count] = (number >> 8) & 255;
      at++;
    }
  return bytes;
}

/** What was packed. */
export function unpackBytes(bytes: Uint8Array): unknown {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const start = 4 + length;
  const count = (bytes.length - start) / 2;
  return JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)), (_, part) => {
    if (!Array.isArray(part?.$)) return part;
    const [from, size, decimals] = part.$ as [number, number, number];
    const scale = 10 ** decimals;
    const column = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      const at = start + from + i;
      const number = ((bytes[at]! | (bytes[at + count]! << 8)) << 16) >> 16;
      column[i] = number === kNone ? Number.NaN : number / scale;
    }
    return column;
  });
}
