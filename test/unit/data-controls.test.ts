/** Control features against their definitions, and OASM against scipy. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { controlMatrix, kControls } from '../../lib/data/controls.js';
import type { Matrix, Stimuli } from '../../lib/data/types.js';
import { letters, randomVector, zipf } from '../../lib/data/words.js';
import { encode } from '../../lib/encode/encode.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';
import { autoregressive, matrixOf } from '../helpers/series.js';

const { oasm } = JSON.parse(readFileSync(new URL('../fixtures/data/reference.json', import.meta.url), 'utf8'));

const texts = ['The cat sat.', 'A zymurgy!', 'It is what it is'];
const trials: Stimuli = { kind: 'trials', texts, passages: ['a', 'a', 'b'] };
const words: Stimuli = {
  kind: 'words',
  tr: 1,
  start: 0,
  words: ['The', 'cat', 'sat', 'the'].map((text, i) => ({ text, onset: i * 0.7, offset: i * 0.7 + 0.4 })),
};

const column = ({ data, rows, columns }: Matrix, c: number) =>
  Array.from({ length: rows }, (_, i) => data[i * columns + c]!);

describe('what is known of words', () => {
  it('letters, without punctuation', () => {
    expect(['cat', "don't!", 'über', '1984', '...'].map(letters)).toEqual([3, 4, 4, 0, 0]);
  });

  it('how common they are: Zipf values of SUBTLEX-US', () => {
    // 2,134,713 occurrences of `you` in the list's 49.7 million words; van Heuven et al. give 7.6.
    expect(zipf('you')).toBeCloseTo(Math.log10((2134713 + 1) / (49719560 + 74286)) + 9, 3);
    expect(zipf('You,')).toBe(zipf('you'));
    expect(zipf('zymurgy')).toBeLessThan(2);
    expect(zipf('qwrtzxc')).toBeLessThan(zipf('zymurgy'));
    expect(zipf('don’t')).toBe(zipf("don't"));
  });

  it('a random vector of their own', () => {
    expect(randomVector('cat', 4, 0)).toEqual(randomVector('Cat.', 4, 0));
    expect(randomVector('cat', 4, 0)).not.toEqual(randomVector('dog', 4, 0));
    expect(randomVector('cat', 4, 1)).not.toEqual(randomVector('cat', 4, 0));
  });
});

describe('controls', () => {
  it('of texts are means over their words', () => {
    expect(column(controlMatrix('word_length', trials, { rows: 3 }), 0)).toEqual([3, 4, Math.fround(12 / 5)]);
    const frequency = column(controlMatrix('word_frequency', trials, { rows: 3 }), 0);
    expect(frequency[0]).toBeCloseTo((zipf('the') + zipf('cat') + zipf('sat')) / 3, 5);
    expect(controlMatrix('random_embeddings', trials, { rows: 3 }).columns).toBe(64);
  });

  it('of words are means over the words of a volume, with delays', () => {
    // Middles at 0.2, 0.9, 1.6, 2.3 s: two words, one and one.
    const options = { rows: 3, delays: [0, 1] };
    const frequency = controlMatrix('word_frequency', words, options);
    expect(frequency.columns).toBe(2);
    expect(column(frequency, 0)[0]).toBeCloseTo((zipf('the') + zipf('cat')) / 2, 5);
    expect(column(frequency, 1)[1]).toBe(column(frequency, 0)[0]);
    const random = controlMatrix('random_embeddings', words, { rows: 3, delays: [0] });
    expect(column(random, 5)[2]).toBeCloseTo(randomVector('the', 64, 0)[5]!, 6);
  });

  it('know the place in a passage', () => {
    const place = controlMatrix('passage_position', trials, { rows: 3 });
    expect(column(place, 0)).toEqual([-1, 1, 0]);
    const runs = controlMatrix('passage_position', words, { rows: 4, groups: [1, 1, 2, 2] });
    expect(column(runs, 0)).toEqual([-1, 1, -1, 1]);
    expect(controlMatrix('passage_position', words, { rows: 4 })).toEqual(
      controlMatrix('position', words, { rows: 4 }),
    );
  });

  it('OASM is the smoothed identity of scipy, run by run', () => {
    const groups = [...new Array(7).fill('a'), ...new Array(4).fill('b')];
    const { data, rows, columns } = controlMatrix('oasm', words, { rows: 11, groups, sigma: 1.5 });
    expect([rows, columns]).toEqual([11, 11]);
    for (let i = 0; i < 11; i++)
      for (let j = 0; j < 11; j++) {
        const [run, from] = i < 7 ? [oasm[0], 0] : [oasm[1], 7];
        const expected = i < 7 === j < 7 ? run[i - from][j - from] : 0;
        expect(data[i * 11 + j]).toBeCloseTo(expected, 6);
      }
  });

  it('OASM predicts what is only autocorrelated under shuffled folds, and not where whole runs are held out', async () => {
    const random = new Random(3);
    const n = 120;
    const groups = Array.from({ length: n }, (_, i) => Math.floor(i / 20));
    const { data } = controlMatrix('oasm', words, { rows: n, groups });
    using features = Tensor.from(data, [1, n, n]);
    const responses = matrixOf(Array.from({ length: 10 }, () => autoregressive(n, 0.9, random)));
    const mean = async (folds: string) => {
      const { layers } = await encode(features, responses, { folds, groups });
      return layers[0]!.targets.reduce((sum, { r }) => sum + (Number.isNaN(r) ? 0 : r) / 10, 0);
    };
    expect(await mean('shuffled:5:0')).toBeGreaterThan(0.5);
    expect(Math.abs(await mean('grouped'))).toBeLessThan(0.1);
  });

  it('are all there, and are refused what does not fit', () => {
    for (const control of Object.keys(kControls) as (keyof typeof kControls)[]) {
      expect(controlMatrix(control, trials, { rows: 3 }).rows).toBe(3);
      expect(controlMatrix(control, words, { rows: 4, response: 'hrf' }).rows).toBe(4);
    }
    expect(() => controlMatrix('oasm', trials, { rows: 5 })).toThrow(/Expected 5 texts/);
    expect(() => controlMatrix('oasm', words, { rows: 4, groups: [1] })).toThrow(/one for each of the 4 rows/);
    expect(() => controlMatrix('oasm', words, { rows: 4, sigma: 0 })).toThrow(/above 0/);
  });
});
