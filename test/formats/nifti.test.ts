/** NIfTI images as nibabel writes them: series, masks and atlases against NumPy's indexing of the same arrays. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type MatrixOptions, readMatrix } from '../../lib/data/formats/index.js';
import { readLabels } from '../../lib/data/formats/labels.js';
import { readNifti } from '../../lib/data/formats/nifti.js';
import type { Matrix } from '../../lib/data/types.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { kMakingTime, madeFiles, npy } from './made-files.js';

const scratch = temporaryFolder();
let folder = '';
let responses: Matrix;
let means: Matrix;
beforeAll(async () => {
  folder = await madeFiles();
  responses = npy(folder, 'responses.npy');
  means = npy(folder, 'means.npy');
}, kMakingTime);
const at = (name: string) => join(folder, name);
const read = (name: string, options: MatrixOptions = {}) => readMatrix(at(name), options);
const code = (name: string) => expect.objectContaining({ code: name });

describe('a series of volumes', () => {
  it.each(['series.nii', 'series.nii.gz', 'two.nii.gz', 'big.nii.gz', 'big2.nii', 'five.nii'])(
    '%s: the voxels of a mask, in the order of image[mask]',
    async (name) => {
      const { matrix, columns, regions } = await read(name, { mask: at('mask.nii.gz') });
      expect(matrix).toEqual(responses);
      expect(columns).toHaveLength(12);
      expect(columns[0]).toMatch(/^\d,\d,\d$/);
      expect(regions).toBeUndefined();
    },
  );

  it('has all voxels without a mask, and any of them by name', async () => {
    const all = await read('series.nii');
    expect([all.matrix.rows, all.matrix.columns]).toEqual([40, 60]);
    expect(all.columns.slice(0, 4)).toEqual(['0,0,0', '0,0,1', '0,0,2', '0,1,0']);
    const { columns } = await read('series.nii', { mask: at('mask.nii.gz') });
    const one = await read('series.nii', { mask: at('mask.nii.gz'), columns: [columns[3]!] });
    expect([...one.matrix.data]).toEqual(Array.from({ length: 40 }, (_, row) => responses.data[row * 12 + 3]));
  });

  it('keeps where its columns lie, also when some are picked', async () => {
    const voxel = (name: string) => {
      const [x, y, z] = name.split(',').map(Number) as [number, number, number];
      return x + shape[0] * (y + shape[1] * z);
    };
    const { shape, affine } = await readNifti(at('series.nii'), 'x').then((header) => ({
      shape: header.shape as [number, number, number, number],
      affine: header.affine,
    }));
    const { columns, space } = await read('series.nii', { mask: at('mask.nii.gz') });
    expect(space).toMatchObject({ shape: shape.slice(0, 3), affine });
    expect([...space!.voxels]).toEqual(columns.map(voxel));
    expect([...space!.starts]).toEqual([...Array(13).keys()]);
    const some = await read('series.nii', { mask: at('mask.nii.gz'), columns: [columns[5]!, columns[2]!] });
    expect([...some.space!.voxels]).toEqual([voxel(columns[5]!), voxel(columns[2]!)]);
    const regions = await read('series.nii', { atlas: at('atlas.nii.gz') });
    const single = await read('series.nii', { atlas: at('atlas.nii.gz'), reduce: 'none' });
    expect([...regions.space!.voxels]).toEqual([...single.space!.voxels]);
    expect(regions.space!.starts).toHaveLength(regions.columns.length + 1);
  });

  it('says how long its volumes take', async () => {
    expect((await readNifti(at('series.nii'), 'x')).tr).toBe(2);
    expect((await readNifti(at('two.nii.gz'), 'x')).tr).toBe(2);
  });

  const types = ['u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f4', 'f8'];
  it.each(types.flatMap((type) => [`type-little-${type}.nii`, `type-big-${type}.nii`]))(
    '%s: stored numbers times slope plus intercept equal nibabel',
    async (name) => {
      const { matrix } = await read(name, { mask: at('mask.nii.gz') });
      expect(matrix).toEqual(npy(folder, `${name}.npy`));
    },
  );
});

describe('regions', () => {
  const atlas = () => ({ atlas: at('atlas.nii.gz'), labels: at('atlas.tsv') });
  // Sums in float64 of float32 values here, in float32 in NumPy: 5 values of size 10, 6e-8 each.
  const near = (found: Matrix, wanted: Matrix) => {
    expect([found.rows, found.columns]).toEqual([wanted.rows, wanted.columns]);
    for (const [i, value] of wanted.data.entries()) expect(Math.abs(found.data[i]! - value)).toBeLessThan(3e-6);
  };

  it('of an atlas are means, in the order of their numbers', async () => {
    const { matrix, columns } = await read('series.nii.gz', atlas());
    expect(columns).toEqual(['IFG', 'STG', 'AngG']);
    near(matrix, means);
  });

  it('are chosen by name or number, from tables with and without header, or without a table', async () => {
    const picked = await read('series.nii', { ...atlas(), columns: ['AngG', 1] });
    expect(picked.columns).toEqual(['AngG', 'IFG']);
    expect(picked.matrix.data[0]).toBeCloseTo(means.data[2]!, 5);
    expect((await read('series.nii', { ...atlas(), labels: at('atlas.txt') })).columns).toEqual(['IFG', 'STG', 'AngG']);
    expect((await read('series.nii', { atlas: at('atlas.nii.gz'), columns: ['7'] })).columns).toEqual(['7']);
  });

  it('have names with blanks, and colours behind them, in tables of other programs', async () => {
    const path = join(scratch, 'lut.txt');
    writeFileSync(
      path,
      '# comment\n1 Inferior Frontal Gyrus 10 20 30 0\n7: Superior Temporal\n12,Angular-Gyrus,1,2,3\n',
    );
    expect([...(await readLabels(path))]).toEqual([
      [1, 'Inferior Frontal Gyrus'],
      [7, 'Superior Temporal'],
      [12, 'Angular-Gyrus'],
    ]);
    writeFileSync(path, 'number\tregion\n3\tA b\n');
    expect([...(await readLabels(path))]).toEqual([[3, 'A b']]);
  });

  it('give every voxel with reduce: none, called by region and place', async () => {
    const { matrix, columns, regions } = await read('series.nii', { ...atlas(), reduce: 'none' });
    expect(regions).toEqual([...Array(5).fill('IFG'), ...Array(4).fill('STG'), ...Array(3).fill('AngG')]);
    expect(columns[0]).toMatch(/^IFG:\d,\d,\d$/);
    expect(matrix.columns).toBe(12);
  });

  it('come from masks by name, too', async () => {
    const masks = { STG: at('mask-STG.nii.gz'), IFG: at('mask-IFG.nii.gz') };
    const { matrix, columns } = await read('series.nii', { masks });
    expect(columns).toEqual(['STG', 'IFG']);
    expect(matrix.data[1]).toBeCloseTo(means.data[0]!, 5);
    expect((await read('series.nii', { masks, columns: ['IFG'] })).columns).toEqual(['IFG']);
    await expect(read('series.nii', { masks, columns: ['IFGG'] })).rejects.toThrow(/region `IFGG` \(nearest: `IFG`\)/);
  });

  it('leave voxels that are not finite out of their means, and say so', async () => {
    const { matrix, notes } = await read('holes.nii.gz', atlas());
    expect(matrix.data.every(Number.isFinite)).toBe(true);
    expect(notes).toEqual([
      expect.stringMatching(/left [12] of the \d voxels of \w+ out of its mean: not finite/),
      ...Array((notes?.length ?? 1) - 1).fill(expect.any(String)),
    ]);
    const voxels = await read('holes.nii.gz', { mask: at('mask.nii.gz') });
    expect(voxels.matrix.data.some(Number.isNaN)).toBe(true);
  });

  it('that are not there are answered with the nearest', async () => {
    await expect(read('series.nii', { ...atlas(), columns: ['IFQ'] })).rejects.toThrow(
      /Expected a region `IFQ` \(nearest: `IFG`, `STG`, `AngG`\), it has 3/,
    );
    await expect(read('series.nii', { ...atlas(), labels: at('atlas.txt'), columns: ['Nowhere'] })).rejects.toThrow(
      /`Nowhere`.*No voxel has its number/,
    );
    await expect(read('series.nii', { ...atlas(), columns: [3] })).rejects.toThrow(code('ERR_DATA'));
  });
});

describe('images that do not fit', () => {
  it.each([
    ['otherShape.nii', /Expected the \[5, 4, 3\] voxels of series.nii, got \[5, 4, 4\]. Resample/],
    ['shifted.nii', /their affines differ. Resample/],
    ['nothing.nii', /a mask with voxels other than 0, got none/],
    ['series.nii.gz', /Expected the \[5, 4, 3\] voxels of series.nii, got \[5, 4, 3, 40\]/],
  ])('%s as a mask is refused', async (mask, sentence) => {
    await expect(read('series.nii', { mask: at(mask) })).rejects.toThrow(sentence);
  });

  it('are refused: probabilities as an atlas, complex numbers, a mask for a table', async () => {
    await expect(read('series.nii', { atlas: at('probabilities.nii') })).rejects.toThrow(
      /whole numbers, one a region, got/,
    );
    await expect(read('complex.nii')).rejects.toThrow(/real numbers, got complex64/);
    await expect(read('responses.csv', { mask: at('mask.nii.gz') })).rejects.toThrow(
      /`mask` to be left out for responses.csv: it is an option of .nii or .nii.gz/,
    );
  });
});
