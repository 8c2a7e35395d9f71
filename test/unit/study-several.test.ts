/** Studies of several data sets and fractions in tables and comparisons, and studies that share a store. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareRuns } from '../../lib/study/comparisons.js';
import { studyData } from '../../lib/study/data.js';
import { toCsv, toJson } from '../../lib/study/export.js';
import { runBatches } from '../../lib/study/loop.js';
import { makePlan, modelsOf, type Plan, runTitle } from '../../lib/study/plan.js';
import { ceilingText, type Results, readResults, summarize } from '../../lib/study/results.js';
import { readStudy } from '../../lib/study/schema.js';
import { Store } from '../../lib/study/store.js';
import { fakePlan, fakeRecord, fakeRun, kStudy } from '../helpers/fake-study.js';
import { temporaryFolder } from '../helpers/temporary.js';

const root = temporaryFolder();

async function severalPlan(): Promise<Plan> {
  const study = await readStudy({
    ...kStudy,
    data: ['simulated', { dataset: 'simulated:targets=3', name: 'other' }],
    methods: ['untuned', { method: 'lora', lr: 1e-3 }],
    fractions: [0.5, 1],
    seeds: [0],
    controls: [],
  });
  const data = study.data.map(({ dataset, name }) => ({
    hash: dataset,
    kind: 'words' as const,
    name: name ?? dataset,
  }));
  return makePlan(study, { data, models: new Map(modelsOf(study).map((name) => [name, name])) });
}

async function severalResults(): Promise<Results> {
  const { runs } = await severalPlan();
  return {
    folder: '',
    studies: [],
    runs: runs.map((run) => {
      const record = fakeRecord(run);
      const { scores } = fakeRun(run, 3);
      return {
        record: { ...record, data: { ...record.data, hash: run.key.data } },
        title: runTitle(run.labels),
        scores,
        losses: [],
        quality: [],
      };
    }),
  };
}

describe('a data set', () => {
  it('gives its place to another where its files are not there, and to none where they are wrong', async () => {
    const study = await readStudy({ ...kStudy, data: 'simulated' });
    const entry = { dataset: join(root, 'nowhere', 'dataset.yaml'), otherwise: 'simulated:targets=3', detrend: 'none' };
    const found = await studyData(study, entry, new Map());
    expect(found).toMatchObject({ simulated: true, targets: 3, entry: { dataset: 'simulated:targets=3' } });
    await expect(studyData(study, { ...entry, otherwise: undefined }, new Map())).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
    // The study says how they are got.
    await expect(
      studyData(study, { ...entry, otherwise: undefined, prepare: 'node make-it.mjs' }, new Map()),
    ).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', message: expect.stringContaining('node make-it.mjs') });
    const wrong = join(root, 'dataset.yaml');
    writeFileSync(wrong, 'name: x\n');
    await expect(studyData(study, { ...entry, dataset: wrong }, new Map())).rejects.toMatchObject({
      code: 'ERR_CONFIG',
    });
  });
});

describe('several data sets', () => {
  it('are told apart in the table; their columns are absent elsewhere', async () => {
    const results = await severalResults();
    const [header, ...lines] = toCsv(results).trimEnd().split('\n');
    expect(header).toMatch(/^run,model,method,lr,rank,seed,fraction,data,layer,/);
    const names = new Set(lines.map((line) => line.split(',').slice(2, 8).join(' ')));
    expect([...names]).toEqual([
      'untuned    1 simulated',
      'lora 0.001 8 0 0.5 simulated',
      'lora 0.001 8 0 1 simulated',
      'untuned    1 other',
      'lora 0.001 8 0 0.5 other',
      'lora 0.001 8 0 1 other',
    ]);
    expect(JSON.parse(toJson(results))[0]).toMatchObject({ data: 'simulated' });
  });

  it('have ceilings of their own', async () => {
    const results = await severalResults();
    results.runs.at(-1)!.scores!.ceilings.fill(0.5);
    for (const run of results.runs.slice(3)) run.scores = results.runs.at(-1)!.scores;
    const summary = summarize(results);
    expect(summary.ceilings.map(({ data }) => data)).toEqual(['simulated', 'other']);
    expect(summary.ceilings[1]!.ceiling).toBe(0.5);
    expect(ceilingText(summary)).toMatch(/^simulated 0\.\d{3}, other 0\.500$/);
    expect(ceilingText(summarize({ runs: results.runs.slice(3) }))).toBe('0.500');
  });

  it('are compared each with the untuned run on the same data', async () => {
    const results = await severalResults();
    const { comparisons, notes } = compareRuns(results);
    expect(comparisons.map(({ title, against }) => [title.split(' on ')[1], against.split(' on ')[1]])).toEqual([
      ['simulated', 'simulated'],
      ['simulated', 'simulated'],
      ['other', 'other'],
      ['other', 'other'],
    ]);
    expect(notes).toEqual([]);
    const without = { ...results, runs: results.runs.filter(({ title }) => !/untuned on other/.test(title)) };
    expect(compareRuns(without).notes).toEqual([
      expect.stringMatching(/on other was scored on other data than every `untuned`; it is left out/),
      expect.stringMatching(/on other was scored/),
    ]);
  });
});

describe('studies in one store', () => {
  it('share runs: a study with more rates and seeds computes only what is new, and each reads its own', async () => {
    const store = await Store.open(join(root, 'shared'), { create: true });
    const run = async (name: string, lr: number[], seeds: number[]) => {
      const plan = await fakePlan({
        ...kStudy,
        name,
        methods: ['untuned', { method: 'lora', lr }],
        seeds,
        controls: [],
      });
      const ids = plan.runs.map(({ id }) => id);
      await store.saveStudy({ format: 1, name, file: '', text: plan.study.text, runs: ids });
      const computed: string[] = [];
      await runBatches(store, plan, {
        compute: async (batch) => {
          computed.push(...batch.runs.map(({ labels }) => runTitle(labels)));
          return { runs: batch.runs.map((each) => fakeRun(each, 2, 1)), dispose: () => {} };
        },
        failed: (each, _, error) => ({ record: { ...fakeRecord(each, 'failed'), error } }),
      });
      return computed;
    };
    expect(await run('small', [1e-4, 1e-3], [0])).toHaveLength(3);
    expect(await run('large', [1e-3, 3e-4, 1e-4], [0, 1])).toEqual([
      'tiny-1 lora lr 3e-4 rank 8 seed 0',
      'tiny-1 lora lr 1e-3 rank 8 seed 1',
      'tiny-1 lora lr 3e-4 rank 8 seed 1',
      'tiny-1 lora lr 1e-4 rank 8 seed 1',
    ]);
    expect(await run('again', [1e-4], [1])).toEqual([]);
    expect((await readResults(store.folder, { study: 'small' })).runs).toHaveLength(3);
    expect((await readResults(store.folder, { study: 'large' })).runs).toHaveLength(7);
  });
});
