/** One data set in every format through `cortune encode`, `stats` and `ceiling`: the same scores as from .npy, to the last digit. */
import { join } from 'node:path';
import { beforeAll, expect, it, vi } from 'vitest';
import { runCli } from '../../lib/cli/main.js';
import { kMakingTime, madeFiles } from './made-files.js';

let folder = '';
const at = (name: string) => join(folder, name);

/** What a command prints, as JSON. */
async function cortune(...args: string[]) {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const code = await runCli([...args, '--json']);
    const text = (spy: typeof out) => spy.mock.calls.map(([piece]) => String(piece)).join('');
    return { code, json: JSON.parse(text(out)), stderr: text(said) };
  } finally {
    out.mockRestore();
    said.mockRestore();
  }
}

const encode = (file: string, ...more: string[]) =>
  cortune('encode', '--features', at('features.npy'), '--responses', at(file), ...more);

interface Layers {
  layers: { targets: { name: string; r: number }[] }[];
}
/** Scores without the names of targets, which formats give or do not. */
const scores = ({ layers }: Layers) => layers.map(({ targets }) => targets.map(({ name: _, ...values }) => values));

let expected: ReturnType<typeof scores>;
beforeAll(async () => {
  folder = await madeFiles();
  const { code, json } = await encode('responses.npy');
  expect(code).toBe(0);
  expected = scores(json);
  expect(expected[0]![0]!.r).toBeGreaterThan(0.2); // there is something to find
}, kMakingTime);

it.each<[string, string[]]>([
  ['responses.npz', ['--key', 'responses']],
  ['responses.csv', []],
  ['responses.tsv', []],
  ['responses.txt', []],
  ['responses.parquet', []],
  ['responses.mat', ['--key', 'responses']],
  ['responses73.mat', ['--key', 'responses']],
  ['responses.h5', []],
  ['many.h5', ['--key', 'story/data']],
  ['assembly.nc', ['--regions', 'roi']],
  ['turned.nc', []],
  ['netcdf3_64bit.nc', []],
  ['series.nii', ['--mask', 'mask.nii.gz']],
  ['series.nii.gz', ['--mask', 'mask.nii.gz']],
  ['big2.nii', ['--mask', 'mask.nii.gz']],
  ['responses.dtseries.nii', []],
])('%s %j', async (file, more) => {
  const { code, json } = await encode(file, ...more.map((one) => (one.endsWith('.gz') ? at(one) : one)));
  expect(code).toBe(0);
  expect(scores(json)).toEqual(expected);
});

it('regions of an atlas have the scores of their means', async () => {
  const means = await encode('means.npy');
  const atlas = ['--atlas', at('atlas.nii.gz'), '--atlas-labels', at('atlas.tsv')];
  const { json } = await encode('series.nii.gz', ...atlas);
  const [targets, wanted] = [json, means.json].map((one: Layers) => one.layers[0]!.targets) as [
    Layers['layers'][0]['targets'],
    Layers['layers'][0]['targets'],
  ];
  expect(targets.map(({ name }) => name)).toEqual(['IFG', 'STG', 'AngG']);
  // Means differ in the last digit of float32 (sums in float64 here, in float32 in NumPy): 1e-7 of the values, so of r.
  for (const [t, { r }] of targets.entries()) expect(Math.abs(r - wanted[t]!.r)).toBeLessThan(1e-5);
  const one = await encode('series.nii.gz', ...atlas, '--columns', 'STG');
  expect(one.json.layers[0].targets).toHaveLength(1);
});

it('rows are grouped by a column of a table, or a coordinate', async () => {
  const grouped = async (file: string, ...more: string[]) =>
    (await encode(file, '--groups', 'passage', '--folds', 'grouped', ...more)).json;
  const table = await grouped('mixed.parquet', '--columns', 'v0,v3');
  const assembly = await grouped('assembly.nc', '--columns', 'v0,v3');
  expect(scores(table)).toEqual(scores(assembly));
  const images = (groups: string) =>
    encode('series.nii', '--mask', at('mask.nii.gz'), '--groups', groups, '--folds', 'grouped');
  const { json } = await images(`${at('mixed.parquet')}:passage`);
  expect(scores(json)[0]![3]).toEqual(scores(table)[0]![1]);
  expect((await images('passage')).json.error.message).toMatch(
    /`groups` to be FILE:COLUMN of a table, as series.nii has no columns/,
  );
});

it('notes tell what was left out, and NaN voxels are named', async () => {
  const { stderr } = await encode('holes.nii.gz', '--atlas', at('atlas.nii.gz'));
  expect(stderr).toMatch(/Note: holes.nii.gz: left \d of the \d voxels of \d+ out of its mean: not finite/);
  const voxels = await encode('holes.nii.gz', '--mask', at('mask.nii.gz'));
  expect(voxels.code).toBe(1);
  expect(voxels.json.error.message).toMatch(/finite.*\d,\d,\d/);
});

it('ceilings and tests read the same files', async () => {
  const files = (name: string) => ['--responses', at(name), at(name), '--kind', 'group', '--resamples', '0'];
  const plain = await cortune('ceiling', ...files('responses.npy'));
  const images = await cortune('ceiling', ...files('series.nii'), '--mask', at('mask.nii.gz'));
  const values = ({ json }: typeof plain) => json.regions.map((one: { ceilings: object }) => one.ceilings);
  expect(values(images)).toEqual(values(plain));
  const stats = await cortune(
    'stats',
    '--features',
    at('features.npy'),
    '--responses',
    at('assembly.nc'),
    '--exchange',
    'block:2',
    '--block',
    '2',
    '--permutations',
    '20',
    '--columns',
    'v1',
  );
  expect(stats.code).toBe(0);
});

it('an option that a file does not have is answered with the files that do', async () => {
  const { code, json } = await encode('responses.npy', '--mask', at('mask.nii.gz'));
  expect(code).toBe(2);
  expect(json.error.message).toMatch(/`mask` to be left out for responses.npy: it is an option of .nii or .nii.gz/);
});
