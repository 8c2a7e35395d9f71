/** Responses in .npy files: types, orders and bad files; the same scores as from memory; bounded memory; a file that shrinks. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { encode } from '../../lib/encode/encode.js';
import { ResponsesFile } from '../../lib/encode/responses.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';

const folder = mkdtempSync(join(tmpdir(), 'cortune-npy-'));
afterAll(() => rmSync(folder, { recursive: true }));

function npy(descr: string, shape: string, data: Uint8Array, fortran = 'False'): Buffer {
  let text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
  text = `${text.padEnd(117)}\n`;
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  return Buffer.concat([head, Buffer.from(text, 'latin1'), data]);
}

function bytesOf(values: ArrayLike<number>, wide: boolean, little: boolean): Uint8Array {
  const size = wide ? 8 : 4;
  const view = new DataView(new ArrayBuffer(values.length * size));
  for (let i = 0; i < values.length; i++)
    wide ? view.setFloat64(i * size, values[i]!, little) : view.setFloat32(i * size, values[i]!, little);
  return new Uint8Array(view.buffer);
}

const write = (name: string, bytes: Buffer) => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};

const [n, p, t] = [40, 12, 37];
const random = new Random(3);
const x = Float32Array.from({ length: n * p }, () => random.normal());
const y = Float32Array.from({ length: n * t }, (_, i) => x[Math.floor(i / t) * p + (i % p)]! + random.normal());
const columns = Float32Array.from({ length: n * t }, (_, i) => y[(i % n) * t + Math.floor(i / n)]!);

describe('ResponsesFile', () => {
  it.each([
    ['<f4', 'False', bytesOf(y, false, true)],
    ['>f4', 'False', bytesOf(y, false, false)],
    ['<f8', 'False', bytesOf(y, true, true)],
    ['>f8', 'True', bytesOf(columns, true, false)],
    ['<f4', 'True', bytesOf(columns, false, true)],
  ])('gives the scores of memory: %s, Fortran order %s', async (descr, fortran, data) => {
    using file = await ResponsesFile.open(write('y.npy', npy(descr, `(${n}, ${t})`, Buffer.from(data), fortran)));
    expect(file.shape).toEqual([n, t]);
    using features = Tensor.from(x, [n, p]);
    const streamed = await encode(features, file);
    const { layers } = await encode(features, { data: y, rows: n, columns: t });
    expect(streamed.layers).toEqual(layers);
  });

  it.each([
    ['nothing', undefined, 'ERR_NOT_FOUND', /found nothing/],
    ['another file', Buffer.from('not an array at all'), 'ERR_FORMAT', /starts with/],
    ['few bytes', Buffer.from('x'), 'ERR_FORMAT', /ends within its header/],
    ['a short file', npy('<f4', '(3, 4)', new Uint8Array(40)), 'ERR_FORMAT', /truncated/],
    ['integers', npy('<i4', '(3, 4)', new Uint8Array(48)), 'ERR_DATA', /float32 or float64, got <i4/],
    ['a structured type', npy("', [('a", '(3, 4)', new Uint8Array(48)), 'ERR_DATA', /float32 or float64/],
    ['one axis', npy('<f4', '(12,)', new Uint8Array(48)), 'ERR_DATA', /2 axes/],
    ['three axes', npy('<f4', '(2, 2, 3)', new Uint8Array(48)), 'ERR_DATA', /2 axes/],
    ['no rows', npy('<f4', '(0, 4)', new Uint8Array(0)), 'ERR_FORMAT', /fit its shape/],
    ['an impossible shape', npy('<f4', '(999999999999999, 999999999999999)', new Uint8Array(8)), 'ERR_FORMAT', /shape/],
  ])('refuses %s', async (name, bytes, code, message) => {
    const path = bytes === undefined ? join(folder, 'none.npy') : write(`${name}.npy`, bytes);
    await expect(ResponsesFile.open(path)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('names a value that is not finite, and rows that do not fit', async () => {
    using features = Tensor.from(x, [n, p]);
    const broken = y.slice();
    broken[5 * t + 7] = Number.NaN;
    using file = await ResponsesFile.open(
      write('nan.npy', npy('<f4', `(${n}, ${t})`, Buffer.from(bytesOf(broken, false, true)))),
    );
    await expect(encode(features, file)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/got NaN in row 5, column 7 of/),
    });
    using short = await ResponsesFile.open(write('short.npy', npy('<f4', '(20, 2)', Buffer.alloc(160))));
    await expect(encode(features, short)).rejects.toThrow(/as many rows as the features, 40, got 20/);
  });

  it('ends in an error when the file shrinks, and after dispose', async () => {
    using features = Tensor.from(x, [n, p]);
    const path = write('shrinks.npy', npy('<f4', `(${n}, ${t})`, Buffer.from(bytesOf(y, false, true))));
    using file = await ResponsesFile.open(path);
    truncateSync(path, 1000);
    await expect(encode(features, file)).rejects.toMatchObject({
      code: 'ERR_IO',
      message: expect.stringMatching(/became shorter/),
    });
    file.dispose();
    await expect(encode(features, file)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });
});
