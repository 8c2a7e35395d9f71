/** The study file: defaults, short forms, and errors that say where, what and what else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isDrawn, modelSource, readStudy, untrainedOf } from '../../lib/study/schema.js';

const folder = mkdtempSync(join(tmpdir(), 'cortune-schema-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function problem(text: string): Promise<string> {
  const path = join(folder, 'study.yaml');
  writeFileSync(path, text);
  const error = await readStudy(path).then(
    () => undefined,
    (error: Error) => error,
  );
  if (!error) throw new Error('the study was accepted');
  expect((error as { code?: string }).code).toBe('ERR_CONFIG');
  return error.message.replace(`${folder}/`, '');
}

const base = 'data: simulated\nmodels: m\n';

const axis = (key: string, ...values: unknown[]) => ({ keys: [key], steps: values.map((value) => [value]) });

describe('a good study', () => {
  it('fills in defaults and takes single values for lists', async () => {
    const study = await readStudy({
      data: 'simulated',
      models: 'm',
      methods: ['untuned', { method: 'lora', lr: 1e-3 }],
    });
    expect(study.name).toBe('study');
    expect(study.data).toEqual([{ dataset: 'simulated' }]);
    expect(study.models).toEqual([{ name: 'm' }]);
    expect(study.methods[1]).toEqual({ method: 'lora', axes: [axis('rank', 8), axis('lr', 1e-3)], options: {} });
    expect(study.encode.folds).toBe('contiguous:5');
    expect(study.seeds).toEqual([0]);
  });

  it('gives every tuning method its own options, in snake case, and keeps those that are not the defaults', async () => {
    const { methods } = await readStudy({
      data: 'simulated',
      models: 'm',
      methods: [
        { method: 'lora', name: 'dora', dora: true, rank_pattern: { q_proj: 4 }, dropout: 0, targets: 'q_proj' },
        { method: 'prompt', virtual_tokens: 5 },
        { method: 'adalora', rank: [2, 4], initial_rank: 6 },
        'hft',
      ],
    });
    expect(methods).toEqual([
      {
        method: 'lora',
        name: 'dora',
        axes: [axis('rank', 8), axis('lr', 1e-4)],
        options: { dora: true, rankPattern: { q_proj: 4 }, targets: 'q_proj' },
      },
      { method: 'prompt', axes: [axis('lr', 3e-2)], options: { virtualTokens: 5 } },
      { method: 'adalora', axes: [axis('rank', 2, 4), axis('lr', 1e-3)], options: { initialRank: 6 } },
      { method: 'hft', axes: [axis('lr', 2e-5)], options: {} },
    ]);
  });

  it('walks zipped lists together and multiplies grids, of any option of a method', async () => {
    const { methods } = await readStudy({
      data: ['simulated', { dataset: 'simulated:targets=3', name: 'other' }],
      models: ['m', { model: 'org/p-{size}', size: ['70m', 160] }],
      methods: [
        { method: 'lora', zip: { lr: [1e-4, 1e-3], rank: [4, 16] }, grid: { dora: [false, true], warmup: [0, 5] } },
        { method: 'ia3', weight_decay: 0.1 },
      ],
    });
    expect(methods[0]!.axes).toEqual([
      {
        keys: ['lr', 'rank'],
        steps: [
          [1e-4, 4],
          [1e-3, 16],
        ],
      },
      axis('warmup', 0, 5),
      axis('dora', false, true),
    ]);
    expect(methods[1]!.axes.slice(1)).toEqual([axis('weight_decay', 0.1)]);
  });

  it('lists models by size, data sets, and named controls', async () => {
    const study = await readStudy({
      data: ['simulated', { dataset: 'simulated:targets=3', name: 'other' }],
      models: ['m', { model: 'org/p-{size}', size: ['70m', 160] }],
      methods: ['untuned'],
      controls: [
        'word_rate',
        { control: 'oasm', name: 'slow', sigma: 4 },
        { name: 'surprisal', file: 'surprisal.csv' },
      ],
    });
    expect(study.models.map(({ name }) => name)).toEqual(['m', 'org/p-70m', 'org/p-160']);
    expect(study.data[1]).toEqual({ dataset: 'simulated:targets=3', name: 'other' });
    expect(study.controls).toEqual([
      { name: 'word_rate', control: 'word_rate', options: {} },
      { name: 'slow', control: 'oasm', options: { sigma: 4 } },
      { name: 'surprisal', control: null, file: 'surprisal.csv', options: {} },
    ]);
  });

  it('learns the stimuli unless tasks are given, and takes shapes of models', async () => {
    const plain = await readStudy({ data: 'simulated', models: 'm', methods: ['lora'] });
    expect(plain.tasks).toEqual([{ name: 'stimuli', text: 'stimuli' }]);
    const config = { model_type: 'gpt2', n_embd: 64 };
    const study = await readStudy({
      data: 'simulated',
      models: ['m', { name: 'small', config, tokenizer: './tiny' }],
      methods: ['lora'],
      tasks: ['stimuli', { name: 'kinds', text: 'a.csv', label: 'kind', test: 'b.csv', metrics: 'accuracy' }],
    });
    expect(study.tasks[1]).toEqual({
      name: 'kinds',
      text: 'a.csv',
      label: 'kind',
      test: 'b.csv',
      metrics: ['accuracy'],
    });
    expect(isDrawn(study, 'small')).toBe(true);
    expect(untrainedOf(study, 'small')).toBe('small');
    expect([isDrawn(study, 'm'), untrainedOf(study, 'm')]).toEqual([false, 'untrained:m']);
    expect(modelSource(study, 'small')).toEqual({ name: 'small', config, tokenizer: resolve('tiny') });
  });

  it('has other sizes, whose keys take the place of its own', async () => {
    const path = join(folder, 'sized.yaml');
    writeFileSync(
      path,
      `${base}methods: [untuned]\ntune: {steps: 3, batch: 2} # small\nsizes:\n  full:\n    models: [a, b]\n    tune: {steps: 100}\n`,
    );
    const small = await readStudy(path);
    expect([small.name, small.models.length, small.tune.steps]).toEqual(['sized', 1, 3]);
    const full = await readStudy(path, 'full');
    expect([full.name, full.models.length, full.tune.steps, full.tune.batch]).toEqual(['sized-full', 2, 100, 2]);
    expect(full.text).toContain('# small');
    expect(
      (await readStudy({ data: 'simulated', models: 'm', methods: 'lora', sizes: { tiny: { seeds: [3] } } }, 'tiny'))
        .seeds,
    ).toEqual([3]);
    await expect(readStudy(path, 'big')).rejects.toThrow('Expected `size` to be one of its sizes (`full`), got `big`');
    expect(await problem(`${base}methods: [untuned]\nsizes: {full: {modles: [a]}}\n`)).toBe(
      'study.yaml:4:24: Expected keys of a study in `sizes.full`, got `modles`',
    );
    writeFileSync(path, `${base}methods: [untuned]\nsizes: {full: {seeds: [-1]}}\n`);
    await expect(readStudy(path, 'full')).rejects.toThrow(/sized\.yaml at size full:\d+:\d+: Expected `seeds/);
  });

  it('is named after its file', async () => {
    writeFileSync(join(folder, 'mine.yaml'), `${base}methods: [untuned]\n`);
    const study = await readStudy(join(folder, 'mine.yaml'));
    expect(study.name).toBe('mine');
    expect(study.folder).toBe(folder);
  });
});

describe('errors', () => {
  it('name an unknown key, its line and the nearest one', async () => {
    expect(await problem(`${base}metods: [untuned]\n`)).toMatch(
      /^study\.yaml:3:1: Unknown key `metods` in the study \(did you mean `methods`\?\)\. Its keys are `name`/,
    );
    expect(await problem(`${base}methods:\n  - {method: lora, rnak: 8}\n`)).toMatch(
      /^study\.yaml:4:20: Unknown key `rnak` in the method `lora` \(did you mean `rank`\?\)/,
    );
  });

  it('name a wrong value, its key, and what was expected', async () => {
    expect(await problem(`${base}methods: [untuned]\ntune: {steps: 0}\n`)).toBe(
      'study.yaml:4:15: Expected `tune.steps` to be an integer from 1 to 1000000, got `0` (number)',
    );
    expect(await problem(`${base}methods: [{method: lora, lr: [1e-4, fast]}]\n`)).toBe(
      'study.yaml:3:37: Expected `methods[0].lr[1]` to be a number above 0, at most 10, got `fast` (string)',
    );
    expect(await problem(`${base}methods: [lorra]\n`)).toMatch(
      /^study\.yaml:3:11: Expected `methods\[0\].*` to be one of `untrained`, `untuned`, `lora`, .* \(did you mean `lora`\?\), got/,
    );
    expect(await problem(`${base}methods: [untuned]\nembed: {pool: lats}\n`)).toMatch(/:4:15: .*did you mean `last`/);
  });

  it('name what is missing', async () => {
    expect(await problem('data: simulated\nmethods: [untuned]\n')).toMatch(
      /^study\.yaml:1:1: Expected `models` to be names of models, got nothing/,
    );
    expect(await problem('')).toMatch(/Expected YAML or JSON, got an empty file/);
    expect(await problem('# nothing\n')).toMatch(/Expected `the file` to be a mapping with keys/);
    expect(await problem('- 1\n')).toMatch(/Expected `the file` to be a mapping with keys/);
  });

  it('say what is wrong with lists', async () => {
    const lists = (text: string) => problem(`${base}methods:\n  - {method: lora, ${text}}\n`);
    expect(await lists('zip: {lr: [1e-4, 1e-3], rank: [4]}')).toBe(
      'study.yaml:4:50: Expected lists of one length in `zip`, got 2 of `lr` and 1 of `rank`',
    );
    expect(await lists('lr: 1e-4, zip: {lr: [1e-4]}')).toMatch(
      /Expected `lr` in one place, got it in `zip` and beside it/,
    );
    expect(await lists('grid: {lr: [1e-4]}, zip: {lr: [1e-4]}')).toMatch(/got it in `grid` and in `zip`/);
    expect(await lists('grid: {alhpa: [4]}')).toMatch(
      /^study\.yaml:4:27: Unknown key `alhpa` in `grid` of the method `lora` \(did you mean `alpha`\?\)/,
    );
    expect(await lists('grid: {alpha: [4, big]}')).toMatch(
      /^study\.yaml:4:38: Expected `methods\[0\]\.grid\.alpha\[1\]` to be a number above 0, .*got `big` \(string\)/,
    );
    expect(await lists('grid: {alpha: 4}')).toMatch(/to be a list of values, got `4` \(number\)/);
  });

  it('say what a section needs beside a key', async () => {
    const tune = (text: string) => problem(`${base}methods: [lora]\ntune: {${text}}\n`);
    expect(await tune('patience: 3')).toBe(
      'study.yaml:4:18: Expected `validation` of the task `stimuli` beside `tune.patience`, got none',
    );
    expect(await tune('rungs: [3]')).toMatch(/Expected `tune.halving` beside `tune.rungs`/);
    expect(await tune('memory: much')).toMatch(/Expected `memory` to be a size such as `8GB`/);
  });

  it('say what is wrong with a task, and where', async () => {
    const tasks = (text: string) => problem(`${base}methods: [lora]\ntasks: ${text}\n`);
    expect(await tasks('[stimuli, {name: a, label: kind}]')).toBe(
      'study.yaml:4:35: Expected `text` to name the file of `label`, got none',
    );
    expect(await tasks('{name: a, text: a.txt, objective: masks}')).toMatch(/did you mean `masked`/);
    expect(await tasks('{name: a, text: a.txt, metrics: [loss]}')).toMatch(/Expected `test` to name held-out items/);
    expect(await tasks('{name: a, test: a.txt, metrics: [accuraccy]}')).toMatch(/did you mean `accuracy`/);
    expect(await tasks('{text: a.txt}')).toMatch(/Expected `tasks\[0\]\.name` to be a name, got nothing/);
    expect(await tasks('[stimuli, {name: stimuli, text: a.txt}]')).toMatch(
      /4:25: Expected tasks of different names, got `stimuli` twice/,
    );
    expect(await tasks('[other.txt]')).toMatch(
      /4:9: Expected `tasks\[0\]` to be `stimuli` or a mapping with keys `name`, `text`/,
    );
  });

  it('say what is wrong with a control, and where', async () => {
    const controls = (text: string) => problem(`${base}methods: [untuned]\ncontrols: [word_rate, ${text}]\n`);
    expect(await controls('word_rat')).toMatch(/^study\.yaml:4:23: .*`controls\[1\].*did you mean `word_rate`/);
    expect(await controls('{control: oasm, sgima: 2}')).toMatch(/^study\.yaml:4:39: Unknown key `sgima` in a control/);
    expect(await controls('{file: x.csv}')).toMatch(
      /^study\.yaml:4:23: Expected `controls\[1\]\.name` to be a name, got nothing/,
    );
  });

  it('count what comes after the first', async () => {
    expect(await problem(`${base}methods: [untuned]\nseeds: [-1]\ntune: {steps: 0}\n`)).toMatch(
      /\(1 more after this one\)$/,
    );
  });

  it('show broken YAML by its place', async () => {
    expect(await problem(`${base}methods: [untuned\nseeds: 1\n`)).toMatch(/^study\.yaml:\d+:\d+: Expected YAML, got: /);
  });
});

describe('hostile files', () => {
  it('with a cycle of anchors are refused', async () => {
    expect(await problem(`${base}methods: &a [untuned, *a]\n`)).toMatch(
      /^study\.yaml:3:\d+: Expected `\*a` outside of the value/,
    );
    expect(await problem(`data: &d {dataset: x, more: *d}\nmodels: m\nmethods: [untuned]\n`)).toMatch(/a cycle/);
  });

  it('that grow by aliases are refused before they do', async () => {
    const levels = Array.from({ length: 9 }, (_, i) => {
      const items =
        i === 0
          ? 'x, x, x, x, x, x, x, x, x, x'
          : Array(10)
              .fill(`*a${i - 1}`)
              .join(', ');
      return `a${i}: &a${i} [${items}]`;
    });
    expect(await problem(`${levels.join('\n')}\n`)).toMatch(/Expected at most 100 values repeated through anchors/);
  });

  it('with a million-fold grid are refused', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => i).join(',');
    expect(await problem(`${base}seeds: [${many}]\nmethods: [{method: lora, rank: [${many.slice(2)}]}]\n`)).toMatch(
      /Expected a study of at most 100000 runs, got 999000/,
    );
  });

  it('with more runs than fit into memory are counted and not made', async () => {
    const thousand = `[${Array.from({ length: 1000 }, (_, i) => (i + 1) / 1e5).join(',')}]`;
    const grid = ['lr', 'dropout', 'weight_decay', 'alpha'].map((key) => `${key}: ${thousand}`).join(', ');
    const before = process.memoryUsage().rss;
    expect(await problem(`${base}methods: [{method: lora, grid: {${grid}}}]\n`)).toMatch(
      /Expected a study of at most 100000 runs, got 1000000000000: the lists multiply/,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  });

  it.each([
    [
      'a key twice',
      `${base}methods: [untuned]\nseeds: 1\nseeds: 2\n`,
      /^study\.yaml:5:1: Expected YAML, got: Map keys must be unique/,
    ],
    [
      'not a number',
      `${base}methods: [{method: lora, lr: .nan}]\n`,
      /`methods\[0\]\.lr\[0\]` to be a number above 0.*got `NaN`/,
    ],
    [
      'infinity',
      `${base}methods: [untuned]\ntune: {clip: .inf}\n`,
      /`tune\.clip` to be a number from 0 to 1000000, got `Infinity`/,
    ],
    [
      '1e400',
      `${base}methods: [{method: lora, lr: 1e400}]\n`,
      /`methods\[0\]\.lr\[0\]` to be a number above 0.*got `Infinity`/,
    ],
    [
      'a wrong type deep inside',
      `${base}methods:\n  - method: lora\n    rank_pattern: {q_proj: [1]}\n`,
      /`methods\[0\]\.rank_pattern.*got/,
    ],
    [
      'a name that reaches for the prototype',
      `${base}methods: [untuned]\n__proto__: {polluted: 1}\n`,
      /Unknown key `__proto__`/,
    ],
    ['two documents', `${base}methods: [untuned]\n---\n{}\n`, /Expected YAML, got:/],
    ['brackets without end', `${base}methods: ${'['.repeat(50_000)}\n`, /Expected .*(nested|YAML)/],
    [
      'a control character in the name',
      `name: "a\\x07b"\n${base}methods: [untuned]\n`,
      /a name without control characters/,
    ],
  ])('with %s are refused in one sentence', async (_, text, says) => {
    const message = await problem(text);
    expect(message).toMatch(says);
    expect(message).not.toContain('\n');
    expect(message.length).toBeLessThan(1000);
  });

  it.each([
    ['brackets', () => '['.repeat(1_000_000), /nested at most/],
    ['closed brackets', () => `a: ${'['.repeat(300_000)}${']'.repeat(300_000)}`, /nested at most/],
    ['mappings', () => '{a: '.repeat(200_000), /nested at most/],
    ['dashes', () => '- '.repeat(400_000), /nested at most/],
    ['marks', () => '? '.repeat(300_000), /nested at most/],
    ['keys', () => Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join('\n'), /at most 1000 keys in a mapping/],
    [
      'keys in braces',
      () => `{${Array.from({ length: 60_000 }, (_, i) => `k${i}: 1`).join(', ')}}`,
      /at most 1000 keys/,
    ],
    ['aliases', () => `a: &a 1\nb: [${'*a, '.repeat(200_000)}]`, /at most 100 values repeated through anchors/],
  ])('with %s without end are refused at once, in little memory', async (_, make, says) => {
    const text = make();
    const [before, start] = [process.memoryUsage().rss, performance.now()];
    expect(await problem(text)).toMatch(says);
    // Composing these took minutes, gigabytes, or the process.
    expect(performance.now() - start).toBeLessThan(5000);
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20);
  });

  it('as objects: cycles and numbers that are none', async () => {
    const cyclic: Record<string, unknown> = { data: 'simulated', models: 'm', methods: ['untuned'] };
    await expect(readStudy({ ...cyclic, encode: { trim: Number.NaN } })).rejects.toThrow(
      /`encode\.trim` to be an integer .*got `NaN`/,
    );
    cyclic.tune = cyclic;
    await expect(readStudy(cyclic)).rejects.toThrow(/Expected the study to be an object that JSON can hold/);
  });

  it('beyond a megabyte are refused', async () => {
    expect(await problem(`${base}description: ${'x'.repeat(1 << 20)}\n`)).toMatch(/Expected at most 1048576 bytes/);
  });
});
