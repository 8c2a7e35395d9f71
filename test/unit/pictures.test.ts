/** Labelled pictures from the files people have, and the ONNX reader on files that lie. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Picture } from '../../lib/images/resample.js';
import { readOnnxWeights } from '../../lib/model/onnx.js';
import { readExamples } from '../../lib/tune/read-examples.js';
import { temporaryFolder } from '../helpers/temporary.js';

const kFolder = temporaryFolder();
const put = (name: string, content: Uint8Array | string) => {
  const path = join(kFolder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
};

function idxFile(lengths: number[], body: number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * lengths.length);
  header.writeUInt32BE(0x0800 + lengths.length);
  for (const [i, length] of lengths.entries()) header.writeUInt32BE(length, 4 + 4 * i);
  return Buffer.concat([header, Buffer.from(body)]);
}

describe('labelled pictures', () => {
  it('reads batches of CIFAR-10, channels beside each other', async () => {
    const record = (label: number) => [
      label,
      ...Array.from({ length: 3072 }, (_, i) => Math.floor(i / 1024) * 10 + (i % 10)),
    ];
    const path = put('data_batch_1.bin', Uint8Array.from([...record(3), ...record(9)]));
    const examples = (await readExamples(path)) as { image: Picture; label: string }[];
    expect(examples.map(({ label }) => label)).toEqual(['3', '9']);
    expect([...examples[1]!.image.data.subarray(3 * 7, 3 * 8)]).toEqual([7, 11, 25]);
    const bad = put('other.bin', Uint8Array.from([...record(3), ...record(10)]));
    await expect(readExamples(bad)).rejects.toThrow('Expected a label from 0 to 9 at item 2, got 10');
    const cut = put('cut.bin', Uint8Array.from(record(1)).subarray(0, 3000));
    await expect(readExamples(cut)).rejects.toThrow('its 3000 bytes are no multiple of 3073');
  });

  it('reads IDX with the labels beside it, packed or not', async () => {
    const path = put('train-images-idx3-ubyte.gz', gzipSync(idxFile([2, 1, 3], [1, 2, 3, 4, 5, 6])));
    put('train-labels-idx1-ubyte.gz', gzipSync(idxFile([2], [7, 0])));
    expect(await readExamples(path)).toEqual([
      { image: { data: Uint8Array.of(1, 2, 3), width: 3, height: 1, channels: 1 }, label: '7' },
      { image: { data: Uint8Array.of(4, 5, 6), width: 3, height: 1, channels: 1 }, label: '0' },
    ]);
    const lies = put('lies/t10k-images-idx3-ubyte', idxFile([9, 1, 3], [1, 2, 3]));
    put('lies/t10k-labels-idx1-ubyte', idxFile([2], [7, 0]));
    await expect(readExamples(lies)).rejects.toThrow('it holds 3 bytes where its header says 27');
  });

  it('reads folders of classes, and tables with paths relative to them', async () => {
    for (const name of ['cats/a.png', 'cats/b.jpg', 'dogs/c.webp', 'dogs/notes.txt']) put(`classes/${name}`, '');
    const folder = join(kFolder, 'classes');
    expect(await readExamples(folder)).toEqual([
      { image: join(folder, 'cats/a.png'), label: 'cats' },
      { image: join(folder, 'cats/b.jpg'), label: 'cats' },
      { image: join(folder, 'dogs/c.webp'), label: 'dogs' },
    ]);
    const table = put('table.csv', 'image,label\nclasses/cats/a.png,1\nclasses/dogs/c.webp,2\n');
    expect(await readExamples(table)).toEqual([
      { image: join(folder, 'cats/a.png'), label: '1' },
      { image: join(folder, 'dogs/c.webp'), label: '2' },
    ]);
    await expect(readExamples(put('empty/none.txt/x', '').slice(0, -'/none.txt/x'.length))).rejects.toThrow(
      'a folder of pictures for each class',
    );
    await expect(readExamples(put('gap.csv', 'image,label\na.png,1\n,2\n'))).rejects.toThrow(
      'Expected a picture in `image` of line 3',
    );
  });
});

describe('ONNX', () => {
  /** A message of fields with bytes in them; lengths below 128. */
  const message = (...parts: [number, Uint8Array | string][]) =>
    Buffer.concat(
      parts.flatMap(([number, bytes]) => [Buffer.from([number * 8 + 2, bytes.length]), Buffer.from(bytes)]),
    );
  const tensor = (name: string, dims: number[], values: number[]) =>
    Buffer.concat([
      Buffer.from(dims.flatMap((dim) => [8, dim])),
      Buffer.from([16, 1]),
      message([8, name], [9, Buffer.from(Float32Array.from(values).buffer)]),
    ]);
  const node = (name: string, type: string, ...inputs: string[]) =>
    message(...inputs.map((input): [number, string] => [1, input]), [3, name], [4, type]);
  const graph = message(
    [5, tensor('onnx::MatMul_7', [2, 3], [1, 2, 3, 4, 5, 6])],
    [5, tensor('enc.fc.bias', [3], [7, 8, 9])],
    [1, node('/enc/fc/MatMul', 'MatMul', 'x', 'onnx::MatMul_7')],
    [1, node('/enc/fc/Add', 'Add', 'y', 'enc.fc.bias')],
  );
  const file = Buffer.concat([Buffer.from([58, 128 + (graph.length % 128), graph.length >> 7]), graph]);

  it('gives weights the names of their modules, turned back', () => {
    const weights = readOnnxWeights(file, 'model.onnx');
    expect(weights.get('enc.fc.weight')).toEqual({ shape: [3, 2], data: Float32Array.of(1, 4, 2, 5, 3, 6) });
    expect(weights.get('enc.fc.bias')).toEqual({ shape: [3], data: Float32Array.of(7, 8, 9) });
  });

  it('refuses a file that is cut off', () => {
    expect(() => readOnnxWeights(file.subarray(0, -5), 'model.onnx')).toThrow(
      'Expected model.onnx to be a whole ONNX file',
    );
  });
});
