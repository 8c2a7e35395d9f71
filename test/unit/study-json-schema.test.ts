/** The JSON Schema and the tables of keys that the package ships: current, and of one mind with what reads studies. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { studyKeyTables } from '../../lib/study/docs.js';
import { studyJsonSchema } from '../../lib/study/json-schema.js';
import { studySchema } from '../../lib/study/schema.js';
import { methodPage, methodsLeftOut } from '../../lib/tune/docs.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const schema = studyJsonSchema();
const validate = new Ajv2020({ strict: false }).compile(schema);

const base = { data: 'simulated', models: 'm', methods: ['untuned'] };

describe('what is shipped', () => {
  it('is what the schema says; node bin/study-docs.mjs mends it', () => {
    expect(readFileSync(join(root, 'schema', 'study.schema.json'), 'utf8')).toBe(
      `${JSON.stringify(schema, null, 1)}\n`,
    );
    expect(readFileSync(join(root, 'docs', 'study.md'), 'utf8')).toContain(studyKeyTables());
  });

  it('has a section of docs/methods.md for every method, as the table of methods has it', () => {
    const page = readFileSync(join(root, 'docs', 'methods.md'), 'utf8');
    expect(methodsLeftOut(page)).toEqual([]);
    expect(methodPage(page)).toBe(page);
    expect(page).toMatch(/460,800 parameters of SmolLM2-135M/); // LoRA of rank 8 on queries and values
  });

  it('accepts the examples, which name it for editors', () => {
    for (const file of readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.yaml'))) {
      const text = readFileSync(join(root, 'examples', file), 'utf8');
      expect(validate(parse(text)), `${file}: ${JSON.stringify(validate.errors?.[0])}`).toBe(true);
      expect(text).toMatch(/^# yaml-language-server: \$schema=\.\.\/schema\/study\.schema\.json\n/);
    }
  });

  it('has words for every key', () => {
    const bare: string[] = [];
    const walk = (at: unknown, path: string) => {
      if (!(at instanceof Object)) return;
      const { properties } = at as { properties?: Record<string, { description?: string }> };
      // Lists of options say what they are beside the option itself.
      if (properties && !/\/(grid|zip)$/.test(path))
        for (const [key, value] of Object.entries(properties)) if (!value.description) bare.push(`${path}/${key}`);
      for (const [key, value] of Object.entries(at)) walk(value, key === 'properties' ? path : `${path}/${key}`);
    };
    walk(schema, '');
    expect(bare).toEqual([]);
  });
});

describe('editors and cortune are of one mind', () => {
  it.each<[string, Record<string, unknown>]>([
    ['short forms', {}],
    ['lists', { models: ['m', { model: 'p-{size}', size: ['70m', 160] }], seeds: 3, fractions: 0.5 }],
    ['data sets', { data: ['alice', { dataset: 'x.yaml', name: 'x', subjects: 'each', variant: 6 }] }],
    ['methods', { methods: [{ method: 'lora', zip: { lr: [1e-4], rank: [8] }, grid: { dora: [true] } }, 'ia3'] }],
    [
      'tuning',
      {
        tune: { patience: 2, memory: '8GB', rungs: 2, halving: 3 },
        tasks: { name: 'a', text: 'a.jsonl', prompt: 'p', validation: 'b.txt' },
      },
    ],
    [
      'tasks',
      { tasks: ['stimuli', { name: 'a', text: 'a.jsonl', choices: ['x', 'y'], test: 'b.jsonl', metrics: 'accuracy' }] },
    ],
    ['shapes', { models: [{ name: 'x', config: { model_type: 'gpt2' }, tokenizer: 'm' }, 'n'] }],
    ['controls', { controls: ['oasm', { control: 'oasm', sigma: 3 }, { name: 'x', file: 'x.npy' }] }],
    ['analysis', { decode: { by: 'roi' }, rsa: {}, stats: { permutations: 10 }, encode: { alphas: [1, 2] } }],
  ])('on %s', (_, more) => {
    const study = { ...base, ...more };
    expect(studySchema.safeParse(study).error?.issues).toBeUndefined();
    expect(validate(study), JSON.stringify(validate.errors)).toBe(true);
  });

  it.each<[string, Record<string, unknown>]>([
    ['unknown keys', { metods: [] }],
    ['unknown keys deep inside', { methods: [{ method: 'lora', rnak: 8 }] }],
    ['unknown lists', { methods: [{ method: 'lora', grid: { alhpa: [8] } }] }],
    ['wrong values', { tune: { steps: 0 } }],
    ['wrong words', { encode: { standardize: 'z' } }],
    ['wrong tasks', { tasks: ['other.txt'] }],
    ['wrong types', { seeds: ['one'] }],
    ['missing keys', { methods: undefined }],
  ])('against %s', (_, more) => {
    const study = JSON.parse(JSON.stringify({ ...base, ...more }));
    expect(studySchema.safeParse(study).success).toBe(false);
    expect(validate(study)).toBe(false);
  });
});
