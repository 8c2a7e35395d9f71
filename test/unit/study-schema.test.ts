/** The study file: defaults, short forms, and errors that say where, what and what else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readStudy } from '../../lib/study/schema.js';

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

describe('a good study', () => {
  it('fills in defaults and takes single values for lists', async () => {
    const study = await readStudy({
      data: 'simulated',
      models: 'm',
      methods: ['untuned', { method: 'lora', lr: 1e-3 }],
    });
    expect(study.name).toBe('study');
    expect(study.data).toEqual({ dataset: 'simulated' });
    expect(study.models).toEqual(['m']);
    expect(study.methods[1]).toEqual({ method: 'lora', lr: [1e-3], rank: [8], options: {} });
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
        lr: [1e-4],
        rank: [8],
        options: { dora: true, rankPattern: { q_proj: 4 }, targets: 'q_proj' },
      },
      { method: 'prompt', lr: [3e-2], options: { virtualTokens: 5 } },
      { method: 'adalora', lr: [1e-3], rank: [2, 4], options: { initialRank: 6 } },
      { method: 'hft', lr: [2e-5], options: {} },
    ]);
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
    expect(await problem('')).toMatch(/Expected `the file` to be a mapping with keys/);
    expect(await problem('- 1\n')).toMatch(/Expected `the file` to be a mapping with keys/);
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

  it('beyond a megabyte are refused', async () => {
    expect(await problem(`${base}description: ${'x'.repeat(1 << 20)}\n`)).toMatch(/Expected at most 1048576 bytes/);
  });
});
