/** Data sets whose responses are images or assemblies, with a file a subject and a run: descriptions against NumPy's numbers. */
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDataset } from '../../lib/data/dataset.js';
import type { Matrix } from '../../lib/data/types.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { kMakingTime, madeFiles, npy } from './made-files.js';

const scratch = temporaryFolder();
let made = '';
let responses: Matrix;
beforeAll(async () => {
  made = await madeFiles();
  responses = npy(made, 'responses.npy');
}, kMakingTime);

/** A folder with these files (or, of `from`, files that were made) and a dataset.yaml. */
function dataset(yaml: string, files: Record<string, string | { from: string }>): string {
  const folder = mkdtempSync(join(scratch, 'set-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    if (typeof content === 'string') writeFileSync(join(folder, name), content);
    else cpSync(join(made, content.from), join(folder, name), { recursive: true });
  }
  writeFileSync(join(folder, 'dataset.yaml'), yaml);
  return folder;
}

const sentences = (from: number, to: number) =>
  `text,passage\n${Array.from({ length: to - from }, (_, i) => `Sentence ${from + i}.,p${Math.floor((from + i) / 5)}`).join('\n')}\n`;
const images = {
  'mask.nii.gz': { from: 'mask.nii.gz' },
  'atlas.nii.gz': { from: 'atlas.nii.gz' },
  'atlas.tsv': { from: 'atlas.tsv' },
};

describe('BIDS folders', () => {
  const files = {
    '.': { from: 'bids' },
    ...images,
    'run-1.csv': sentences(0, 20),
    'run-2.csv': sentences(20, 40),
  };
  const yaml = (more: string) => `
name: reading
stimuli: {kind: trials, file: "run-{run}.csv", text: text, passage: passage}
responses:
  file: sub-{subject}/func/sub-{subject}_task-read_run-{run}_bold.nii.gz
  zscore: false
  ${more}
`;

  it('a file a subject and run: runs one after the other, named as groups', async () => {
    const data = await loadDataset(dataset(yaml('mask: mask.nii.gz\n  subjects: each'), files));
    expect(data.responses).toMatchObject({ rows: 40, columns: 24 });
    for (let row = 0; row < 40; row++)
      for (let c = 0; c < 12; c++) {
        expect(data.responses.data[row * 24 + c]).toBe(responses.data[row * 12 + c]);
        expect(data.responses.data[row * 24 + 12 + c]).toBe(responses.data[row * 12 + c]! * 0.5);
      }
    expect(data.groups).toEqual([...Array(20).fill('1'), ...Array(20).fill('2')]);
    expect(data.stimuli.kind === 'trials' && data.stimuli.texts[25]).toBe('Sentence 25.');
    expect(data.stimuli.kind === 'trials' && data.stimuli.passages?.[25]).toBe('2/p5');
    expect(data.targets[12]).toMatchObject({ subject: '02', name: expect.stringMatching(/^s02:\d,\d,\d$/) });
  });

  it('regions of an atlas are targets', async () => {
    const folder = dataset(yaml('atlas: atlas.nii.gz\n  labels: atlas.tsv\n  columns: [AngG, 1]'), files);
    const data = await loadDataset(folder);
    expect(data.targets).toEqual([
      { name: 'AngG', subject: 'mean', roi: 'AngG' },
      { name: 'IFG', subject: 'mean', roi: 'IFG' },
    ]);
    // Both subjects were read by one atlas, in one space.
    expect(data.spaces).toHaveLength(1);
    expect(data.spaces![0]).toMatchObject({ subjects: ['01', '02'], columns: ['AngG', 'IFG'] });
    const means = npy(made, 'means.npy');
    expect(data.responses.data[0]).toBeCloseTo(means.data[2]! * 0.75, 5);
    expect(data.ceilings.values[0]).toBeCloseTo(1, 5); // the second subject is half of the first
    const one = await loadDataset(folder, { rois: ['IFG'] });
    expect(one.targets).toHaveLength(1);
    expect(one.hash).not.toBe(data.hash);
    // The atlas decides what is read, so it is part of the hash.
    copyFileSync(join(made, 'mask-IFG.nii.gz'), join(folder, 'atlas.nii.gz'));
    await expect(loadDataset(folder)).rejects.toThrow(/region `AngG`/);
  });

  it('every voxel of a region keeps its region', async () => {
    const data = await loadDataset(dataset(yaml('atlas: atlas.nii.gz\n  labels: atlas.tsv\n  reduce: none'), files));
    expect(data.targets.map(({ roi }) => roi)).toEqual([
      ...Array(5).fill('IFG'),
      ...Array(4).fill('STG'),
      ...Array(3).fill('AngG'),
    ]);
  });

  it('runs can be named, in an order', async () => {
    const data = await loadDataset(dataset(yaml('mask: mask.nii.gz\n  runs: [2, 1]'), files));
    expect(data.stimuli.kind === 'trials' && data.stimuli.texts[0]).toBe('Sentence 20.');
    await expect(loadDataset(dataset(yaml('mask: mask.nii.gz\n  runs: [1, 3]'), files))).rejects.toThrow(
      /run-3_bold.nii.gz/,
    );
  });

  it('a pattern that fits nothing says what is there', async () => {
    const folder = dataset(yaml('mask: mask.nii.gz'), { ...images, 'run-1.csv': sentences(0, 20) });
    await expect(loadDataset(folder)).rejects.toThrow(
      /files like sub-\{subject\}.*found none. In it there is: atlas.nii.gz, atlas.tsv, dataset.yaml, mask.nii.gz/,
    );
  });
});

describe('words against volumes', () => {
  const responsesOf = 'responses: {file: bold.nii.gz, mask: mask.nii.gz}';
  const files = {
    'bold.nii.gz': { from: 'series.nii.gz' },
    ...images,
    'events.tsv': { from: 'task_events.tsv' },
    'bold.json': { from: 'task_bold.json' },
  };
  const stimuli = (more: string) => `stimuli: {kind: words, file: events.tsv, where: {trial_type: word}${more}}`;

  it('BIDS events: onset and duration, some rows, the TR of the sidecar', async () => {
    const { stimuli: read } = await loadDataset(
      dataset(`name: x\n${stimuli(', sidecar: bold.json')}\n${responsesOf}`, files),
    );
    if (read.kind !== 'words') throw new Error('Expected words');
    expect(read.tr).toBe(1.5);
    expect(read.words).toHaveLength(15);
    expect(read.words[1]).toEqual({ text: 'w2', onset: 1, offset: 1.4 });
    expect(read.words[2]).toEqual({ text: 'w4', onset: 2, offset: 2 }); // n/a
  });

  it('a sidecar decides what the data are', async () => {
    const folder = dataset(`name: x\n${stimuli(', sidecar: bold.json')}\n${responsesOf}`, files);
    const { hash } = await loadDataset(folder);
    writeFileSync(join(folder, 'bold.json'), '{"RepetitionTime": 1.25}');
    expect((await loadDataset(folder)).hash).not.toBe(hash);
  });

  it('the TR of the images, when nothing else says it', async () => {
    const { stimuli: read } = await loadDataset(dataset(`name: x\n${stimuli('')}\n${responsesOf}`, files));
    expect(read.kind === 'words' && read.tr).toBe(2);
    const table = { ...files, 'bold.csv': { from: 'responses.csv' } };
    await expect(loadDataset(dataset(`name: x\n${stimuli('')}\nresponses: {file: bold.csv}`, table))).rejects.toThrow(
      /Expected `stimuli.tr`.*nor the header of bold.csv says it/,
    );
  });

  it('rows that are not there, and a sidecar without TR', async () => {
    const none = stimuli('').replace('word}', 'wrod}');
    await expect(loadDataset(dataset(`name: x\n${none}\n${responsesOf}`, files))).rejects.toThrow(
      /rows where `trial_type` is wrod \(it holds word, fixation\), got none/,
    );
    const broken = { ...files, 'bold.json': '{"TaskName": "x"}' };
    await expect(
      loadDataset(dataset(`name: x\n${stimuli(', sidecar: bold.json')}\n${responsesOf}`, broken)),
    ).rejects.toThrow(/`RepetitionTime` to be a number of seconds above 0/);
  });

  it('captions a run: times are moved behind the runs before, and words outside are counted', async () => {
    const caption = (onset: number, word: string) =>
      `00:00:${String(onset).padStart(2, '0')}.000 --> 00:00:${String(onset).padStart(2, '0')}.500\n${word}\n\n`;
    const folder = dataset(
      `name: x
stimuli: {kind: words, file: "{run}.vtt", tr: 2, start: 1}
responses: {file: "sub-{subject}/func/sub-{subject}_task-read_run-{run}_bold.nii.gz", mask: mask.nii.gz, subjects: each, per_run: true}`,
      {
        '.': { from: 'bids' },
        ...images,
        '1.vtt': `WEBVTT\n\n${caption(1, 'a')}${caption(39, 'b')}${caption(50, 'c')}`,
        '2.vtt': `WEBVTT\n\n${caption(2, 'd')}`,
      },
    );
    const data = await loadDataset(folder);
    expect(data.stimuli).toEqual({
      kind: 'words',
      tr: 2,
      start: 1,
      words: [
        { text: 'a', onset: 1, offset: 1.5 },
        { text: 'b', onset: 39, offset: 39.5 },
        { text: 'd', onset: 42, offset: 42.5 },
      ],
    });
    expect(data.notes.join('\n')).toContain('1.vtt: 1 of 3 words lie outside of the run');
    expect(data.groups).toHaveLength(40);
  });
});

describe('assemblies', () => {
  const yaml = (more: string) => `
name: assembly
stimuli: {kind: trials, file: assembly.nc, text: stimulus, passage: passage, group: passage}
responses: {file: assembly.nc, zscore: false, coords: {region: roi, subject: subject}, ${more}}
`;
  const files = { 'assembly.nc': { from: 'assembly.nc' } };

  it('several subjects in one file', async () => {
    const data = await loadDataset(dataset(yaml('subjects: each'), files));
    expect(data.targets.slice(0, 2)).toEqual([
      { name: 's1:v0', subject: 's1', roi: 'IFG' },
      { name: 's1:v2', subject: 's1', roi: 'IFG' },
    ]);
    expect(data.responses.columns).toBe(12);
    expect(data.responses.data[6]).toBe(responses.data[1]);
    expect(data.ceilings.method).toContain('not the same places');
    expect(data.groups?.[39]).toBe('p3');
    expect(data.stimuli.kind === 'trials' && data.stimuli.texts[2]).toBe('Sentence 2 über 4.');
  });

  it('means of regions over subjects', async () => {
    const data = await loadDataset(dataset(yaml('reduce: mean, columns: [STG, IFG]'), files));
    expect(data.targets).toEqual([
      { name: 'STG', subject: 'mean', roi: 'STG' },
      { name: 'IFG', subject: 'mean', roi: 'IFG' },
    ]);
    await expect(loadDataset(dataset(yaml('subjects: mean'), files))).rejects.toThrow(
      /take means of regions .*or keep subjects apart/,
    );
  });
});

it.each([
  [
    'responses: {file: "b.nii", masks: {A: a.nii}, atlas: c.nii}',
    /`masks` or `atlas`, whose regions are read, got both/,
  ],
  ['responses: {file: "b.nii", labels: a.tsv}', /Expected `atlas`, whose regions `labels` names/],
  ['responses: {file: "b.nii", runs: [1]}', /\{run\} in `responses.file` or `stimuli.file`, as `runs` are listed/],
  ['responses: {file: "b.nii"}\nstimuli: {kind: words, file: "{run}.vtt"}', /`responses.file` to hold \{run\}/],
  ['responses: {file: "a*b*c*d*e*.nii"}', /with 3 `\*` in a part of it at most/],
])('%s is refused', async (yaml, sentence) => {
  await expect(loadDataset(dataset(`name: x\n${yaml}`, {}))).rejects.toThrow(sentence);
});

it('a description without stimuli says what to do', async () => {
  const folder = dataset('name: x\nresponses: {file: r.npy}', { 'r.npy': { from: 'responses.npy' } });
  await expect(loadDataset(folder)).rejects.toThrow(/Expected `stimuli` that are texts or words.*cortune encode/);
});
