/** Groups of methods against each other: what is averaged, paired and told apart. */
import { describe, expect, it } from 'vitest';
import { groupTables } from '../../lib/report/groups.js';
import { compareRuns } from '../../lib/study/comparisons.js';
import { type CompareAxis, compareGroups } from '../../lib/study/group-comparisons.js';
import { runTitle } from '../../lib/study/plan.js';
import type { Results } from '../../lib/study/results.js';
import { fakePlan, fakeRecord, fakeScores, kStudy } from '../helpers/fake-study.js';

const study = {
  ...kStudy,
  models: ['org/a', 'org/b'],
  methods: ['untuned', ...['lora', 'ia3', 'full'].map((method) => ({ method, lr: [1e-4, 1e-3] }))],
  tasks: ['stimuli', { name: 'other', limit: 3 }],
  seeds: [0],
};

async function results(): Promise<Results> {
  const { runs } = await fakePlan(study);
  return {
    folder: '',
    studies: [],
    runs: runs.map((run) => ({
      ...{ record: fakeRecord(run), title: runTitle(run.labels), scores: fakeScores(run, 5, 4) },
      ...{ losses: [], quality: [] },
    })),
  };
}

const kOf = { of: ['lora', 'ia3'], baseline: ['full'] };

describe('compareGroups', () => {
  it('averages the runs of each stratum; one run against one is a plain comparison', async () => {
    const all = await results();
    const [first] = compareGroups(all, { of: ['lora'], baseline: ['untuned'], per: ['model', 'task', 'lr'] });
    const { comparisons } = compareRuns(all);
    const plain = comparisons.find(({ title }) => title.startsWith('a lora lr 1e-4 rank 8 task stimuli'))!;
    expect(first).toMatchObject({ stratum: { model: 'org/a', task: 'stimuli', lr: 1e-4 }, runs: 1, baselineRuns: 1 });
    expect([first!.difference.value, first!.p]).toEqual([plain.difference.value, plain.p]);
    // Means of means: over rates, a difference is the mean of those of each rate.
    const per = (...axes: CompareAxis[]) => compareGroups(all, { ...kOf, per: axes });
    const [whole] = per('model', 'task');
    const rates = per('model', 'task', 'lr').filter(
      ({ stratum }) => stratum.model === 'org/a' && stratum.task === 'stimuli',
    );
    expect(rates.map(({ runs, baselineRuns }) => [runs, baselineRuns])).toEqual([
      [2, 1],
      [2, 1],
    ]);
    expect([whole!.runs, whole!.baselineRuns]).toEqual([4, 2]);
    const mean = (rates[0]!.difference.value + rates[1]!.difference.value) / 2;
    expect(whole!.difference.value).toBeCloseTo(mean, 12);
    expect(per('lr').map(({ stratum }) => stratum)).toEqual([{ lr: 1e-4 }, { lr: 1e-3 }]);
  });

  it('leaves out models of which one side has no run', async () => {
    const all = await results();
    const runs = all.runs.filter(({ record: { labels } }) => labels.method !== 'full' || labels.model === 'org/a');
    const [lame] = compareGroups({ ...all, runs }, { ...kOf, per: ['task'] });
    const [alone] = compareGroups(all, { ...kOf, per: ['task', 'model'] });
    expect(alone!.stratum.model).toBe('org/a');
    expect(lame!.difference.value).toBe(alone!.difference.value);
    expect([lame!.runs, lame!.baselineRuns]).toEqual([4, 2]);
  });

  it('says what it does not know', async () => {
    const all = await results();
    expect(() => compareGroups(all, { of: ['lorra'], baseline: ['full'] })).toThrow(
      /Expected `of` to be methods of .*lora.*, got `lorra`/,
    );
    expect(() => compareGroups(all, { ...kOf, per: ['rate' as 'lr'] })).toThrow(/Expected `per` to be some of data, /);
    const apart = all.runs.filter(({ record: { labels } }) => (labels.method === 'full') === (labels.lr === 1e-3));
    expect(() => compareGroups({ ...all, runs: apart }, { of: ['lora'], baseline: ['full'], per: ['lr'] })).toThrow(
      /Expected runs of lora and of full that agree in lr, got none/,
    );
  });

  it('is shown by the report for models and rates', async () => {
    const found = groupTables(await results())!;
    expect(found).toMatchObject({ efficient: ['lora', 'ia3'], full: ['full'] });
    expect(found.tables.map(({ axes, rows }) => [axes, rows.length])).toEqual([
      [['task', 'model'], 4],
      [['task', 'lr'], 4],
    ]);
    const plain = await fakePlan({ ...study, methods: ['untuned', 'lora'] });
    const none = {
      folder: '',
      studies: [],
      runs: plain.runs.map((run) => ({ record: fakeRecord(run), title: '', losses: [], quality: [] })),
    };
    expect(groupTables(none)).toBeUndefined();
  });
});
