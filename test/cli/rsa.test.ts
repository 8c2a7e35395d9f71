/** `cortune rsa`: fits with ceilings, relabelled stimuli, layers against layers, and what is wrong in one sentence. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareRdms, rdms } from '../../lib/analysis/rdm.js';
import { fitRdms } from '../../lib/analysis/rsa.js';
import { Random } from '../../lib/random.js';
import { Tensor } from '../../lib/tensor.js';
import { binomialBounds } from '../helpers/series.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cortune-rsa-'));
const at = (name: string) => join(folder, name);
const people = ['s1.csv', 's2.csv', 's3.csv'].map(at);
const [n, p] = [24, 10];

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'rsa', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const noise = (random: Random, count: number) => Float32Array.from({ length: count }, () => random.normal());
const rowsOf = (values: Float32Array, width: number) =>
  Array.from({ length: values.length / width }, (_, i) => [...values.subarray(i * width, (i + 1) * width)]);
const csv = (rows: number[][]) =>
  `${rows[0]!.map((_, c) => `c${c}`).join(',')}\n${rows.map((row) => row.join(',')).join('\n')}\n`;

beforeAll(() => {
  const random = new Random(3);
  const shared = noise(random, n * p);
  const features = shared.map((value) => value + 0.5 * random.normal());
  writeFileSync(at('f.csv'), csv(rowsOf(features, p)));
  writeFileSync(at('other.csv'), csv(rowsOf(noise(random, n * 4), 4)));
  for (const path of people)
    writeFileSync(
      path,
      csv(
        rowsOf(
          shared.map((value) => value + random.normal()),
          p,
        ),
      ),
    );
  writeFileSync(at('short.csv'), csv(rowsOf(noise(random, 6 * p), p)));
  writeFileSync(
    at('square.csv'),
    csv([
      [0, 1, 2],
      [1, 0, 3],
      [2, 9, 0],
    ]),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('cortune rsa', () => {
  const base = ['--permutations', '99', '--resamples', '50'];

  it('fits features to people, with ceiling, interval and p', () => {
    const { status, stdout, stderr } = cortune(
      '--features',
      at('f.csv'),
      '--responses',
      ...people,
      ...base,
      '--json',
      '--quiet',
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { ceiling, layers } = JSON.parse(stdout);
    expect(layers[0].p).toBe(0.01);
    expect(layers[0].subjects).toHaveLength(3);
    expect(layers[0].lower).toBeLessThan(layers[0].similarity);
    expect(layers[0].upper).toBeGreaterThan(layers[0].similarity);
    expect(ceiling.upper).toBeGreaterThan(ceiling.lower);
    expect(layers[0].similarity).toBeLessThan(ceiling.upper);
    const text = cortune('--features', at('f.csv'), '--responses', ...people, ...base, '--comparison', 'tau-a').stdout;
    expect(text).toMatch(
      /layer +tau-a +interval +p\n[- ]+\n0 +0\.\d{3} +0\.\d{3} to +0\.\d{3} +0\.0100\n\nCeiling: 0\.\d{3} to 0\.\d{3}\.\n/,
    );
  });

  it('compares features with features', () => {
    const cka = (path: string, measure: string) =>
      JSON.parse(cortune('--features', at('f.csv'), '--with', path, '--measure', measure, '--json', '--quiet').stdout)
        .values[0][0];
    expect(cka(at('f.csv'), 'cka')).toBeCloseTo(1, 10);
    expect(Math.abs(cka(at('other.csv'), 'cka-debiased'))).toBeLessThan(0.2);
    expect(cka(at('f.csv'), 'procrustes')).toBeCloseTo(0, 10);
  });

  it('says in one sentence what is wrong', () => {
    const wrong = (...args: string[]) => cortune('--features', at('f.csv'), ...args).stderr;
    expect(wrong()).toMatch(/Expected `responses` to be given, or else --with/);
    expect(wrong('--responses', at('short.csv'))).toMatch(/RDMs of the same 6 stimuli/);
    expect(wrong('--responses', at('square.csv'), '--rdms')).toMatch(/equal dissimilarities of 1 and 2 both ways/);
    expect(wrong('--responses', at('f.csv'), '--rdms')).toMatch(/Expected 24 x 24 dissimilarities/);
    expect(wrong('--with', at('short.csv'))).toMatch(/same 24 rows/);
  });
});

describe('fits of RDMs', () => {
  it('reject 5 % of unrelated models, and keep the likeness of the same stimuli', async () => {
    const random = new Random(5);
    const kModels = 400;
    using values = Tensor.from(noise(random, (kModels + 1) * 12 * 6), [kModels + 1, 12, 6]);
    const [subject, ...models] = await rdms(values);
    const { fits } = fitRdms(models, [subject!], { permutations: 99, resamples: 0 });
    const rejected = fits.filter(({ p: value }) => value <= 0.05).length / kModels;
    const { from, to } = binomialBounds(kModels, 0.05);
    expect(rejected).toBeGreaterThan(from);
    expect(rejected).toBeLessThan(to);
    expect(fits[0]!.similarity).toBe(compareRdms(models[0]!, subject!));
    const own = fitRdms([subject!], [subject!], { permutations: 99, resamples: 50 }).fits[0]!;
    expect([own.similarity, own.lower, own.upper].map((value) => Math.round(value * 1e9) / 1e9)).toEqual([1, 1, 1]);
  });
});
