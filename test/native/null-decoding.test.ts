/**
 * What the tests of decoding, classifiers and representation similarity promise, on simulations: with no effect they reject at 5 % within the
 * binomial interval, with one they find it. See null.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { classify } from '../../lib/analysis/classify.js';
import { type DecodeOptions, decode } from '../../lib/analysis/decode.js';
import { matchRows } from '../../lib/analysis/match.js';
import { rdms } from '../../lib/analysis/rdm.js';
import { fitRdms } from '../../lib/analysis/rsa.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';
import { autoregressive, binomialBounds, expectNullRate, matrixOf } from '../helpers/series.js';

const series = (n: number, count: number, phi: number, random: Random) =>
  Array.from({ length: count }, () => autoregressive(n, phi, random));

describe('matching of decoded rows', () => {
  /** Every layer is a study: predicted rows, and true rows that are `share` of them. */
  function decoded(studies: number, n: number, phi: number, share: number) {
    const random = new Random(91);
    const width = 6;
    const [a, b] = [new Float32Array(studies * n * width), new Float32Array(studies * n * width)];
    for (let s = 0; s < studies; s++)
      for (let c = 0; c < width; c++) {
        const [x, y] = series(n, 2, phi, random) as [Float64Array, Float64Array];
        for (let row = 0; row < n; row++) {
          a[(s * n + row) * width + c] = x[row]!;
          b[(s * n + row) * width + c] = share * x[row]! + Math.sqrt(1 - share * share) * y[row]!;
        }
      }
    return { predicted: Tensor.from(a, [studies, n, width]), actual: Tensor.from(b, [studies, n, width]) };
  }

  it.each([
    ['rows', 0, 30],
    ['circular', 0.6, 60],
    ['block:15', 0.6, 90],
  ] as const)('2v2 accuracy by exchanged %s at autocorrelation %s: one in twenty', async (exchange, phi, n) => {
    const { predicted, actual } = decoded(500, n, phi, 0);
    using a = predicted;
    using b = actual;
    const found = await matchRows(a, b, { exchange, permutations: 39, seed: 5 });
    expectNullRate(found.map(({ p }) => p));
    const mean = (key: 'twoVsTwo' | 'rankAccuracy' | 'identification') =>
      found.reduce((sum, score) => sum + score[key] / found.length, 0);
    // Chance: a half, a half, and one in n. Standard errors over 500 studies are below 0.005.
    expect(Math.abs(mean('twoVsTwo') - 0.5)).toBeLessThan(0.015);
    expect(Math.abs(mean('rankAccuracy') - 0.5)).toBeLessThan(0.015);
    expect(Math.abs(mean('identification') - 1 / n)).toBeLessThan(0.01);
  });

  it('finds a planted likeness', async () => {
    const { predicted, actual } = decoded(100, 60, 0.6, 0.3);
    using a = predicted;
    using b = actual;
    // One shift in sixty is none at all, so a few of the exchanges are the observed order: more of them tell better.
    const found = await matchRows(a, b, { exchange: 'circular', permutations: 299 });
    expect(found.filter(({ p }) => p <= 0.05).length).toBeGreaterThan(90);
  });
});

describe('decoding over several folds', () => {
  interface Case {
    phi: number;
    n: number;
    /** Of each embedding column, that the responses hold. */
    share?: number;
  }

  /** p of `layers` layers in each of `studies` studies: embeddings and responses of autocorrelation phi. */
  async function studies(count: number, layers: number, { phi, n, share = 0 }: Case, how: DecodeOptions) {
    const [width, voxels] = [6, 5];
    const p: number[] = [];
    for (let study = 0; study < count; study++) {
      const random = new Random(4000 + study);
      const courses = series(n, voxels, phi, random);
      const columns = Array.from({ length: layers * width }, (_, c) => {
        const own = autoregressive(n, phi, random);
        const other = courses[c % voxels]!;
        return own.map((value, i) => Math.sqrt(1 - share * share) * value + share * other[i]!);
      });
      const values = Float32Array.from({ length: layers * n * width }, (_, i) => {
        const [layer, row] = [Math.floor(i / (n * width)), Math.floor(i / width) % n];
        return columns[layer * width + (i % width)]![row]!;
      });
      using embeddings = Tensor.from(values, [layers, n, width]);
      const options = { folds: 'contiguous:3', innerFolds: 3, alphas: [1, 100, 10_000], permutations: 19, seed: study };
      const found = await decode(matrixOf(courses), embeddings, { ...options, ...how });
      p.push(...found.layers.map((layer) => layer.p));
    }
    return p;
  }

  const white = { phi: 0, n: 60 };
  const slow = { phi: 0.6, n: 90 };
  it.each([
    ['rows', 'fixed', white, {}],
    ['rows', 'fixed', white, { within: 'fold' }],
    ['circular', 'fixed', slow, {}],
    ['circular', 'fixed', slow, { within: 'fold' }],
    ['circular', 'reselect', slow, { within: 'fold' }],
    ['phase', 'fixed', slow, { within: 'fold' }],
    ['block:15', 'fixed', slow, { columns: 'raw', metric: 'cosine' }],
  ] as const)('2v2 accuracy by exchanged %s, alphas %s, %j %j: one in twenty', async (exchange, refit, data, how) => {
    expectNullRate(await studies(refit === 'fixed' ? 30 : 15, 20, data, { exchange, refit, ...how }));
  });

  it('would be called too often with held-out rows exchanged alone: folds are predicted from each other', async () => {
    const how = { exchange: 'circular', refit: 'none', within: 'fold', folds: 'contiguous:5' } as const;
    const p = await studies(30, 20, { phi: 0.8, n: 120 }, how);
    const { to } = binomialBounds(p.length, 0.05);
    expect(p.filter((value) => value <= 0.05).length / p.length).toBeGreaterThan(to);
  });

  it.each([
    ['rows', white, {}],
    ['circular', slow, {}],
    ['circular', slow, { within: 'fold' }],
  ] as const)('finds a planted effect by exchanged %s, %j %j', async (exchange, data, how) => {
    const p = await studies(4, 10, { ...data, share: 0.5 }, { exchange, ...how, permutations: 99 });
    expect(p.filter((value) => value <= 0.05).length).toBeGreaterThan(36);
  });
});

describe('classifiers', () => {
  /** Two classes in stretches of `run` rows, features of autocorrelation phi, `apart` between the classes. */
  function labelled(seed: number, run: number, phi: number, apart: number) {
    const random = new Random(seed);
    const labels = Array.from({ length: 72 / run }, () => (random.uniform() < 0.5 ? 'a' : 'b')).flatMap((label) =>
      new Array<string>(run).fill(label),
    );
    const columns = series(72, 3, phi, random).map((course, c) =>
      course.map((value, i) => value + (c === 0 && labels[i] === 'a' ? apart : 0)),
    );
    return { labels, features: Tensor.from(matrixOf(columns).data, [72, 3]) };
  }

  async function studies(count: number, run: number, phi: number, apart: number, how: Parameters<typeof classify>[2]) {
    const p: number[] = [];
    for (let study = 0; study < count; study++) {
      const { labels, features } = labelled(1000 + study, run, phi, apart);
      using kept = features;
      const options = { folds: 'contiguous:3', alphas: [10], permutations: 39, seed: study, ...how };
      p.push((await classify(kept, labels, options)).p);
    }
    return p;
  }

  it.each([
    ['ridge', 'rows', 1, 0, 300],
    ['logistic', 'rows', 1, 0, 150],
    ['ridge', 'circular', 3, 0.7, 300],
  ] as const)('%s, labels exchanged by %s: one in twenty', async (classifier, exchange, run, phi, count) => {
    expectNullRate(await studies(count, run, phi, 0, { classifier, exchange, permutations: 19 }));
  });

  it.each(['ridge', 'logistic'] as const)('%s finds classes that lie apart', async (classifier) => {
    const p = await studies(30, 1, 0, 1.5, { classifier });
    expect(p.filter((value) => value <= 0.05).length).toBeGreaterThan(27);
  });
});

describe('representation similarity', () => {
  /** RDMs of a model, and of subjects that share `share` of its geometry. */
  async function geometries(seed: number, share: number, people: number) {
    const random = new Random(seed);
    const [n, p] = [12, 5];
    const model = Float32Array.from({ length: n * p }, () => random.normal());
    const common = Float32Array.from({ length: n * p }, () => random.normal());
    const values = [model];
    for (let s = 0; s < people; s++)
      values.push(model.map((value, i) => share * value + (1 - share) * common[i]! + 0.7 * random.normal()));
    using stacked = Tensor.from(Float32Array.from(values.flatMap((each) => [...each])), [people + 1, n, p]);
    const [first, ...rest] = await rdms(stacked, { metric: 'euclidean' });
    return { model: first!, subjects: rest };
  }

  it.each(['spearman', 'cosine'] as const)('relabelled stimuli reject one study in twenty, %s', async (comparison) => {
    const p: number[] = [];
    for (let study = 0; study < 500; study++) {
      const { model, subjects } = await geometries(study, 0, 2);
      p.push(fitRdms([model], subjects, { comparison, permutations: 79, resamples: 0, seed: study }).fits[0]!.p);
    }
    expectNullRate(p);
  });

  it('find a shared geometry, within its ceiling', async () => {
    let found = 0;
    for (let study = 0; study < 40; study++) {
      const { model, subjects } = await geometries(900 + study, 0.8, 4);
      const { fits, ceiling } = fitRdms([model], subjects, { permutations: 79, resamples: 0, seed: study });
      if (fits[0]!.p <= 0.05) found++;
      expect(fits[0]!.similarity).toBeLessThan(ceiling.upper + 0.05);
    }
    expect(found).toBeGreaterThan(36);
  });
});
