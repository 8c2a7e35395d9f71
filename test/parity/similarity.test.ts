/**
 * Matching, RDMs, their comparisons and ceilings, CKA and Procrustes against rsatoolbox, scipy and numpy
 * (test/parity/make_similarity_goldens.py made the goldens; versions and seeds are in it).
 *
 * Tolerance: sums of at most 4,186 float64 products of values near 1 err by less than 4186 * 2^-53 = 5e-13; distances lose a few digits more,
 * as squares of 30 columns are subtracted. Counts and ranks are equal.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { matchRows } from '../../lib/analysis/match.js';
import {
  compareRdms,
  kDissimilarities,
  kRdmComparisons,
  type Rdm,
  rdmOfSquare,
  rdms,
  rsaCeiling,
} from '../../lib/analysis/rdm.js';
import { layerSimilarity } from '../../lib/analysis/similarity.js';
import { type MatValue, parseMat } from '../../lib/data/formats/mat.js';
import { Tensor } from '../../lib/tensor.js';
import { expectClose } from '../helpers/arrays.js';

const golden = JSON.parse(readFileSync(new URL('../fixtures/analysis/similarity.json', import.meta.url), 'utf8'));
const { n, p, q } = golden;
const tensor = (values: number[], columns: number) => Tensor.from(Float32Array.from(values), [n, columns]);
const kTolerance = 1e-11;

type Rsa = Record<string, { lower: number; upper: number; pairs: number[] }>;

function expectRsa(subjects: readonly ArrayLike<number>[], reference: Rsa): void {
  for (const comparison of kRdmComparisons) {
    const { lower, upper, pairs } = reference[comparison]!;
    const ours = subjects.flatMap((a, i) => subjects.slice(i + 1).map((b) => compareRdms(a, b, comparison)));
    expectClose(ours, pairs, kTolerance, comparison);
    const ceiling = rsaCeiling(subjects, comparison);
    expectClose([ceiling.lower, ceiling.upper], [lower, upper], kTolerance, `${comparison} ceiling`);
  }
}

describe('matching', () => {
  it.each(['correlation', 'cosine'] as const)('counts as a double loop does, %s', async (metric) => {
    using predicted = tensor(golden.predicted, p);
    using actual = tensor(golden.actual, p);
    const [score] = await matchRows(predicted, actual, { metric });
    const { wins, ranks } = golden.match[metric];
    expect(score!.twoVsTwo).toBe(wins / ((n * (n - 1)) / 2));
    expect([...score!.ranks]).toEqual(ranks);
  });
});

describe('representation similarity', () => {
  it.each(kDissimilarities)('has the %s dissimilarities of the references', async (metric) => {
    using values = tensor(golden.actual, p);
    const [rdm] = await rdms(values, { metric });
    expectClose(rdm!, golden.rdm[metric], kTolerance);
  });

  it('has the comparisons and ceilings of rsatoolbox', () => expectRsa(golden.subjects, golden.rsa));

  it('has CKA and the Procrustes distance of the references', async () => {
    using a = tensor(golden.actual, p);
    using b = tensor(golden.other, q);
    using d = tensor(golden.predicted, p);
    const one = async (x: Tensor, y: Tensor, measure: 'cka' | 'cka-debiased' | 'procrustes') =>
      (await layerSimilarity(x, y, { measure }))[0]![0]!;
    expect(await one(a, b, 'cka')).toBeCloseTo(golden.cka, 11);
    expect(await one(a, b, 'cka-debiased')).toBeCloseTo(golden.ckaDebiased, 11);
    expect(await one(a, d, 'cka-debiased')).toBeCloseTo(golden.ckaWide, 11);
    expect(await one(a, b, 'procrustes')).toBeCloseTo(golden.procrustes, 11);
    expect(await one(b, a, 'procrustes')).toBeCloseTo(golden.procrustes, 11);
    expect(await one(a, a, 'procrustes')).toBeCloseTo(0, 12);
  });
});

const root = [process.env.CORTUNE_DATA, fileURLToPath(new URL('../../../shared/data', import.meta.url))]
  .filter((folder) => folder !== undefined)
  .map((folder) => `${folder}/objects92`)
  .find((folder) => existsSync(folder));

/** The RDM in an element of a structure: a square matrix, or the vector above its diagonal. */
function rdmsOf(value: MatValue | undefined): Rdm[] {
  if (value?.kind !== 'struct') throw new Error('Expected a structure');
  return value.fields.get('RDM')!.map((each) => {
    if (each.kind !== 'numbers') throw new Error('Expected numbers');
    return each.shape.includes(1) ? each.values : rdmOfSquare(each.values, each.shape[0]!);
  });
}

// Kriegeskorte et al. (2008) and Mur et al. (2013), as distributed with rsatoolbox; not part of the project.
describe.skipIf(root === undefined)('92 objects (skipped without the files in the data folder)', () => {
  const read = (name: string) => parseMat(readFileSync(`${root}/${name}`), name);

  it('has rsatoolbox numbers for the brains of four people', () => {
    const sessions = rdmsOf(read('92_brainRDMs.mat').get('RDMs'));
    expect(sessions).toHaveLength(8); // [1, 4 subjects, 2 sessions], column-major
    expectClose(sessions[0]!.slice(0, 3), golden.objects.firstPairs, 1e-12);
    const subjects = [0, 1, 2, 3].map((s) => sessions[s]!.map((value, i) => (value + sessions[s + 4]![i]!) / 2));
    expectRsa(subjects, golden.objects.brain);
  });

  it('has rsatoolbox numbers for the judgements of sixteen people', () =>
    expectRsa(rdmsOf(read('92_behavRDMs.mat').get('rdms_behav_92')), golden.objects.behaviour));

  it('has rsatoolbox numbers for monkey against human, and reads cells, texts and images', () => {
    const variables = read('Kriegeskorte_Neuron2008_supplementalData.mat');
    expectRsa(rdmsOf(variables.get('RDMs_mIT_hIT_fig1')), golden.objects.species);
    const labels = variables.get('categoryLabels');
    expect(labels?.kind === 'cell' && labels.cells.map((cell) => cell.kind)).toEqual(new Array(12).fill('text'));
    const images = variables.get('stimuli_92objs');
    const image = images?.kind === 'struct' && images.fields.get('image')![91]!;
    expect(image ? image.shape : undefined).toEqual([175, 175, 3]);
  });
});
