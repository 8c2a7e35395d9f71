/** The sweep suite of the benchmarks: what the rival is given is what cortune does, and what is made of the measurements. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript
import { extrapolate, largestDifference, overheadOf, sampleOf, stagesOf } from '../../bench/sweep/figures.mjs';
// @ts-expect-error plain JavaScript
import { pooledSequences, writeAdapter, writePlan } from '../../bench/sweep/plan.mjs';
// @ts-expect-error plain JavaScript
import { makeStore } from '../../bench/sweep/store.mjs';
import { readPlain } from '../helpers/safetensors.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel } from '../helpers/tiny-models.js';

// As the benchmarks use it: compiled, and one instance with theirs.
const compiled = (path: string) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const folder = temporaryFolder();

const kText = 'the rabbit ran over a small hill and rain fell on the river while nobody answered the door that opened';
const kWords = kText.split(' ').map((text, i) => ({ text, onset: i * 0.7, offset: i * 0.7 + 0.5 }));
const kVolumes = { tr: 2, start: 1, rows: 8, method: 'mean' };

describe('the plan', async () => {
  const { loadModel, embed } = await compiled('index.js');
  const model = await loadModel(tinyModel('llama'));

  it('takes tokens to volumes as embedding and aligning do, also over several windows', async () => {
    const { native } = await compiled('native/load.js');
    const { runJob } = await compiled('native/jobs.js');
    const { alignFeatures } = await compiled('data/align.js');
    const reach = { tokenizer: model.tokenizer, window: 16 };
    const sequences = pooledSequences(kWords, reach, kVolumes);
    expect(sequences.length).toBeGreaterThan(2);
    const width = model.config.hiddenSize;
    const last = model.config.layers;
    const total = new Float64Array(kVolumes.rows * width);
    for (const { ids, rowStarts, columns, weights } of sequences) {
      const args = { model: model.handle, ids: Int32Array.from(ids), lengths: Int32Array.of(ids.length), lane: 0 };
      const { hidden } = await runJob(() => native().modelForward(args));
      const states = native().tensorRead(hidden); // [L, T, C]
      for (let row = 0; row < kVolumes.rows; row++)
        for (let at = rowStarts[row]; at < rowStarts[row + 1]; at++)
          for (let c = 0; c < width; c++)
            total[row * width + c]! += weights[at] * states[(last * ids.length + columns[at]) * width + c];
    }
    const texts = kWords.map(({ text }) => text);
    const features = await embed(model, texts, { context: 'cumulative', pool: 'mean', window: 16, layers: [last] });
    const aligned = (await alignFeatures(features, kWords, { ...kVolumes, delays: [0] })).toArray();
    // float32 sums of a few terms of about 1.
    expect(largestDifference([...aligned], [...total])).toBeLessThan(1e-5);
    expect(Math.max(...aligned)).toBeGreaterThan(0.1);
  });

  it('holds the batches of every seed, the folds as places among training rows, and where runs begin', async () => {
    const { readStudy } = await compiled('study/schema.js');
    const { makeFolds } = await compiled('encode/folds.js');
    const study = await readStudy({
      ...{ name: 'tiny', data: 'alice', models: [tinyModel('llama')], methods: [{ method: 'lora' }], seeds: [0, 1] },
      tune: { steps: 3, batch: 2, packing: 'texts' },
      align: { delays: [1, 2] },
      encode: { folds: 'contiguous:4', inner_folds: 2 },
    });
    const examples = ['the rabbit ran', 'rain fell on the river', 'nobody answered', 'a door opened'];
    const stimuli = { kind: 'words', words: kWords, ...kVolumes };
    const responses = { data: Float32Array.from({ length: 16 }, (_, i) => i), rows: 8, columns: 2 };
    const data = [{ stimuli, rows: 8, measured: { responses } }];
    const plan = JSON.parse(
      readFileSync(await writePlan(folder, model, { study, data, training: { tasks: [{ examples }] } }), 'utf8'),
    );
    const tokens = examples.map((text) => [...model.tokenizer.encode(text).ids]);
    expect(plan.batches.map((steps: unknown[][]) => steps.map((batch) => batch.length))).toEqual([
      [2, 2, 2],
      [2, 2, 2],
    ]);
    for (const steps of plan.batches) expect(tokens).toEqual(expect.arrayContaining(steps.flat()));
    expect(plan.batches[0]).not.toEqual(plan.batches[1]);
    expect(plan.schedule).toEqual([1, expect.closeTo(2 / 3), expect.closeTo(1 / 3)]);
    const folds = makeFolds({ rows: 8, kind: 'contiguous', count: 4, inner: 2 });
    for (const [f, { train, test, inner }] of plan.folds.entries()) {
      expect([train, test]).toEqual([[...folds[f].train], [...folds[f].test]]);
      expect(inner.map((each: { test: number[] }) => each.test.map((place) => train[place]))).toEqual(
        folds[f].inner.map((each: { test: Int32Array }) => [...each.test]),
      );
    }
    expect(new Float32Array(readFileSync(plan.responses).buffer.slice(0, 64))).toHaveLength(16);

    const tuning = { method: 'lora', lr: 1e-3, seed: 5, warmup: 2, options: { rank: 4 } };
    await writeAdapter(join(folder, 'first'), model, { tuning });
    const tensors = [...readPlain(join(folder, 'first', 'adapter_model.safetensors'))];
    const largest = (kind: string) =>
      Math.max(
        ...tensors.filter(([name]) => name.includes(kind)).flatMap(([, { data: values }]) => [...values].map(Math.abs)),
      );
    expect(largest('lora_A')).toBeGreaterThan(0.01);
    expect(largest('lora_B')).toBeLessThan(1e-20);
  });
});

describe('figures', () => {
  it('take the times of a batch from the record that was made last, and call the rest overhead', () => {
    const seconds = { load: 9, tune: 10, embed: 5 };
    const records = [
      { id: 'a', seconds: { ...seconds, encode: 1 } },
      { id: 'b', seconds: { ...seconds, encode: 2 } },
      { id: 'c', seconds: { tune: 1, embed: 1, encode: 1 } },
    ];
    const stages = stagesOf([{ runs: ['a', 'b'] }, { runs: ['c'] }], records);
    expect(stages).toEqual({ tune: 11, embed: 6, encode: 3 });
    expect(overheadOf(25, stages)).toBeCloseTo(0.2);
  });

  it('multiply the mean of each method by its runs', () => {
    const sample = [
      { method: 'x', seconds: { tune: 1, embed: 2 } },
      { method: 'x', seconds: { tune: 3, embed: 2 } },
      { method: 'y', seconds: { tune: 10, embed: 1 } },
    ];
    expect(extrapolate(['x', 'x', 'x', 'y'], sample, 4)).toEqual({ seconds: 27, stages: { tune: 16, embed: 7 } });
    expect(() => extrapolate(['z'], sample, 0)).toThrow('Expected a run of `z` in the sample.');
  });

  it('sample every method, at different seeds and never at the highest of several rates', () => {
    const runs = ['a', 'b', 'c'].flatMap((method) =>
      [1, 2, 3].flatMap((lr) => [0, 1].map((seed) => ({ labels: { method, lr, seed } }))),
    );
    expect(sampleOf(runs).map(({ labels }: { labels: object }) => Object.values(labels))).toEqual([
      ['a', 1, 0],
      ['b', 2, 1],
      ['c', 1, 0],
    ]);
  });

  it('tell how far two lists are apart', () => {
    expect(largestDifference([1, 2], [1, 4])).toBe(2);
    expect(largestDifference([1, Number.NaN, 3], [1, 2, 9])).toBeNaN();
    expect(() => largestDifference([1], [])).toThrow('got 1 and 0');
  });
});

it('the large store is one that status lists and the report reads', async () => {
  const store = join(folder, 'store');
  await makeStore(store, 20);
  const { overview } = await compiled('study/overview.js');
  const { studies } = await overview(store);
  expect(studies[0].counts).toEqual({ done: 20, failed: 0, running: 0, queued: 0, left: 0 });
  const { report } = await compiled('report/report.js');
  expect(readFileSync(await report(store), 'utf8')).toContain('prompt lr 3e-3 rank 8');
});
