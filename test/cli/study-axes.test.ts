/** Studies with everything a study can vary, as real processes: data sets, fractions, objectives, validation, halving, controls from files. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { RunRecord } from '../../lib/study/records.js';
import { readPlain } from '../helpers/safetensors.js';

// Real processes on cores that other tests share.
vi.setConfig({ testTimeout: 120_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(root, 'bin', 'cortune.mjs');
const folder = mkdtempSync(join(tmpdir(), 'cortune-axes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const common = `
models: ["untrained:${join(root, 'examples', 'tiny')}"]
encode: {folds: "contiguous:3", inner_folds: 3, trim: 5, alphas: "logspace:1:5:3"}
`;

// Texts of two classes.
const kinds = Array.from({ length: 12 }, (_, i) => `the ${i % 2 ? 'cat' : 'dog'} number ${i},${i % 2 ? 'cat' : 'dog'}`);
writeFileSync(join(folder, 'kinds.csv'), `text,kind\n${kinds.join('\n')}\n`);

function cortune(...args: string[]) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}

function study(name: string, text: string): { out: string; run: (...more: string[]) => ReturnType<typeof cortune> } {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, `name: ${name}${text.includes('\nmodels:') ? common.replace(/models:.*\n/, '') : common}${text}`);
  const out = join(folder, name);
  return { out, run: (...more) => cortune('run', file, '--out', out, '--json', ...more) };
}

function records(out: string): RunRecord[] {
  const ids = readdirSync(join(out, 'runs')).filter((name) => !name.startsWith('.'));
  return ids.map((id) => JSON.parse(readFileSync(join(out, 'runs', id, 'run.json'), 'utf8')));
}

describe('a study', () => {
  it('of two data sets and two fractions of the text, with a control from a file', () => {
    mkdirSync(join(folder, 'features'));
    // Simulated words lie on 242 volumes.
    const rows = Array.from({ length: 242 }, (_, i) => `${Math.sin(i / 9)},${i % 7}`);
    writeFileSync(join(folder, 'features', 'slow.csv'), `wave,week\n${rows.join('\n')}\n`);
    const { out, run } = study(
      'axes',
      `data: [{dataset: "simulated:layer=3,targets=2", name: three}, {dataset: "simulated:layer=5,targets=2", name: five}]
methods: [untuned, {method: lora, grid: {alpha: [4, 8]}}]
fractions: [0.5, 1]
tune: {steps: 4, batch: 2, block: 32}
controls: [{name: slow, file: features/slow.csv}, {control: oasm, name: wide, sigma: 4}]
`,
    );
    const { status, stdout, stderr } = run();
    expect([status, stderr]).toEqual([0, '']);
    const rowsOf = (JSON.parse(stdout) as { runs: { title: string; bestLayer: number; status: string }[] }).runs;
    expect(rowsOf).toHaveLength(2 * (1 + 4 + 2));
    expect(rowsOf.map((row) => row.status)).not.toContain('failed');
    const best = (data: string) => rowsOf.find(({ title }) => title.endsWith(`untuned on ${data}`))!.bestLayer;
    expect([best('three'), best('five')]).toEqual([3, 5]);
    expect(rowsOf.map(({ title }) => title)).toContain(
      'tiny lora alpha 4 lr 1e-4 rank 8 50 % of the text seed 0 on five',
    );
    expect(new Set(records(out).map((record) => record.data.hash)).size).toBe(2);
    expect(cortune('verify', out).stdout).toMatch(/^Whole: 14 runs/);
  });

  it('that learns completions, with validation, patience, accumulation and a memory limit', () => {
    const pairs = (count: number, answer: (i: number) => string) =>
      Array.from({ length: count }, (_, i) => JSON.stringify({ question: `What is ${i}?`, answer: answer(i) })).join(
        '\n',
      );
    writeFileSync(
      join(folder, 'pairs.jsonl'),
      pairs(12, (i) => ` It is ${i}.`),
    );
    writeFileSync(
      join(folder, 'held.jsonl'),
      pairs(4, () => ' zebras quietly hum below, unseen'),
    );
    const { out, run } = study(
      'completions',
      `data: simulated:layer=1,targets=2
methods: [{method: lora, lr: [1e-3, 10], rank: [2, 4], alpha: 64}, {method: ia3}]
tasks: [{name: pairs, text: pairs.jsonl, prompt: question, completion: answer, validation: held.jsonl}]
tune: {evaluate_every: 1, patience: 1, steps: 12, schedule: constant, batch: 2, accumulate: 2, memory: 16GB, checkpointing: true}
embed: {layers: [0, 3]}
`,
    );
    const { status, stderr } = run();
    expect([status, stderr.replace(/Failed: .*\n/g, '')]).toEqual([0, '']);
    const all = records(out);
    expect(all).toHaveLength(5);
    for (const record of all.filter(({ status }) => status === 'done')) {
      expect(record.tuning).toMatchObject({ objective: 'causal' });
      expect(record.tuning!.validation_loss).toBeGreaterThan(0);
    }
    // The held-out completions are of other words: what learns fast gets worse on them, stops, and keeps its best state.
    const fast = all.filter(({ labels }) => labels.lr === 10);
    expect(fast).toHaveLength(2);
    for (const { tuning } of fast) expect(tuning).toMatchObject({ stopped: { by: 'patience' } });
  });

  it('that predicts classes, in bfloat16', () => {
    const { out, run } = study(
      'classes',
      `data: simulated:layer=3,targets=2
methods: [{method: lora, lr: 1e-3, rank: 2}]
tasks: {name: kinds, text: kinds.csv, label: kind, test: kinds.csv}
tune: {steps: 4, batch: 2, precision: bf16}
embed: {precision: bf16}
`,
    );
    const { status, stderr } = run();
    expect([status, stderr]).toEqual([0, '']);
    expect(records(out)[0]!.tuning).toMatchObject({ objective: 'classification', updates: 4 });
  });

  it('of several tasks measures each on its held-out items, tuned and not', () => {
    const line = (value: unknown) => JSON.stringify(value);
    const animals = ['cat', 'dog'].map((name) => ` ${name}`);
    const items = Array.from({ length: 8 }, (_, i) =>
      line({ question: `Animal ${i}?`, answer: animals[i % 2], options: animals }),
    );
    writeFileSync(join(folder, 'animals.jsonl'), items.join('\n'));
    writeFileSync(join(folder, 'other.txt'), 'the sea was calm and the boats went out\nnobody knew the way\n');
    const { out, run } = study(
      'tasks',
      `data: simulated:layer=0,targets=2
methods: [untuned, {method: lora, lr: 1e-2, rank: 2}]
tasks:
  - stimuli
  - {name: other, text: other.txt, test: stimuli}
  - {name: animals, text: animals.jsonl, prompt: question, completion: answer, choices: options, test: animals.jsonl, limit: 6}
  - {name: kinds, text: kinds.csv, label: kind, test: kinds.csv}
tune: {steps: 12, batch: 2, block: 32}
embed: {layers: [3]}
`,
    );
    const { status, stderr } = run();
    expect([status, stderr]).toEqual([0, '']);
    const ask = (sql: string) => JSON.parse(cortune('query', out, sql, '--json').stdout) as Record<string, unknown>[];
    const rows = ask('select method, task, metric, value, items from quality order by method, task, metric');
    const value = (method: string, task: string, metric: string) =>
      rows.find((row) => row.method === method && row.task === task && row.metric === metric)?.value as number;
    expect(rows.map((row) => `${row.method} ${row.task} ${row.metric}`)).toEqual([
      ...['animals accuracy', 'animals loss', 'animals token_accuracy', 'kinds accuracy', 'kinds loss'].map(
        (x) => `lora ${x}`,
      ),
      ...['other loss', 'other perplexity'].map((x) => `lora ${x}`),
      ...['animals accuracy', 'animals loss', 'animals token_accuracy'].map((x) => `untuned ${x}`),
      ...['other loss', 'other perplexity'].map((x) => `untuned ${x}`),
    ]);
    expect(rows.find((row) => row.metric === 'accuracy')!.items).toBe(6);
    expect(value('lora', 'animals', 'loss')).toBeLessThan(value('untuned', 'animals', 'loss'));
    expect(value('lora', 'other', 'perplexity')).toBeCloseTo(Math.exp(value('lora', 'other', 'loss')), 3);
    const titles = ask("select title, task from runs where method = 'lora' order by task");
    expect(titles[0]).toEqual({ title: 'tiny lora lr 0.01 rank 2 task animals seed 0', task: 'animals' });
    expect(cortune('export', out, '--table', 'quality').stdout.split('\n')[0]).toMatch(/,task,metric,value,items$/);
    expect(cortune('verify', out).stdout).toMatch(/^Whole: 5 runs/);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('>Task quality</h2>');
    expect(cortune('report', out, '--format', 'md').status).toBe(0);
    expect(readFileSync(join(out, 'report.md'), 'utf8')).toContain('## Task quality');
  });

  it('tunes a model of random weights in a shape of its own, drawn anew by each seed', () => {
    const { out, run } = study(
      'shapes',
      `data: simulated:layer=0,targets=2
models: [{name: small, config: {model_type: gpt2, n_embd: 32, n_layer: 2, n_head: 2, n_positions: 256}, tokenizer: "${join(root, 'examples', 'tiny')}"}]
methods: [untuned, {method: lora, lr: 1e-3, rank: 2, targets: [c_attn]}]
seeds: [0, 1]
tune: {steps: 2, batch: 2, block: 16}
embed: {layers: [1]}
`,
    );
    const { status, stderr, stdout } = run();
    expect([status, stderr]).toEqual([0, '']);
    const { runs } = JSON.parse(stdout) as { runs: { title: string; r: number[] }[] };
    expect(runs.map(({ title }) => title)).toEqual([
      ...['untuned seed 0', 'untuned seed 1'].map((x) => `small ${x}`),
      ...['0', '1'].map((seed) => `small lora lr 1e-3 rank 2 seed ${seed}`),
    ]);
    expect(new Set(runs.map(({ r }) => r[0]!.toFixed(6))).size).toBe(4);
    expect(records(out)[0]!.model).toMatchObject({ family: 'gpt2', layers: 2, hiddenSize: 32 });
  });

  it('with halving computes a lost run again among the others, to the same scores', () => {
    const { out, run } = study(
      'halved',
      `data: simulated:layer=0,targets=2
methods: [{method: lora, lr: [1e-4, 1e-3, 3e-3, 1e-2], rank: 2}]
tune: {steps: 8, batch: 2, block: 32, halving: 2}
embed: {layers: [3]}
`,
    );
    expect(run().status).toBe(0);
    const stopped = records(out).filter(({ tuning }) => tuning?.stopped?.by === 'halving');
    expect(stopped).toHaveLength(3);
    const before = cortune('export', out).stdout;
    rmSync(join(out, 'runs', stopped[0]!.id), { recursive: true });
    expect(run().status).toBe(0);
    expect(cortune('export', out).stdout).toBe(before);
  });

  it('decodes, classifies and compares geometries, and keeps its features', () => {
    // Rows of the first half of each of the three folds are one class, the others the other.
    const labels = Array.from({ length: 242 }, (_, i) => (i % 81 < 40 ? 'first' : 'second'));
    writeFileSync(join(folder, 'labels.csv'), `half\n${labels.join('\n')}\n`);
    const { out, run } = study(
      'geometry',
      `data: {dataset: "simulated:layer=1,targets=2,subjects=2", subjects: both}
methods: [untuned]
embed: {layers: [0, 3], save: true}
align: {response: hrf}
decode: {by: roi, permutations: 3, exchange: circular, labels: labels.csv, column: half}
rsa: {metric: euclidean, permutations: 3, resamples: 3}
controls: [word_rate]
`,
    );
    const { status, stderr } = run();
    expect([status, stderr]).toEqual([0, '']);
    const ask = (sql: string) => JSON.parse(cortune('query', out, sql, '--json').stdout) as Record<string, number>[];
    const decoded = ask('select layer, region, two_vs_two, p from decode order by layer, region');
    // Two regions of the mean and of two subjects, at two layers.
    expect(decoded).toHaveLength(2 * 2 * 3);
    for (const row of decoded.filter(({ layer }) => layer === 3)) expect(row.two_vs_two).toBeGreaterThan(0.5);
    const rsa = ask('select layer, region, similarity, lower, upper, ceiling_upper from rsa order by layer');
    expect(rsa.map(({ layer, region }) => [layer, region])).toEqual([
      [0, 'all'],
      [3, 'all'],
    ]);
    expect(rsa[1]!.similarity).toBeGreaterThan(rsa[0]!.similarity!);
    expect(rsa[1]!.similarity).toBeLessThan(rsa[1]!.ceiling_upper!);
    expect(ask('select layer, accuracy, chance from labels').map(({ chance }) => chance)).toEqual([0.5, 0.5]);
    const report = readFileSync(join(out, 'report.html'), 'utf8');
    for (const heading of ['Decoding', 'Classifiers', 'Geometry']) expect(report).toContain(`>${heading}</h2>`);
    const [saved] = records(out).filter(({ labels }) => labels.method === 'untuned');
    const features = join(out, 'runs', saved!.id, 'embeddings', 'features.safetensors');
    expect(readPlain(features).get('hidden_states')?.shape).toEqual([2, 242, 64]);
    expect(cortune('gc', out, '--what', 'embeddings', '--keep', 'none').stdout).toMatch(/Freed .* of 1 runs/);
    expect(cortune('verify', out).status).toBe(0);
  });

  it('says before anything is computed that labels or regions do not fit', () => {
    writeFileSync(join(folder, 'two.csv'), 'half\na\nb\n');
    const few = study(
      'few',
      'data: simulated:layer=3\nmethods: [lora]\ndecode: {labels: two.csv, column: half}\n',
    ).run();
    expect([few.status, few.stderr]).toEqual([1, expect.stringMatching(/Expected 242 labels in two\.csv.*got 2\./)]);
  });

  it('says which of its files is not there, and which does not fit', () => {
    const missing = study(
      'missing',
      'data: simulated:layer=3\nmethods: [lora]\ntasks: {name: none, text: nowhere.txt}\n',
    ).run();
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/Expected a file at .*nowhere\.txt/);
    const short = study(
      'short',
      'data: simulated:layer=3\nmethods: [untuned]\ncontrols: [{name: few, file: few.csv}]\n',
    );
    writeFileSync(join(folder, 'few.csv'), 'a\n1\n2\n');
    expect(short.run().stderr).toMatch(/Failed: few: Expected 242 rows in the file of the control `few`.*got 2\./);
  });
});
