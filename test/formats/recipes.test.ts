/** The descriptions of public data sets: each is whole, and reads small copies in the layout of the real files. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readDescription } from '../../lib/config.js';
import { checkDataset } from '../../lib/data/check.js';
import { loadDataset } from '../../lib/data/dataset.js';
import { readMatrix } from '../../lib/data/formats/index.js';
import { parseDelimited } from '../../lib/data/formats/table.js';
import { descriptionPath, knownDatasets } from '../../lib/data/paths.js';
import { recognise } from '../../lib/data/recognise.js';
import { kDatasetSchema } from '../../lib/data/schema.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { kMakingTime, madeFiles, npy } from './made-files.js';

const scratch = temporaryFolder();
let made = '';
beforeAll(async () => {
  made = await madeFiles();
}, kMakingTime);
const copy = (name: string) => join(made, 'recipes', name);

describe('every description', () => {
  it('of the field is there', () => {
    expect(knownDatasets()).toEqual([
      'alice',
      'blank2014',
      'bold5000',
      'fedorenko2016',
      'lebel2023',
      'narratives',
      'natural-stories',
      'nsd',
      'objects92',
      'pereira2018',
      'things-fmri',
      'tuckute2024',
    ]);
  });

  it.each(knownDatasets())(
    '%s says what to cite, where to get it, its files, and whether it was tried',
    async (name) => {
      const file = descriptionPath(name);
      const { value } = await readDescription(file, kDatasetSchema);
      expect(value.name).toBe(name);
      expect(value.citation).toMatch(/\(\d{4}\)/);
      expect(value.licence).not.toBe('');
      expect(value.source).toContain('https://');
      expect(value.files.length).toBeGreaterThan(0);
      expect(typeof value.tried).toBe('boolean');
      if (value.sums === undefined) return;
      const { rows } = parseDelimited(readFileSync(join(file, '..', value.sums), 'utf8'), value.sums, '\t');
      expect(rows[0]).toEqual(['path', 'bytes', 'md5']);
      for (const [path, bytes, md5] of rows.slice(1)) {
        expect(path).not.toMatch(/^\/|\.\.|\\/);
        expect(Number(bytes)).toBeGreaterThan(0);
        expect(md5).toMatch(/^[0-9a-f]{32}$/);
      }
      expect(new Set(rows.map(([path]) => path)).size).toBe(rows.length);
    },
  );
});

describe('copies in the layout of the real files', () => {
  it('pereira2018: rows of one experiment, people without it left out', async () => {
    const root = copy('pereira2018');
    const first = await loadDataset('pereira2018', { root });
    expect(first.responses).toMatchObject({ rows: 6, columns: 4 });
    expect(first.stimuli).toMatchObject({ kind: 'trials', texts: ['S0.', 'S1.', 'S2.', 'S3.', 'S4.', 'S5.'] });
    expect(first.stimuli.kind === 'trials' && first.stimuli.passages).toEqual(['P0', 'P0', 'P1', 'P1', 'P2', 'P2']);
    expect(first.notes.join(' ')).toMatch(/left out all columns: not finite/);
    const second = await loadDataset('pereira2018', { root, variant: '243sentences' });
    expect(second.responses).toMatchObject({ rows: 4, columns: 6 });
    const check = await checkDataset('pereira2018', { root });
    expect(check.ok).toBe(false); // it is a made one
    expect(check.files[0]).toMatchObject({ state: 'wrong checksum' });
  });

  it.each([
    ['tuckute2024', 12, ['lang_LH_netw'], undefined],
    ['blank2014', 12, ['s088:01_LH_PostTemp', 's088:02_LH_AntTemp', 's085:01_LH_PostTemp', 's085:02_LH_AntTemp'], 2],
    ['fedorenko2016', 16, ['S1:0', 'S1:1', 'S2:2'], 2],
  ])('%s: the columns by the names that Brain-Score packs', async (name, rows, columns, groups) => {
    const data = await loadDataset(name, { root: copy(name) });
    expect(data.responses.rows).toBe(rows);
    expect(data.targets.map((target) => target.name)).toEqual(columns);
    expect(data.stimuli.kind === 'trials' && data.stimuli.texts).toHaveLength(rows);
    expect(data.groups && new Set(data.groups).size).toBe(groups);
  });

  it('lebel2023: 26 stories one after the other', async () => {
    const data = await loadDataset('lebel2023', { root: copy('lebel2023') });
    expect(data.responses).toMatchObject({ rows: 26 * 9, columns: 4 });
    if (data.stimuli.kind !== 'words') throw new Error('Expected words');
    // Of each story, the words after its tenth second and before the end of its volumes.
    expect(data.stimuli.words).toHaveLength(26 * 8);
    expect(data.stimuli.words[8]).toEqual({ text: 'once', onset: 11 + 18, offset: 12 + 18 });
    expect(new Set(data.groups).size).toBe(26);
  });

  it('narratives: words of a table without header, some without times', async () => {
    const data = await loadDataset('narratives', { root: copy('narratives') });
    expect(data.responses).toMatchObject({ rows: 20, columns: 12 });
    expect(data.stimuli.kind === 'words' && data.stimuli.words.map(({ text }) => text)).toEqual(['So', 'I', 'went']);
    const { ok, reading } = await checkDataset('narratives', { root: copy('narratives') });
    expect([ok, reading]).toEqual([true, 'Reads: 20 rows, 12 targets, 3 words.']);
    expect(await recognise(copy('narratives'), knownDatasets())).toBe('narratives');
  });

  it('things-fmri: rows are voxels', async () => {
    const path = join(copy('things-fmri'), 'betas_csv', 'sub-01_ResponseData.h5');
    const { matrix } = await readMatrix(path, { key: 'ResponseData/block0_values', transpose: true });
    expect(matrix).toEqual(npy(made, 'responses.npy'));
    const { ok, reading } = await checkDataset('things-fmri', { root: copy('things-fmri') });
    expect(ok).toBe(true);
    expect(reading).toContain('no texts');
  });

  it('natural-stories: words in the order of the stories', async () => {
    const root = mkdtempSync(join(scratch, 'stories-'));
    writeFileSync(
      join(root, 'dataset.yaml'),
      readFileSync(descriptionPath('natural-stories'), 'utf8')
        .replaceAll('naturalstories_RTS/', '')
        .replace(/^root:\n(?: .*\n)+/m, ''),
    );
    writeFileSync(
      join(root, 'processed_wordinfo.tsv'),
      'word\tzone\titem\tgmeanItemRT\nAnd\t1\t2\t300\nso\t10\t1\t320\nIf\t1\t1\t310\nyou\t2\t1\t330\nit\t2\t2\t350\nwas\t10\t2\t340\n',
    );
    const { stimuli, groups, responses } = await loadDataset(root);
    expect(stimuli.kind === 'trials' && stimuli.texts).toEqual(['If', 'you', 'so', 'And', 'it', 'was']);
    expect(groups).toEqual(['1', '1', '1', '2', '2', '2']);
    // z-scored within each story: 310, 330, 320 and 300, 350, 340
    expect(responses.data[0]).toBeCloseTo(-Math.sqrt(1.5), 5);
    expect(responses.data[4]).toBeCloseTo(20 / Math.sqrt(1400 / 3), 5);
  });
});
