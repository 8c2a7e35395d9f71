/** Where response columns lie in images: shared by subjects, kept in a store, checked by verify, cropped for the report. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { outlineOf, placed, placedOf, type Space, spacesOf } from '../../lib/data/space.js';
import { brainsOf } from '../../lib/report/brains.js';
import { headOf, placesOf } from '../../lib/report/page/brain-map.js';
import { readSpaces, saveSpaces } from '../../lib/study/spaces.js';
import { verifyStore } from '../../lib/study/verify.js';
import { runFake } from '../helpers/fake-study.js';
import { temporaryFolder } from '../helpers/temporary.js';

const root = temporaryFolder();
const kHash = 'ab'.repeat(32);
const affine = [
  [-2, 0, 0, 90],
  [0, 2, 0, -126],
  [0, 0, 2, -72],
];

/** 5 x 4 x 3 voxels: a region of three voxels, and one of two. */
function space(subjects: string[] = ['1']): Space {
  const header = { shape: [5, 4, 3], affine };
  const where = placed(header, [Int32Array.of(26, 27, 32), Int32Array.of(33, 13)]);
  return { ...where, subjects, columns: ['IFG', 'STG'], outline: Int32Array.of(12, 13, 26, 27, 31, 32, 33) };
}

describe('spaces', () => {
  it('are shared by subjects with the same columns at the same voxels', () => {
    const of = (subject: string, more: Partial<Space> = {}) => ({
      subject,
      columns: ['IFG', 'STG'],
      space: { ...space(), ...more },
    });
    expect(spacesOf([of('a'), of('b'), of('c', { shape: [5, 4, 4] })]).map(({ subjects }) => subjects)).toEqual([
      ['a', 'b'],
      ['c'],
    ]);
    expect(spacesOf([{ subject: 'a', columns: ['x'] }])).toEqual([]);
    // An image of one row is a list.
    expect(spacesOf([of('a', { shape: [60, 1, 1] })])).toEqual([]);
  });

  it('give the columns that are asked for, in their order', () => {
    const { voxels, starts } = placedOf(space(), [1, 0]);
    expect([[...voxels], [...starts]]).toEqual([
      [33, 13, 26, 27, 32],
      [0, 2, 5],
    ]);
  });

  it.each<[string, number[], number[] | undefined]>([
    ['bright voxels', [...Array(90).fill(3), ...Array(110).fill(100)], Array.from({ length: 110 }, (_, i) => 90 + i)],
    ['voxels that were not emptied', [...Array(50).fill(0), 5, -5, Number.NaN], [50, 51]],
    ['nothing of a difference', [-1, 1, -2, 2, -3, 3], undefined],
    ['nothing of nothing', [0, 0, Number.NaN], undefined],
  ])('outline %s', (_, values, outline) => {
    expect(outlineOf(values)?.join()).toBe(outline?.join());
  });
});

describe('in a store', () => {
  it('come back as they were, voxels sorted', async () => {
    const folder = join(root, 'round');
    await saveSpaces(folder, kHash, [space(['a', 'b'])]);
    const [read] = await readSpaces(folder, kHash);
    expect(read).toEqual({ ...space(['a', 'b']), voxels: Int32Array.of(26, 27, 32, 13, 33) });
    expect(await readSpaces(folder, 'cd'.repeat(32))).toEqual([]);
    await saveSpaces(folder, 'ef'.repeat(32), []);
    expect(readdirSync(join(folder, 'spaces'))).toEqual([`${kHash}.json`]);
  });

  it('are checked by verify, which names what is damaged', async () => {
    const folder = join(root, 'store');
    await runFake(folder);
    await saveSpaces(folder, kHash, [space()]);
    expect((await verifyStore(folder)).problems).toEqual([]);
    const path = join(folder, 'spaces', `${kHash}.json`);
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole.replace('"IFG"', '"LIE"'));
    await expect(readSpaces(folder, kHash)).rejects.toMatchObject({ code: 'ERR_FORMAT' });
    writeFileSync(join(folder, 'spaces', 'notes.txt'), '');
    const { problems } = await verifyStore(folder);
    expect(problems.map(({ path, what }) => `${path}: ${what}`)).toEqual([
      `spaces/${kHash}.json: it is not as it was written; remove it and run the study again`,
      'spaces/notes.txt: nothing of cortune has such a name',
    ]);
  });
});

describe('in a report', () => {
  const targets = ['1:IFG', '1:STG', 'mean:IFG', 'mean:LATL'].map((name) => {
    const [subject, roi] = name.split(':') as [string, string];
    return { name: subject === 'mean' ? roi : `s${name}`, subject, roi };
  });

  it('are cropped, and still lie where they lay', () => {
    const [brain] = brainsOf([{ index: 0, spaces: [space()], targets, runs: [] }], true);
    // x 1 to 3, y 1 to 2, z 0 to 1, and one voxel around where there is one.
    expect(brain).toMatchObject({ shape: [5, 4, 3], names: ['IFG', 'STG'], counts: [3, 2], title: 's1' });
    expect(brain!.targets).toEqual([[0, 2], [1]]);
    const places = placesOf(brain!);
    expect([...places.keys()].filter((at) => places[at] === 0)).toEqual([26, 27, 32]);
    expect(headOf(brain!, places).reduce((sum, one) => sum + one, 0)).toBe(7);
    const header = { shape: [20, 20, 20], affine };
    const far = { ...space(), ...placed(header, [Int32Array.of(10 + 20 * (11 + 20 * 12)), Int32Array.of()]) };
    const [cropped] = brainsOf([{ index: 0, spaces: [{ ...far, outline: Int32Array.of() }], targets, runs: [] }], true);
    expect(cropped!.shape).toEqual([3, 3, 3]);
    expect(placesOf(cropped!)[13]).toBe(0);
    // Voxel (1, 1, 1) of the crop is voxel (10, 11, 12) of the image: -2 * 10 + 90 mm ...
    expect(cropped!.affine!.map(([a, b, c, d]) => a! + b! + c! + d!)).toEqual([70, -104, -48]);
  });

  it('are left out where nothing is measured in them', () => {
    const other = [{ name: 'LATL', subject: 'mean', roi: 'LATL' }];
    expect(brainsOf([{ index: 0, spaces: [space()], targets: other, runs: [] }], true)).toEqual([]);
  });
});
