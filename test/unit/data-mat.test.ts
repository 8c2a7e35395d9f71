/** MATLAB 5 files as scipy writes them, and files whose sizes lie (test/fixtures/data/make_mat.py made them). */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMatrix } from '../../lib/data/formats/index.js';
import { parseMat } from '../../lib/data/formats/mat.js';

const files = JSON.parse(readFileSync(new URL('../fixtures/data/mat.json', import.meta.url), 'utf8'));
const bytesOf = (name: string) => new Uint8Array(Buffer.from(files[name], 'base64'));
const broken = expect.objectContaining({ code: 'ERR_FORMAT' });

describe.each(['plain', 'compressed'])('a %s MATLAB 5 file', (name) => {
  const variables = parseMat(bytesOf(name), 'x.mat');

  it('has numbers, column by column', () => {
    expect(variables.get('matrix')).toEqual({
      kind: 'numbers',
      shape: [2, 3],
      values: Float64Array.of(0, 0.75, 0.25, 1, 0.5, 1.25),
    });
    expect(variables.get('small')).toMatchObject({ shape: [1, 2], values: Float64Array.of(1, 2) });
    expect(variables.get('flag')).toMatchObject({ values: Float64Array.of(1, 0) });
    expect(variables.get('empty')).toMatchObject({ shape: [0, 3], values: new Float64Array() });
    expect(variables.get('cube')).toMatchObject({ kind: 'numbers', shape: [2, 3, 4] });
  });

  it('has texts, cells and structures, and says what it does not read', () => {
    expect(variables.get('words')).toMatchObject({ kind: 'text', text: 'café 世' });
    expect(variables.get('cells')).toMatchObject({
      kind: 'cell',
      cells: [{ text: 'one' }, { values: Float64Array.of(7.5) }],
    });
    const people = variables.get('people');
    if (people?.kind !== 'struct') throw new Error('Expected a structure');
    expect([...people.fields.keys()]).toEqual(['age', 'name']);
    expect(people.fields.get('name')).toMatchObject([{ text: 'Ann' }, { text: 'Bo' }]);
    expect(people.fields.get('age')).toMatchObject([{ values: Float64Array.of(1) }, { values: Float64Array.of(2) }]);
    expect(variables.get('wave')).toMatchObject({ kind: 'other', class: 'complex double' });
  });

  it('gives a matrix by its name, and names what there is', () => {
    const { matrix } = parseMatrix(bytesOf(name), 'x.mat', { key: 'matrix' });
    expect(matrix).toEqual({ rows: 2, columns: 3, data: Float32Array.of(0, 0.25, 0.5, 0.75, 1, 1.25) });
    expect(() => parseMatrix(bytesOf(name), 'x.mat', { key: 'matrox' })).toThrow(/there are: `matrix`, `small`/);
    expect(() => parseMatrix(bytesOf(name), 'x.mat')).toThrow(/one matrix of numbers, or the name of one/);
  });

  it('is refused when it is cut off anywhere', () => {
    const bytes = bytesOf(name);
    for (let length = 0; length < 128; length += 16)
      expect(() => parseMat(bytes.subarray(0, length), 'x.mat')).toThrow(broken);
    for (let length = 129; length < bytes.length - 8; length += 7) {
      let found = 0;
      try {
        found = parseMat(bytes.subarray(0, length), 'x.mat').size;
      } catch (error) {
        expect(error).toEqual(broken);
      }
      expect(found).toBeLessThan(variables.size); // cut between two variables: the first ones
    }
  });

  it('with any byte changed is read or refused, never anything else', () => {
    const bytes = bytesOf(name);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = bytes.slice();
        changed[at] = value;
        try {
          parseMat(changed, 'x.mat');
        } catch (error) {
          expect(error).toEqual(broken);
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
  });
});

describe('MATLAB files', () => {
  it('are read in either byte order', () => {
    expect(parseMat(bytesOf('bigEndian'), 'x.mat').get('b')).toMatchObject({ values: Float64Array.of(1, 2, 3, 4) });
  });

  it('of version 7.3 are answered with what to do', () => {
    const hdf = new Uint8Array(600);
    hdf.set(Buffer.from('MATLAB 7.3 MAT-file'));
    expect(() => parseMat(hdf, 'x.mat')).toThrow(/save -v7/);
  });

  it('with sizes that lie are refused before memory is taken', () => {
    const bytes = bytesOf('bigEndian').slice();
    const view = new DataView(bytes.buffer);
    view.setInt32(128 + 8 + 16 + 8, 2 ** 30); // rows
    expect(() => parseMat(bytes, 'x.mat')).toThrow(/numbers for shape/);
    view.setUint32(132, 2 ** 31); // bytes of the variable
    expect(() => parseMat(bytes, 'x.mat')).toThrow(/Expected at most \d+ bytes in the element at byte 128/);
  });
});
