/** The Alice data set against NumPy's reading of the same files. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { wordsToVolumes } from '../../lib/data/align.js';
import { pearson } from '../../lib/data/ceiling.js';
import { checkDataset } from '../../lib/data/check.js';
import { controlMatrix } from '../../lib/data/controls.js';
import { loadDataset } from '../../lib/data/dataset.js';

const root = fileURLToPath(new URL('../../../shared/data/alice', import.meta.url));
const { alice } = JSON.parse(readFileSync(new URL('../fixtures/data/reference.json', import.meta.url), 'utf8'));

// The files are not part of the project (their licence asks for a citation, and they are large).
describe.skipIf(!existsSync(root))(`Alice (skipped without the files in ../shared/data/alice)`, () => {
  it('has 27 people, 362 volumes, 6 regions and 2127 words', async () => {
    const data = await loadDataset('alice', { root });
    expect([data.responses.rows, data.responses.columns]).toEqual([362, 6]);
    expect(data.targets.map(({ name }) => name)).toEqual(['LATL', 'RATL', 'LPTL', 'LIPL', 'LPreM', 'LIFG']);
    expect(data.stimuli.kind === 'words' && data.stimuli.words).toHaveLength(alice.words);
    expect(data.notes).toEqual(['Left out s33: its time courses are all zero.']);
    expect(data.name).toBe('alice (6mm)');
    const each = await loadDataset('alice', { root, subjects: 'each', variant: '10mm' });
    expect(each.targets).toHaveLength(27 * 6);
  });

  it('is whole by its description: sizes, checksums, shapes', async () => {
    const { ok, files } = await checkDataset('alice', { root });
    expect([ok, files.map(({ state }) => state)]).toEqual([true, ['found', 'found', 'found']]);
  });

  it('has the group mean and ceilings that NumPy finds', async () => {
    const { responses, ceilings } = await loadDataset('alice', { root });
    // Courses are read as float32: 8 digits of values near 100, whose changes are about 1; the mean over 27 is better.
    for (let c = 0; c < 6; c++) {
      expect(responses.data[c]).toBeCloseTo(alice.firstRow[c], 5);
      expect(responses.data[361 * 6 + c]).toBeCloseTo(alice.lastRow[c], 5);
      expect(ceilings.values[c]).toBeCloseTo(alice.ceilings[c], 5);
    }
  });

  it('has a ceiling for every person: agreement with the others', async () => {
    const { ceilings, targets } = await loadDataset('alice', { root, subjects: 'each' });
    expect(targets[0]!.name).toBe('s18:LATL');
    for (const [c, r] of (alice.firstSubjectCeilings as number[]).entries()) {
      if (r > 0) expect(ceilings.values[c]).toBeCloseTo(r, 5);
      else expect(ceilings.values[c]).toBeNaN();
    }
  });

  it('puts the words into the volumes', async () => {
    const { stimuli, responses } = await loadDataset('alice', { root });
    if (stimuli.kind !== 'words') throw new Error('Alice has words');
    const { data } = controlMatrix('word_rate', stimuli, { rows: responses.rows, delays: [0] });
    expect([...data]).toEqual(alice.wordRate);
    const { rowStarts } = wordsToVolumes(stimuli.words, { tr: stimuli.tr, start: stimuli.start, rows: responses.rows });
    expect(rowStarts.at(-1)).toBe(alice.words);
  });

  it('agrees with the authors on when words were heard', async () => {
    const { stimuli, responses } = await loadDataset('alice', { root });
    const ours = controlMatrix('word_rate', stimuli, { rows: responses.rows, response: 'hrf' }).data;
    const theirs = readFileSync(`${root}/responses/s18-rate.txt`, 'utf8').trim().split('\n').map(Number);
    // Theirs is sampled at the beginning of volumes, ours at their middle, 1 s later; a whole volume more or less gives 0.84 at most.
    expect(pearson(ours, theirs)).toBeGreaterThan(0.9);
  });
});
