/** Word features to volumes, and tensors from .safetensors files, through the addon. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { alignFeatures } from '../../lib/data/align.js';
import { controlFeatures } from '../../lib/data/controls.js';
import { readMatrix, readTensor } from '../../lib/data/formats/index.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import { Tensor } from '../../lib/tensor.js';

const words = [
  { text: 'a', onset: 0, offset: 1 },
  { text: 'b', onset: 1, offset: 1.5 },
  { text: 'c', onset: 5, offset: 5.5 },
];
const volumes = { tr: 2, start: 0, rows: 4 };
const features = () => Tensor.from(Float32Array.of(1, 10, 3, 30, 5, 50, -1, -10, -3, -30, -5, -50), [2, 3, 2]);

describe('alignFeatures', () => {
  it('pools the words of a volume and puts delayed copies side by side', async () => {
    using tensor = features();
    using aligned = await alignFeatures(tensor, words, { ...volumes, delays: [0, 1] });
    expect(aligned.shape).toEqual([2, 4, 4]);
    const first = [2, 20, 0, 0, 0, 0, 2, 20, 5, 50, 0, 0, 0, 0, 5, 50];
    expect([...aligned.toArray()]).toEqual([...first, ...first.map((value) => 0 - value)]);
  });

  it('delays by 1 to 4 volumes when nothing is said, and convolves when asked to', async () => {
    using tensor = features();
    using delayed = await alignFeatures(tensor, words, { ...volumes, rows: 6 });
    expect(delayed.shape).toEqual([2, 6, 8]);
    using convolved = await alignFeatures(tensor, words, { ...volumes, response: 'hrf' });
    expect(convolved.shape).toEqual([2, 4, 2]);
    // Row 1 is the pooled first volume, 2, times the response at 2 s, 0.08656608099; float32.
    expect(convolved.toArray()[2]).toBeCloseTo(2 * 0.086566080994, 6);
  });

  it('treats the word rate as it treats a model', async () => {
    using ones = Tensor.from(new Float32Array(3).fill(1), [1, 3, 1]);
    using rate = await alignFeatures(ones, words, { ...volumes, method: 'sum', delays: [1, 2] });
    using control = controlFeatures(
      'word_rate',
      { kind: 'words', words, tr: 2, start: 0 },
      { rows: 4, delays: [1, 2] },
    );
    expect(control.shape).toEqual([1, 4, 2]);
    expect(control.toArray()).toEqual(rate.toArray());
  });

  it('refuses features of other words, and stops when asked to', async () => {
    using tensor = features();
    await expect(alignFeatures(tensor, words.slice(1), { ...volumes, rows: 6 })).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    await expect(alignFeatures(tensor, words, { ...volumes, delays: [4] })).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
    });
    await expect(
      alignFeatures(tensor, words, { ...volumes, rows: 6, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
  });
});

describe('.safetensors', () => {
  it('gives a matrix or a tensor by name', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'cortune-data-')), 'a.safetensors');
    using matrix = Tensor.from(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    using layers = features();
    const tensors = [matrix.handle, layers.handle];
    await runJob(() => native().writeSafetensors({ path, names: ['y', 'x'], tensors, metadata: {} }));
    expect((await readMatrix(path, { key: 'y', columns: [2, '0'] })).matrix).toEqual({
      data: Float32Array.of(3, 1, 6, 4),
      rows: 2,
      columns: 2,
    });
    using read = await readTensor(path, 'x');
    expect(read.shape).toEqual([2, 3, 2]);
    await expect(readMatrix(path, { key: 'x' })).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('2 axes'),
    });
    await expect(readMatrix(path)).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('`key`'),
    });
    await expect(readTensor(path, 'z')).rejects.toMatchObject({ code: 'ERR_DATA' });
  });
});
