/** The plan: which runs a study stands for, how they are grouped, and that their ids depend on what decides their results alone. */
import { describe, expect, it } from 'vitest';
import { filesOf, type Known, makePlan, modelsOf, type Plan, runTitle } from '../../lib/study/plan.js';
import { readStudy } from '../../lib/study/schema.js';

const base = { data: 'simulated', models: ['m'], methods: [{ method: 'lora', lr: [1e-4, 1e-3] }] };

async function planOf(study: Record<string, unknown>, files: Record<string, string> = {}): Promise<Plan> {
  const read = await readStudy({ ...base, ...study });
  const data = read.data.map(({ dataset, name }) => ({
    hash: `hash of ${dataset}`,
    kind: 'words' as const,
    name: name ?? dataset,
  }));
  const known: Known = {
    data,
    models: new Map(modelsOf(read).map((name) => [name, `hash of ${name}`])),
    files: new Map(filesOf(read).map((path) => [path, files[path] ?? `hash of ${path}`])),
  };
  return makePlan(read, known);
}

const titles = (plan: Plan) => plan.runs.map((run) => runTitle(run.labels));
const ids = (plan: Plan) => plan.runs.map((run) => run.id);
const shape = (plan: Plan) => plan.batches.map((batch) => batch.runs.length);

describe('runs', () => {
  it('are every combination of the lists, and zipped lists walk together', async () => {
    const plan = await planOf({
      methods: ['untuned', { method: 'lora', zip: { lr: [1e-4, 1e-3], rank: [4, 16] }, grid: { alpha: [8, 16] } }],
      seeds: [0, 1],
    });
    expect(titles(plan)).toEqual([
      'm untuned',
      ...[0, 1].flatMap((seed) => [
        `m lora alpha 8 lr 1e-4 rank 4 seed ${seed}`,
        `m lora alpha 16 lr 1e-4 rank 4 seed ${seed}`,
        `m lora alpha 8 lr 1e-3 rank 16 seed ${seed}`,
        `m lora alpha 16 lr 1e-3 rank 16 seed ${seed}`,
      ]),
    ]);
    expect(plan.runs[2]!.tuning).toEqual({
      ...{ method: 'lora', lr: 1e-4, seed: 0, schedule: 'linear', warmup: 0, weightDecay: 0 },
      options: { alpha: 16, rank: 4 },
    });
  });

  it('say their data set and share of the text where a study has several', async () => {
    const plan = await planOf({
      data: ['simulated', { dataset: 'simulated:targets=3', name: 'other' }],
      fractions: [0.25, 1],
      methods: ['untuned', { method: 'lora', lr: 1e-3 }],
      controls: ['word_rate', { control: 'oasm', name: 'slow', sigma: 4 }],
    });
    expect(titles(plan)).toEqual([
      'word rate on simulated',
      'slow on simulated',
      'word rate on other',
      'slow on other',
      'm untuned on simulated',
      'm lora lr 1e-3 rank 8 25 % of the text seed 0 on simulated',
      'm lora lr 1e-3 rank 8 seed 0 on simulated',
      'm untuned on other',
      'm lora lr 1e-3 rank 8 25 % of the text seed 0 on other',
      'm lora lr 1e-3 rank 8 seed 0 on other',
    ]);
    expect(plan.batches.map(({ data }) => data)).toEqual([0, 0, 1, 1, 0, 0, 0, 1, 1, 1]);
  });

  it('that are asked for twice are one', async () => {
    const plan = await planOf({ methods: ['untuned', 'untuned', { method: 'lora' }, { method: 'lora', alpha: 8 }] });
    expect(plan.runs).toHaveLength(2);
  });
});

describe('lane batches', () => {
  it('mix methods and ranks of one seed; methods that do not stack are alone', async () => {
    const methods = [{ method: 'lora', lr: [1e-4, 1e-3], rank: [4, 8] }, 'ia3', { method: 'full', lr: [1e-5, 1e-4] }];
    expect(shape(await planOf({ methods }))).toEqual([5, 1, 1]);
    expect(shape(await planOf({ methods, seeds: [0, 1] }))).toEqual([5, 1, 1, 5, 1, 1]);
  });

  it('hold all seeds where the order of the texts is one for all', async () => {
    expect(shape(await planOf({ seeds: [0, 1, 2, 3] }))).toEqual([2, 2, 2, 2]);
    const together = await planOf({ seeds: [0, 1, 2, 3], tune: { data_seed: 7 } });
    expect(shape(together)).toEqual([8]);
    expect(together.batches[0]!.dataSeed).toBe(7);
  });

  it('are whole where halving compares their runs, and other company makes another run', async () => {
    const rates = Array.from({ length: 12 }, (_, i) => 1e-4 * (i + 1));
    const halved = (lr: number[]) => planOf({ methods: [{ method: 'lora', lr }], tune: { halving: 3 } });
    const plan = await halved(rates);
    expect(shape(plan)).toEqual([12]);
    expect(plan.batches[0]!.together!.map((run) => run.id)).toEqual(ids(plan));
    const fewer = await halved(rates.slice(0, 6));
    expect(ids(plan)).not.toEqual(expect.arrayContaining([ids(fewer)[0]]));
  });
});

describe('ids', () => {
  it('stay what they were: a study with more rates, methods, seeds or data uses the runs of a smaller one', async () => {
    const small = ids(await planOf({}));
    for (const more of [
      { methods: [{ method: 'lora', lr: [1e-3, 5e-4, 1e-4] }] },
      { methods: ['ia3', ...base.methods], seeds: [3, 0] },
      { data: [{ dataset: 'simulated:targets=2' }, 'simulated'], controls: ['oasm'] },
      { models: ['n', 'm'], fractions: [1, 0.5] },
      { methods: [{ method: 'lora', name: 'mine', zip: { lr: [1e-4, 1e-3], rank: [8, 8] } }] },
      {
        name: 'another',
        description: 'other words',
        tune: { memory: '8GB', checkpointing: true },
        embed: { save: true },
      },
    ])
      expect(ids(await planOf(more))).toEqual(expect.arrayContaining(small));
  });

  it('change with everything that decides a result', async () => {
    const small = ids(await planOf({}));
    for (const other of [
      { tune: { steps: 51 } },
      { tune: { accumulate: 2 } },
      { tune: { precision: 'bf16' } },
      { tune: { data_seed: 0 } },
      { tasks: { name: 'pairs', text: 'pairs.jsonl' } },
      { tasks: { name: 'pairs', text: 'pairs.jsonl', label: 'kind', objective: 'classification' } },
      { tasks: { name: 'stimuli', validation: 'held.txt' } },
      { tasks: { name: 'stimuli', validation: 'held.txt' }, tune: { patience: 2 } },
      { tasks: { name: 'stimuli', test: 'held.txt' } },
      { tasks: { name: 'other', text: 'held.txt' } },
      { embed: { precision: 'bf16' } },
      { encode: { selection: 'gcv' } },
      { decode: {} },
      { rsa: {} },
      { fractions: [0.5] },
      { methods: [{ method: 'lora', lr: [1e-4, 1e-3], warmup: 3 }] },
      { methods: [{ method: 'lora', lr: [1e-4, 1e-3], grid: { dropout: [0.1] } }] },
    ])
      expect(ids(await planOf(other)).filter((id) => small.includes(id))).toEqual([]);
  });

  it('are one a task, a batch each; models as they are have one, and random ones one a seed', async () => {
    const study = {
      models: ['m', { name: 'small', config: { model_type: 'gpt2' }, tokenizer: 'm' }],
      methods: ['untuned', { method: 'lora', lr: [1e-4, 1e-3] }],
      tasks: ['stimuli', { name: 'other', text: 'other.txt', test: 'held.txt' }],
      seeds: [0, 1],
      tune: { data_seed: 3 },
    };
    const plan = await planOf(study);
    expect(shape(plan)).toEqual([1, 4, 4, 1, 1, 2, 2, 2, 2]);
    expect(titles(plan).slice(0, 6)).toEqual([
      'm untuned',
      ...['0', '0', '1', '1'].map((seed, i) => `m lora lr ${i % 2 ? '1e-3' : '1e-4'} rank 8 task stimuli seed ${seed}`),
      'm lora lr 1e-4 rank 8 task other seed 0',
    ]);
    expect(plan.batches.map(({ model, task, seed, dataSeed }) => [model, task, seed, dataSeed]).slice(3)).toEqual([
      ['small', 0, 0, 0],
      ['small', 0, 1, 0],
      ['small', 0, 0, 3],
      ['small', 0, 1, 3],
      ['small', 1, 0, 3],
      ['small', 1, 1, 3],
    ]);
    // A task's name decides nothing; what it is tested on decides the runs that are, untuned ones among them.
    const renamed = await planOf({ ...study, tasks: ['stimuli', { ...(study.tasks[1] as object), name: 'new' }] });
    expect(ids(renamed)).toEqual(ids(plan));
    const other = await planOf(study, { 'held.txt': 'x' });
    const same = plan.runs.filter((run, i) => run.id === other.runs[i]!.id).map(({ labels }) => labels.task);
    expect(same).toEqual(Array(8).fill('stimuli'));
  });

  it('follow the content of files, not their names', async () => {
    const study = {
      tasks: { name: 'a', text: 'a.txt' },
      controls: [{ name: 'c', file: 'c.npy' }],
      decode: { labels: 'l.csv' },
    };
    const moved = {
      tasks: { name: 'b', text: 'b.txt' },
      controls: [{ name: 'd', file: 'd.npy' }],
      decode: { labels: 'k.csv' },
    };
    const files = { 'a.txt': '1', 'b.txt': '1', 'c.npy': '2', 'd.npy': '2', 'l.csv': '3', 'k.csv': '3' };
    const one = ids(await planOf(study, files));
    expect(ids(await planOf(moved, files))).toEqual(one);
    for (const path of ['a.txt', 'c.npy', 'l.csv'])
      expect(ids(await planOf(study, { ...files, [path]: 'other' }))).not.toEqual(one);
  });
});
