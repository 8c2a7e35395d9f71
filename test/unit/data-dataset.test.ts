/** Data sets from a dataset.yaml: what is read, what is left out and said, and what is refused. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadDataset } from '../../lib/data/dataset.js';
import { Random } from '../../lib/random.js';

const folders: string[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'cortune-dataset-'));
  folders.push(root);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

/** Rows of `columns` numbers: a signal shared by all seeds plus noise. */
function course(seed: number, rows = 8, columns = 2): string {
  const signal = new Random(99);
  const noise = new Random(seed);
  return Array.from({ length: rows }, () =>
    Array.from({ length: columns }, () => (signal.normal() + 0.3 * noise.normal()).toFixed(4)).join(' '),
  ).join('\n');
}

const wordTable = `text,from,to\nsp,0,4\n${Array.from({ length: 8 }, (_, i) => `w${i},${4 + i * 2},${5 + i * 2}`).join('\n')}\n`;
const wordsYaml = `name: tiny
citation: Nobody (2020)
licence: CC0
stimuli:
  kind: words
  file: words.csv
  word: text
  onset: from
  offset: to
  tr: 2
  start: 4
responses:
  file: responses/s{subject}.txt
  columns: [A, B]
`;
const wordsFiles = (more: Record<string, string> = {}) => ({
  'dataset.yaml': wordsYaml,
  'words.csv': wordTable,
  'responses/s2.txt': course(2),
  'responses/s10.txt': course(10),
  'responses/s3.txt': course(3),
  'responses/notes.md': 'not a subject',
  ...more,
});
const trialsYaml = `name: trials
stimuli:
  kind: trials
  file: items.csv
  text: sentence
  passage: story
  group: run
responses:
  file: voxels.csv
`;
const trialsFiles = (more: Record<string, string> = {}) => ({
  'dataset.yaml': trialsYaml,
  'items.csv': 'sentence,story,run\nOne.,p,1\nTwo.,p,1\nThree.,q,2\n',
  'voxels.csv': 'v1,v2\n1,4\n2,5\n4,5\n',
  ...more,
});

const rejects = (promise: Promise<unknown>, code: string, ...parts: string[]) =>
  expect(promise).rejects.toSatisfy((error: { code: string; message: string }) => {
    expect(error.message).toEqual(expect.stringContaining(parts[0] ?? ''));
    for (const part of parts) expect(error.message).toContain(part);
    return error.code === code;
  });

describe('words', () => {
  it('become stimuli and the mean over subjects, found by the pattern in natural order', async () => {
    const data = await loadDataset(folder(wordsFiles()));
    expect(data).toMatchObject({
      name: 'tiny',
      simulated: false,
      citation: 'Nobody (2020)',
      licence: 'CC0',
      notes: [],
    });
    expect(data.stimuli).toMatchObject({ kind: 'words', tr: 2, start: 4 });
    expect(data.stimuli.kind === 'words' && data.stimuli.words[0]).toEqual({ text: 'w0', onset: 4, offset: 5 });
    expect(data.stimuli.kind === 'words' && data.stimuli.words).toHaveLength(8);
    expect([data.responses.rows, data.responses.columns]).toEqual([8, 2]);
    expect(data.targets).toEqual([
      { name: 'A', subject: 'mean', roi: 'A' },
      { name: 'B', subject: 'mean', roi: 'B' },
    ]);
    for (const ceiling of data.ceilings.values) expect(ceiling).toBeGreaterThan(0.8);
    expect(data.ceilings.method).toContain('Spearman-Brown');
  });

  it('can keep subjects apart, or both', async () => {
    const root = folder(wordsFiles());
    const each = await loadDataset(root, { subjects: 'each', rois: ['B'] });
    expect(each.targets.map(({ name }) => name)).toEqual(['s2:B', 's3:B', 's10:B']);
    expect(each.ceilings.method).toContain('other subjects');
    const both = await loadDataset(root, { subjects: 'both', include: ['3', '2'] });
    expect(both.targets.map(({ name }) => name)).toEqual(['A', 'B', 's3:A', 's3:B', 's2:A', 's2:B']);
    const one = await loadDataset(root, { subjects: 'both', include: ['3'] });
    expect(one.targets.map(({ name }) => name)).toEqual(['s3:A', 's3:B']);
    expect([...one.ceilings.values]).toEqual([Number.NaN, Number.NaN]);
    expect(one.ceilings.method).toContain('two subjects');
  });

  it('z-scores each subject before the mean', async () => {
    const scaled = course(3).replaceAll(/-?\d+\.\d+/g, (number) => String(Number(number) * 1000 + 7));
    const plain = await loadDataset(folder(wordsFiles()));
    const large = await loadDataset(folder(wordsFiles({ 'responses/s3.txt': scaled })));
    for (const [i, value] of plain.responses.data.entries()) expect(large.responses.data[i]).toBeCloseTo(value, 4);
    expect(large.hash).not.toBe(plain.hash);
  });

  it('has a hash of content and options, not of place', async () => {
    const root = folder(wordsFiles());
    const { hash } = await loadDataset(root);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect((await loadDataset(folder(wordsFiles()))).hash).toBe(hash);
    expect((await loadDataset(root, { detrend: 'linear' })).hash).not.toBe(hash);
    expect((await loadDataset(folder(wordsFiles({ 'words.csv': wordTable.replace('w3', 'x3') })))).hash).not.toBe(hash);
  });

  it('takes the data folder from `root`, an environment variable or the option', async () => {
    const data = folder({ ...wordsFiles(), 'dataset.yaml': '' });
    const variable = ['$', '{CORTUNE_TEST_DATA}'].join('');
    const yaml = wordsYaml.replace('stimuli:', `root: ["${variable}/sub", "${variable}"]\nstimuli:`);
    const description = join(folder({ 'my.yaml': `${yaml}\n` }), 'my.yaml');
    await rejects(loadDataset(description), 'ERR_NOT_FOUND', 'tiny', '`root`');
    expect((await loadDataset(description, { root: data })).targets).toHaveLength(2);
    vi.stubEnv('CORTUNE_TEST_DATA', data);
    expect((await loadDataset(description)).targets).toHaveLength(2);
  });

  it('reads variants', async () => {
    const yaml = wordsYaml
      .replace('stimuli:', 'variants: [small, 10]\nstimuli:')
      .replace('responses/s{subject}.txt', '"{variant}/s{subject}.txt"');
    const root = folder({
      'dataset.yaml': yaml,
      'words.csv': wordTable,
      'small/s1.txt': course(1),
      '10/s1.txt': course(2),
    });
    expect((await loadDataset(root)).name).toBe('tiny (small)');
    const ten = await loadDataset(root, { variant: '10' });
    expect(ten.responses.data).not.toEqual((await loadDataset(root)).responses.data);
    await rejects(loadDataset(root, { variant: 'smal' }), 'ERR_ARGUMENT', 'nearest: small');
    await rejects(loadDataset(folder(wordsFiles()), { variant: 'small' }), 'ERR_ARGUMENT', 'no variants');
    const none = folder({ 'dataset.yaml': yaml.replace('variants: [small, 10]\n', '') });
    await rejects(loadDataset(none), 'ERR_CONFIG', 'dataset.yaml:', '`variants`');
  });

  it('leaves out subjects and columns that cannot be used, and says so', async () => {
    const yaml = wordsYaml.replace('columns: [A, B]', 'columns: [A, B]\n  exclude: {3: fell asleep}');
    const flat = course(4).replaceAll(/^\S+/gm, '5');
    const holed = course(5).replace(/ \S+$/, ' nan');
    const root = folder(wordsFiles({ 'dataset.yaml': yaml, 'responses/s4.txt': flat, 'responses/s5.txt': holed }));
    const data = await loadDataset(root, { subjects: 'each' });
    expect(data.targets.map(({ name }) => name)).toEqual(['s2:A', 's2:B', 's4:B', 's5:A', 's10:A', 's10:B']);
    expect(data.notes).toEqual([
      'Left out s3: fell asleep.',
      'responses/s4.txt: left out column A: constant.',
      'responses/s5.txt: left out column B: not finite, first in row 8.',
    ]);
  });

  it('refuses a set with nothing usable', async () => {
    const zeros = Array.from({ length: 8 }, () => '0 0').join('\n');
    const root = folder({ 'dataset.yaml': wordsYaml, 'words.csv': wordTable, 'responses/s1.txt': zeros });
    await rejects(loadDataset(root), 'ERR_DATA', 'all columns: constant');
    const excluded = folder(wordsFiles({ 'dataset.yaml': `${wordsYaml}  exclude: {2: x, 3: x, 10: x}\n` }));
    await rejects(loadDataset(excluded), 'ERR_DATA', 'not excluded');
  });

  it('names the subject whose file does not fit', async () => {
    await rejects(
      loadDataset(folder(wordsFiles({ 'responses/s3.txt': course(3, 7) }))),
      'ERR_DATA',
      's3.txt',
      '8 rows',
      'got 7',
    );
    await rejects(
      loadDataset(folder(wordsFiles({ 'responses/s3.txt': course(3, 8, 3) }))),
      'ERR_DATA',
      's3.txt',
      '2 columns',
      'got 3',
    );
    await rejects(loadDataset(folder(wordsFiles()), { include: ['4'] }), 'ERR_NOT_FOUND', 'subject 4', '2, 3, 10');
    await rejects(loadDataset(folder(wordsFiles()), { rois: ['C'] }), 'ERR_DATA', '`C`');
    const elsewhere = wordsYaml.replace('responses/s{', 'responses/sub-{');
    await rejects(loadDataset(folder(wordsFiles({ 'dataset.yaml': elsewhere }))), 'ERR_NOT_FOUND', 'sub-{subject}.txt');
  });

  it('counts words outside of the volumes, and refuses when all are', async () => {
    const late = wordTable.replace('w7,18,19', 'w7,20,21');
    expect((await loadDataset(folder(wordsFiles({ 'words.csv': late })))).notes[0]).toContain('1 of 8 words');
    const yaml = wordsYaml.replace('start: 4', 'start: 400');
    await rejects(loadDataset(folder(wordsFiles({ 'dataset.yaml': yaml }))), 'ERR_DATA', '400 s', '`start`');
  });

  it('refuses times that are none', async () => {
    await rejects(
      loadDataset(folder(wordsFiles({ 'words.csv': wordTable.replace('w3,10', 'w3,ten') }))),
      'ERR_DATA',
      'line 6',
      '`from`',
      'ten',
    );
    await rejects(
      loadDataset(folder(wordsFiles({ 'words.csv': wordTable.replace('w3,10,11', 'w3,10,9') }))),
      'ERR_DATA',
      'line 6',
    );
    await rejects(
      loadDataset(folder(wordsFiles({ 'words.csv': 'text,from,to\nsp,0,1\n' }))),
      'ERR_DATA',
      'Expected words',
    );
    await rejects(
      loadDataset(folder(wordsFiles({ 'words.csv': wordTable.replace('from', 'form') }))),
      'ERR_DATA',
      'did you mean `form`',
    );
  });
});

describe('trials', () => {
  it('keep texts, passages and groups; one matrix has plain names and no ceiling', async () => {
    const data = await loadDataset(folder(trialsFiles()));
    expect(data.stimuli).toEqual({ kind: 'trials', texts: ['One.', 'Two.', 'Three.'], passages: ['p', 'p', 'q'] });
    expect(data.groups).toEqual(['1', '1', '2']);
    expect(data.targets.map(({ name }) => name)).toEqual(['v1', 'v2']);
    expect([...data.ceilings.values]).toEqual([Number.NaN, Number.NaN]);
  });

  it('can leave responses as measured', async () => {
    const data = await loadDataset(folder(trialsFiles({ 'dataset.yaml': `${trialsYaml}  zscore: false\n` })));
    expect(data.responses.data).toEqual(Float32Array.of(1, 4, 2, 5, 4, 5));
  });

  it('can be z-scored run by run; a run without variation is 0', async () => {
    const data = await loadDataset(folder(trialsFiles({ 'dataset.yaml': `${trialsYaml}  per_run: true\n` })));
    expect(data.responses.data).toEqual(Float32Array.of(-1, -1, 1, 1, 0, 0));
    const without = trialsYaml.replace('  group: run\n', '');
    await rejects(
      loadDataset(folder(trialsFiles({ 'dataset.yaml': `${without}  per_run: true\n` }))),
      'ERR_CONFIG',
      'stimuli.group',
    );
  });

  it('must match the rows of the responses', async () => {
    await rejects(loadDataset(folder(trialsFiles({ 'voxels.csv': 'v1\n1\n2\n' }))), 'ERR_DATA', '3 stimuli', '2 rows');
  });

  it('names an empty text, a missing column, and options that do not fit', async () => {
    await rejects(
      loadDataset(folder(trialsFiles({ 'items.csv': 'sentence,story,run\nOne.,p,1\n,p,1\n' }))),
      'ERR_DATA',
      'line 3',
    );
    await rejects(loadDataset(folder(trialsFiles({ 'items.csv': 'sentence,run\nOne.,1\n' }))), 'ERR_DATA', '`story`');
    await rejects(loadDataset(folder(trialsFiles()), { include: ['1'] }), 'ERR_ARGUMENT', 'one file');
    await rejects(loadDataset(folder(trialsFiles()), { detrend: 'cubic' }), 'ERR_ARGUMENT', 'legendre:ORDER');
    await rejects(loadDataset(folder(trialsFiles()), { subjects: 'all' as 'mean' }), 'ERR_ARGUMENT', "'both'");
  });
});

describe('descriptions', () => {
  it.each([
    ['a slip in a key', 'detrend', 'respnses:', 'respnses', 'did you mean `responses`'],
    ['an unknown kind', 'kind: words', 'kind: wrods', 'stimuli.kind', '`trials`'],
    ['a volume of no length', 'tr: 2', 'tr: 0', 'stimuli.tr', 'above 0'],
    ['a path out of the folder', 'file: words.csv', 'file: ../words.csv', 'stimuli.file', '`..`'],
    ['a path out of the folder in the middle', 'file: words.csv', 'file: a/../../words.csv', 'stimuli.file', '`..`'],
    ['an absolute path', 'file: words.csv', 'file: /words.csv', 'stimuli.file', 'relative'],
    ['an unknown variable', 's{subject}', 's{subjct}', 'responses.file', '{subject}'],
    ['a form of drift', 'columns: [A, B]', 'detrend: wavelet', 'responses.detrend', '`linear`'],
    ['an exclusion without reason', 'columns: [A, B]', 'exclude: {33: }', 'responses.exclude', 'reason'],
  ])('name the line and key of %s', async (_, from, to, key, hint) => {
    const yaml = from === 'detrend' ? wordsYaml.replace('responses:', to) : wordsYaml.replace(from, to);
    const line = yaml.slice(0, yaml.indexOf(to)).split('\n').length;
    await rejects(
      loadDataset(folder(wordsFiles({ 'dataset.yaml': yaml }))),
      'ERR_CONFIG',
      `dataset.yaml:${line}:`,
      key,
      hint,
    );
  });

  it('are found by name, folder or file', async () => {
    await rejects(loadDataset('alcie'), 'ERR_NOT_FOUND', '`alice`');
    await rejects(loadDataset('/nowhere/x.yaml'), 'ERR_NOT_FOUND', 'x.yaml');
    const root = folder(trialsFiles());
    expect((await loadDataset(join(root, 'dataset.yaml'))).hash).toBe((await loadDataset(root)).hash);
    await rejects(loadDataset(root, { root: join(root, 'gone') }), 'ERR_NOT_FOUND', 'gone');
    rmSync(join(root, 'items.csv'));
    await rejects(loadDataset(root), 'ERR_NOT_FOUND', 'items.csv');
  });
});
