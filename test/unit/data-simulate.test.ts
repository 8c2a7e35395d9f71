/** The simulated subject: repeatable, with the ceilings it promises, and the planted layer can be found again. */
import { CholeskyDecomposition, Matrix as Dense } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { pearson } from '../../lib/data/ceiling.js';
import { parseSimulated, simulateDataset, simulatedStimuli, simulateResponses } from '../../lib/data/simulate.js';
import { kStory } from '../../lib/data/story.js';
import type { Matrix } from '../../lib/data/types.js';
import { Random } from '../../lib/random.js';

/** Layers that resemble a residual stream: each is the one before plus as much that is new. [L, n, p] */
function stream(layers: number, rows: number, width: number, seed: number) {
  const random = new Random(seed);
  const data = new Float32Array(layers * rows * width);
  for (let i = 0; i < data.length; i++) data[i] = random.normal() + (i >= rows * width ? data[i - rows * width]! : 0);
  return { data, shape: [layers, rows, width] };
}

/** Mean r over targets of ridge (alpha 1) fitted on the first half, tested on the second. */
function score({ data, shape }: ReturnType<typeof stream>, layer: number, responses: Matrix): number {
  const [, rows, width] = shape as [number, number, number];
  const from = (matrix: Float32Array, offset: number, columns: number, begin: number, end: number) =>
    Dense.from1DArray(end - begin, columns, matrix.subarray(offset + begin * columns, offset + end * columns));
  const half = rows / 2;
  const x = from(data, layer * rows * width, width, 0, half);
  const y = from(responses.data, 0, responses.columns, 0, half);
  const gram = x.transpose().mmul(x).add(Dense.eye(width, width));
  const weights = new CholeskyDecomposition(gram).solve(x.transpose().mmul(y));
  const predicted = from(data, layer * rows * width, width, half, rows).mmul(weights);
  const truth = from(responses.data, 0, responses.columns, half, rows);
  let sum = 0;
  for (let t = 0; t < responses.columns; t++) sum += pearson(predicted.getColumn(t), truth.getColumn(t));
  return sum / responses.columns;
}

describe('random numbers', () => {
  it('are the same everywhere', () => {
    // By an implementation of the published algorithm in Python.
    const random = new Random(1);
    expect(Array.from({ length: 4 }, () => random.uint32())).toEqual([2442144158, 3238099751, 3819917871, 2104621829]);
    expect(new Random(2).uint32()).not.toBe(new Random(1).uint32());
  });

  it('are uniform and normal', () => {
    const random = new Random(7);
    const n = 20_000;
    const normals = Array.from({ length: n }, () => random.normal());
    const mean = normals.reduce((a, b) => a + b) / n;
    const variance = normals.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    // Standard errors: 1 / sqrt(n) = 0.007 and sqrt(2 / n) = 0.01; bounds are four of them.
    expect(Math.abs(mean)).toBeLessThan(0.029);
    expect(Math.abs(variance - 1)).toBeLessThan(0.04);
    const uniforms = Array.from({ length: n }, () => random.uniform());
    expect(Math.abs(uniforms.reduce((a, b) => a + b) / n - 0.5)).toBeLessThan(0.009);
    expect(uniforms.every((value) => value > 0 && value < 1)).toBe(true);
  });
});

describe('story', () => {
  it('has passages of sentences, each once', () => {
    const sentences = kStory.flat();
    expect(kStory).toHaveLength(8);
    expect(sentences).toHaveLength(80);
    expect(new Set(sentences).size).toBe(80);
    for (const sentence of sentences) expect(sentence).toMatch(/^[A-Z][\w ,']+\.$/);
  });

  it('is read sentence by sentence, or spoken word by word', () => {
    const { stimuli, rows } = simulatedStimuli('trials');
    expect(stimuli.kind === 'trials' && stimuli.passages!.filter((one) => one === '3')).toHaveLength(10);
    expect(rows).toBe(80);
    const spoken = simulatedStimuli();
    if (spoken.stimuli.kind !== 'words') throw new Error('Expected words');
    const { words, tr } = spoken.stimuli;
    expect(words.map(({ text }) => text).join(' ')).toBe(kStory.flat().join(' '));
    for (const [i, word] of words.entries()) {
      expect(word.offset).toBeGreaterThan(word.onset);
      if (i > 0) expect(word.onset).toBeGreaterThan(words[i - 1]!.offset);
    }
    expect(spoken.rows * tr).toBeGreaterThan(words.at(-1)!.offset + 3 * tr);
  });
});

describe('simulated subject', () => {
  const features = stream(6, 400, 24, 5);

  it.each([0, 3, 5])('has layer %i, and it can be found again', (layer) => {
    const { responses, ceilings } = simulateResponses(features, { layer, snr: 2, seed: 4 });
    const scores = Array.from({ length: 6 }, (_, l) => score(features, l, responses));
    const best = scores.indexOf(Math.max(...scores));
    expect(best).toBe(layer);
    expect(scores[layer]! / ceilings.values[0]!).toBeGreaterThan(0.9);
    expect(scores[layer]!).toBeLessThan(ceilings.values[0]! + 0.05);
  });

  it('reaches the ceilings it gives', () => {
    const tall = stream(1, 10_000, 4, 2);
    const options = { targets: 2, subjects: 3, snr: 0.5, seed: 8 };
    const noiseless = simulateResponses(tall, { ...options, snr: 1e6 }).responses;
    const { responses, ceilings, targets } = simulateResponses(tall, { ...options, mode: 'both' });
    expect(targets.map(({ name }) => name)).toEqual([
      'planted1',
      'planted2',
      's1:planted1',
      's1:planted2',
      's2:planted1',
      's2:planted2',
      's3:planted1',
      's3:planted2',
    ]);
    const column = ({ data, rows, columns }: Matrix, c: number) =>
      Array.from({ length: rows }, (_, row) => data[row * columns + c]!);
    for (let c = 0; c < 8; c++) {
      // n = 10,000: the standard error of r is below 0.01; bounds are four of them.
      const r = pearson(column(responses, c), column(noiseless, c % 2));
      expect(Math.abs(r - ceilings.values[c]!)).toBeLessThan(0.04);
    }
    expect(ceilings.values[0]).toBeCloseTo(Math.sqrt(1.5 / 2.5), 12);
    expect(ceilings.values[7]).toBeCloseTo(Math.sqrt(0.5 / 1.5), 12);
  });

  it('is a data set that says what it is, the same for the same options', () => {
    const { stimuli } = simulatedStimuli('trials');
    const small = stream(3, 80, 5, 1);
    const data = simulateDataset(stimuli, small, { model: 'tiny', seed: 3 });
    expect(data).toMatchObject({ simulated: true, name: 'simulated' });
    expect(data.notes[0]).toContain('layer 1 of tiny');
    expect(data.groups).toHaveLength(80);
    expect(simulateDataset(stimuli, small, { model: 'tiny', seed: 3 })).toEqual(data);
    expect(simulateDataset(stimuli, small, { seed: 4 }).hash).not.toBe(data.hash);
  });

  it('refuses what cannot be', () => {
    expect(() => simulateResponses(features, { layer: 6 })).toThrow(RangeError);
    expect(() => simulateResponses(features, { snr: 0 })).toThrow(RangeError);
    expect(() => simulateResponses(features, { subjects: 1.5 })).toThrow(RangeError);
    expect(() => simulateResponses({ data: new Float32Array(5), shape: [1, 2, 3] })).toThrow(RangeError);
    const flat = { data: new Float32Array(6).fill(3), shape: [1, 3, 2] };
    expect(() => simulateResponses(flat)).toThrow(expect.objectContaining({ code: 'ERR_DATA' }));
  });

  it('is named with its options', () => {
    expect(parseSimulated('simulated')).toEqual({ kind: 'words', targets: 4, subjects: 5, snr: 1, seed: 0 });
    expect(parseSimulated('simulated:kind=trials, layer=2,snr=0.5')).toMatchObject({
      kind: 'trials',
      layer: 2,
      snr: 0.5,
    });
    for (const name of [
      'simulate',
      'simulated:layer=x',
      'simulated:layer=',
      'simulated:colour=red',
      'simulated:kind=x',
    ])
      expect(() => parseSimulated(name)).toThrow(RangeError);
  });
});
