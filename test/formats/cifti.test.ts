/** CIFTI-2 files as nibabel writes them: series, scalars, and labels as an atlas. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type MatrixOptions, readMatrix } from '../../lib/data/formats/index.js';
import { kMakingTime, madeFiles, npy } from './made-files.js';

let folder = '';
beforeAll(async () => {
  folder = await madeFiles();
}, kMakingTime);
const at = (name: string) => join(folder, name);
const read = (name: string, options: MatrixOptions = {}) => readMatrix(at(name), options);

describe('grayordinates', () => {
  it.each(['responses.dtseries.nii', 'responses.dscalar.nii'])(
    '%s: rows of all of them, called by structure',
    async (name) => {
      const { matrix, columns, regions } = await read(name);
      expect(matrix).toEqual(npy(folder, 'responses.npy'));
      expect(regions).toEqual([
        ...Array(5).fill('CORTEX_LEFT'),
        ...Array(4).fill('CORTEX_RIGHT'),
        ...Array(3).fill('THALAMUS_LEFT'),
      ]);
      expect(columns.slice(4, 7)).toEqual(['CORTEX_LEFT:4', 'CORTEX_RIGHT:0', 'CORTEX_RIGHT:1']);
    },
  );

  it('some structures, and means of structures', async () => {
    const { matrix, columns } = await read('responses.dtseries.nii', { columns: ['THALAMUS_LEFT', 'CORTEX_LEFT:1'] });
    expect(columns).toEqual(['THALAMUS_LEFT:0', 'THALAMUS_LEFT:1', 'THALAMUS_LEFT:2', 'CORTEX_LEFT:1']);
    expect(matrix.data[3]).toBe(npy(folder, 'responses.npy').data[1]);
    const means = npy(folder, 'means.npy'); // the structures are as large as the regions
    const reduced = await read('responses.dtseries.nii', { reduce: 'mean' });
    for (const [i, value] of means.data.entries()) expect(reduced.matrix.data[i]).toBeCloseTo(value, 5);
  });

  it('regions of a label file', async () => {
    const atlas = at('parcels.dlabel.nii');
    const { matrix, columns } = await read('responses.dtseries.nii', { atlas, columns: ['AngG', 1] });
    expect(columns).toEqual(['AngG', 'IFG']);
    const means = npy(folder, 'means.npy');
    for (let row = 0; row < 40; row++) {
      expect(matrix.data[row * 2]).toBeCloseTo(means.data[row * 3 + 2]!, 5);
      expect(matrix.data[row * 2 + 1]).toBeCloseTo(means.data[row * 3]!, 5);
    }
    expect((await read('responses.dtseries.nii', { atlas, reduce: 'none' })).matrix.columns).toBe(12);
  });

  it('what does not fit is refused', async () => {
    await expect(read('responses.dtseries.nii', { mask: at('mask.nii.gz') })).rejects.toThrow(
      /no mask for a CIFTI file/,
    );
    await expect(read('responses.dtseries.nii', { atlas: at('responses.dscalar.nii') })).rejects.toThrow(
      /one map of the 12 grayordinates of responses.dtseries.nii, got 40 of 12/,
    );
    await expect(read('responses.dtseries.nii', { columns: ['CORTEX_LEFF'] })).rejects.toThrow(
      /did you mean `CORTEX_LEFT`/,
    );
    await expect(read('responses.dtseries.nii', { atlas: at('parcels.dlabel.nii'), columns: ['IFQ'] })).rejects.toThrow(
      /nearest: `IFG`/,
    );
  });
});
