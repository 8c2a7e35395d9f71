/** HDF5, MATLAB 7.3, netCDF and Parquet files as h5py, hdf5storage, xarray and pandas write them, against NumPy's array of the same numbers. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type MatrixOptions, readMatrix, readTexts } from '../../lib/data/formats/index.js';
import { readRecords } from '../../lib/data/formats/records.js';
import type { Matrix } from '../../lib/data/types.js';
import { kMakingTime, madeFiles, npy } from './made-files.js';

let folder = '';
let responses: Matrix;
beforeAll(async () => {
  folder = await madeFiles();
  responses = npy(folder, 'responses.npy');
}, kMakingTime);
const read = (name: string, options: MatrixOptions = {}) => readMatrix(join(folder, name), options);
const texts = Array.from({ length: 40 }, (_, i) => `Sentence ${i} über ${i * i}.`);
const names = Array.from({ length: 12 }, (_, i) => `v${i}`);
const rois = [...Array(5).fill('IFG'), ...Array(4).fill('STG'), ...Array(3).fill('AngG')];

describe('the same numbers', () => {
  it.each<[string, MatrixOptions]>([
    ['responses.npy', {}],
    ['responses.npz', { key: 'responses' }],
    ['packed.npz', {}],
    ['responses.csv', {}],
    ['responses.tsv', {}],
    ['responses.txt', {}],
    ['responses.parquet', {}],
    ['grouped.parquet', {}],
    ['responses.mat', {}],
    ['responses73.mat', { key: 'responses' }],
    ['one73.mat', {}],
    ['responses.h5', {}],
    ['many.h5', { key: 'story/data' }],
    ['many.h5', { key: '/big_endian' }],
    ['many.h5', { key: 'single_axes' }],
    ['assembly.nc', {}],
    ['turned.nc', {}],
    ['binned.nc', {}],
    ['netcdf3_classic.nc', {}],
    ['netcdf3_64bit.nc', {}],
    ['records.nc', {}],
    ['two.nc', { key: 'a' }],
  ])('in %s %j', async (name, options) => {
    expect((await read(name, options)).matrix).toEqual(responses);
  });
});

describe('HDF5', () => {
  it('has integers, booleans and vectors', async () => {
    expect([...(await read('many.h5', { key: 'integers' })).matrix.data]).toEqual([
      -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5,
    ]);
    expect((await read('many.h5', { key: 'long' })).matrix).toMatchObject({ rows: 2, columns: 3 });
    expect([...(await read('many.h5', { key: 'bool' })).matrix.data]).toEqual([1, 0, 0, 1]);
    expect((await read('many.h5', { key: 'vector' })).matrix).toMatchObject({ rows: 5, columns: 1 });
  });

  it('is read in tiles of chunks that do not divide it', async () => {
    expect((await read('chunks.h5')).matrix).toEqual(npy(folder, 'chunks.npy'));
  });

  it('gives columns by number', async () => {
    const { matrix, columns } = await read('responses.h5', { columns: [11, 0] });
    expect(columns).toEqual(['11', '0']);
    expect([...matrix.data.subarray(0, 2)]).toEqual([responses.data[11], responses.data[0]]);
  });

  it.each([
    [undefined, /Expected a `key` that names one of its arrays, it has `big_endian` \[40, 12\]/],
    ['story/dta', /an array `story\/dta` \(nearest: `story\/data`\)/],
    ['cube', /2 axes, \[rows, columns\], in `cube`, got 3: \[2, 3, 4\]/],
    ['texts', /real numbers in `texts`, got texts/],
    ['half', /real numbers in `half`, got another type/],
    ['complex', /real numbers in `complex`, got another type/],
    ['elsewhere', /an array `elsewhere`/],
    ['virtual', /lie in others \(a virtual dataset\)/],
  ])('key %s is answered with what there is', async (key, sentence) => {
    await expect(read('many.h5', { key })).rejects.toThrow(sentence);
  });
});

describe('MATLAB 7.3', () => {
  it('has fields of structures, rows, and texts in cells', async () => {
    const { matrix } = await read('responses73.mat', { key: 'data.betas' });
    expect(matrix.data).toEqual(responses.data.map((value) => value * 2));
    expect((await read('responses73.mat', { key: 'row' })).matrix).toEqual({
      data: Float32Array.of(0, 1, 2, 3),
      rows: 1,
      columns: 4,
    });
    expect(await readTexts(join(folder, 'responses73.mat'), { column: 'sentences' })).toEqual(texts);
    expect(await readTexts(join(folder, 'responses.mat'), { column: 'sentences' })).toEqual(texts);
  });

  it('names what there is', async () => {
    await expect(read('responses73.mat', { key: 'respones' })).rejects.toThrow(/nearest: `responses`/);
    await expect(readTexts(join(folder, 'responses73.mat'), { column: 'data' })).rejects.toThrow(
      /a column `data`.*it has `sentences`/,
    );
  });
});

describe('netCDF', () => {
  it.each(['assembly.nc', 'turned.nc', 'netcdf3_classic.nc', 'records.nc'])(
    '%s has coordinates for columns and rows',
    async (name) => {
      const found = await read(name, { coords: { region: 'roi', subject: 'subject' } });
      expect(found.columns).toEqual(names);
      expect(found.regions).toEqual(rois);
      expect(found.subjects).toEqual(names.map((_, i) => `s${(i % 2) + 1}`));
      const { fields, rows } = await readRecords(join(folder, name.replace('turned', 'assembly')));
      expect(fields.sort()).toEqual(['passage', 'repetition', 'stimulus']);
      expect(rows.map(({ stimulus }) => stimulus)).toEqual(texts);
      expect(rows[11]).toEqual({ stimulus: texts[11], passage: 'p1', repetition: '11' });
    },
  );

  it('gives whole regions, and their means', async () => {
    const some = await read('assembly.nc', { coords: { region: 'roi' }, columns: ['AngG', 'v0'] });
    expect(some.columns).toEqual(['v9', 'v10', 'v11', 'v0']);
    const { matrix, columns } = await read('assembly.nc', { coords: { region: 'roi' }, reduce: 'mean' });
    expect(columns).toEqual(['IFG', 'STG', 'AngG']);
    for (const [i, value] of npy(folder, 'means.npy').data.entries()) expect(matrix.data[i]).toBeCloseTo(value, 5);
  });

  it('unpacks scaled integers and marks of missing values', async () => {
    const { matrix } = await read('packed.nc');
    for (const [i, value] of matrix.data.entries())
      if (i % 12 === 3) expect(value).toBeNaN();
      else expect(Math.abs(value - responses.data[i]!)).toBeLessThan(0.00501); // rounded to 0.01
  });

  it('names coordinates and arrays there are', async () => {
    await expect(read('assembly.nc', { coords: { region: 'rio' } })).rejects.toThrow(
      /coordinate `rio` \(nearest: `roi`\) of the axis `neuroid`/,
    );
    await expect(read('two.nc')).rejects.toThrow(/a `key`.*`a` \[40, 12\], `b` \[40, 12\]/);
  });
});

describe('Parquet', () => {
  it('gives columns by name, missing values as NaN', async () => {
    const { matrix, columns } = await read('mixed.parquet', { columns: ['v1', 'v2'] });
    expect(columns).toEqual(['v1', 'v2']);
    expect(matrix.data[0]).toBe(responses.data[1]);
    expect(matrix.data[6]).toBeNaN();
    expect(matrix.data[1]).toBeNaN();
    expect(matrix.data[3]).toBe(1);
    expect(await readTexts(join(folder, 'mixed.parquet'), { column: 'sentence' })).toEqual(texts);
  });

  it('refuses texts as numbers and columns that are not there', async () => {
    await expect(read('mixed.parquet')).rejects.toThrow(/a number in row 1, column `sentence`, got `Sentence 0/);
    await expect(read('mixed.parquet', { columns: ['v77'] })).rejects.toThrow(/a column `v77` \(did you mean/);
  });
});
