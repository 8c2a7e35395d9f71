/** Words to volumes, the canonical response, drift removal and controls, against NumPy and SciPy. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { canonicalHrf, checkDelays, convolveRows, type SparseRows, wordsToVolumes } from '../../lib/data/align.js';
import { controlMatrix, delayed } from '../../lib/data/controls.js';
import { driftBasis, parseDetrend, removeDrift, zscore } from '../../lib/data/detrend.js';
import type { Stimuli, Word } from '../../lib/data/types.js';

const reference = JSON.parse(readFileSync(new URL('../fixtures/data/reference.json', import.meta.url), 'utf8'));

function dense({ rowStarts, columns, weights }: SparseRows, words: number): number[][] {
  return Array.from({ length: rowStarts.length - 1 }, (_, row) => {
    const values = new Array<number>(words).fill(0);
    for (let i = rowStarts[row]!; i < rowStarts[row + 1]!; i++) values[columns[i]!] = weights[i]!;
    return values;
  });
}

function close(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number): void {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++) expect(Math.abs(got[i]! - want[i]!)).toBeLessThanOrEqual(tolerance);
}

const at = (onset: number, offset: number): Word => ({ text: 'w', onset, offset });
/** Volumes of 2 s from 10 s on. The first and the last word lie outside; the second crosses into volume 1. */
const words = [at(9, 9.5), at(10, 10.4), at(11.8, 12.4), at(12.5, 12.7), at(16, 16.5), at(18, 19)];
const volumes = { tr: 2, start: 10, rows: 4 };

describe('wordsToVolumes', () => {
  it('takes the mean, the sum or the last of the words whose middle lies in the volume', () => {
    const half = Math.fround(0.5);
    expect(dense(wordsToVolumes(words, volumes), 6)).toEqual([
      [0, 1, 0, 0, 0, 0],
      [0, 0, half, half, 0, 0],
      [0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 1, 0],
    ]);
    expect(dense(wordsToVolumes(words, { ...volumes, method: 'sum' }), 6)[1]).toEqual([0, 0, 1, 1, 0, 0]);
    expect(dense(wordsToVolumes(words, { ...volumes, method: 'last' }), 6)[1]).toEqual([0, 0, 0, 1, 0, 0]);
  });

  it('can count onsets or offsets; a volume begins with its first moment and ends before its last', () => {
    expect(dense(wordsToVolumes(words, { ...volumes, time: 'onset', method: 'sum' }), 6)[0]).toEqual([
      0, 1, 1, 0, 0, 0,
    ]);
    expect(dense(wordsToVolumes([at(11, 12), at(17, 18)], { ...volumes, time: 'offset' }), 2)).toEqual([
      [0, 0],
      [1, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  it('weighs words by Lanczos as numpy.sinc does', () => {
    const [distances, weights] = reference.lanczos as [number[], number[]];
    // Volume 5 of 11 has its middle at 11 s: a word `d` volumes before it is at 11 - 2 d.
    const placed = distances.map((d) => at(11 - 2 * d, 11 - 2 * d));
    const row = dense(wordsToVolumes(placed, { tr: 2, start: 0, rows: 11, method: 'lanczos' }), placed.length)[5]!;
    close(row, weights, 1e-7); // float32 weights of size 1
  });

  it('refuses words beside the volumes and impossible volumes', () => {
    expect(() => wordsToVolumes([at(1, 2)], volumes)).toThrow(expect.objectContaining({ code: 'ERR_DATA' }));
    expect(() => wordsToVolumes(words, { ...volumes, tr: 0 })).toThrow(RangeError);
    expect(() => wordsToVolumes(words, { ...volumes, rows: 0 })).toThrow(RangeError);
    expect(() => wordsToVolumes(words, { ...volumes, start: Number.NaN })).toThrow(RangeError);
  });
});

describe('response', () => {
  it('is the canonical double gamma', () => close(canonicalHrf(2), reference.hrf, 1e-12));

  it("is nilearn's but for its fine step: 0.04 s of a slope of at most 0.15 a second", () => {
    const ours = canonicalHrf(2).slice(0, reference.hrfNilearn.length); // nilearn leaves out the last moment
    close(ours, reference.hrfNilearn, 0.04 * 0.15);
  });

  it('is folded into the operator', () => {
    const response = Float64Array.of(0.5, 0.25);
    const folded = dense(convolveRows(wordsToVolumes(words, { ...volumes, method: 'sum' }), response), 6);
    expect(folded).toEqual([
      [0, 0.5, 0, 0, 0, 0],
      [0, 0.25, 0.5, 0.5, 0, 0],
      [0, 0, 0.25, 0.25, 0, 0],
      [0, 0, 0, 0, 0.5, 0],
    ]);
  });

  it('takes delays that are different whole numbers of volumes', () => {
    expect([...checkDelays([1, 0, 3], 4)]).toEqual([1, 0, 3]);
    for (const delays of [[], [1, 1], [-1], [4], [0.5]]) expect(() => checkDelays(delays, 4)).toThrow(RangeError);
  });
});

describe('detrend', () => {
  it.each(['linear', 'legendre:3', 'highpass:8'])('%s equals the reference', (form) => {
    const course = Float64Array.from(reference.course as number[]);
    close(removeDrift(course, driftBasis(parseDetrend(form), course.length, 2)), reference[form], 1e-12);
  });

  it('does nothing when asked to', () => {
    expect(removeDrift(Float64Array.of(1, 5), driftBasis(parseDetrend('none'), 2, 2))).toEqual(Float64Array.of(1, 5));
  });

  it('refuses unknown forms and drift that takes all rows', () => {
    for (const form of [
      'quadratic',
      'legendre',
      'legendre:0',
      'legendre:1.5',
      'legendre:21',
      'highpass:0',
      'highpass:-1',
    ])
      expect(() => parseDetrend(form)).toThrow(RangeError);
    expect(() => driftBasis(parseDetrend('legendre:6'), 7, 2)).toThrow(RangeError);
    expect(() => driftBasis(parseDetrend('highpass:2'), 7, 2)).toThrow(RangeError);
  });

  it('z-scores, and marks what cannot be', () => {
    close(zscore([1, 2, 3]), [-Math.sqrt(1.5), 0, Math.sqrt(1.5)], 1e-15);
    expect(zscore([0.1, 0.1, 0.1])).toEqual(new Float64Array(3).fill(Number.NaN));
    expect(zscore([1, Number.NaN])).toEqual(new Float64Array(2).fill(Number.NaN));
  });
});

describe('controls', () => {
  const spoken: Stimuli = { kind: 'words', words, tr: 2, start: 10 };
  const read: Stimuli = { kind: 'trials', texts: ['One two.', 'Three'] };

  it('counts words per volume, delayed', () => {
    expect(controlMatrix('word_rate', spoken, { rows: 4, delays: [0] })).toEqual({
      data: Float32Array.of(1, 2, 0, 1),
      rows: 4,
      columns: 1,
    });
    expect(controlMatrix('word_rate', spoken, { rows: 4, delays: [1, 2] })).toEqual({
      data: Float32Array.of(0, 0, 1, 0, 2, 1, 0, 2),
      rows: 4,
      columns: 2,
    });
  });

  it('convolves the word rate with the canonical response', () => {
    const rate = controlMatrix('word_rate', spoken, { rows: 4, response: 'hrf' });
    const h = reference.hrf as number[];
    close(rate.data, [h[0]!, h[1]! + 2 * h[0]!, h[2]! + 2 * h[1]!, h[3]! + 2 * h[2]! + h[0]!], 1e-6);
  });

  it('measures lengths', () => {
    expect(controlMatrix('word_rate', read, { rows: 2 }).data).toEqual(Float32Array.of(2, 1));
    expect(controlMatrix('length', read, { rows: 2 }).data).toEqual(Float32Array.of(2, 8, 1, 5));
    close(controlMatrix('length', spoken, { rows: 4, delays: [0] }).data, [1, 0.4, 2, 0.8, 0, 0, 1, 0.5], 1e-6);
    expect(() => controlMatrix('word_rate', read, { rows: 3 })).toThrow(expect.objectContaining({ code: 'ERR_DATA' }));
  });

  it('knows the place in the recording', () => {
    const { data, columns } = controlMatrix('position', read, { rows: 3 });
    expect(columns).toBe(3);
    close(data, [-1, 1, -1, 0, -0.5, 0, 1, 1, 1], 1e-7);
  });

  it('delays every column alike', () => {
    const matrix = { data: Float32Array.of(1, 2, 3, 4), rows: 2, columns: 2 };
    expect(delayed(matrix, [0, 1]).data).toEqual(Float32Array.of(1, 2, 0, 0, 3, 4, 1, 2));
  });
});
