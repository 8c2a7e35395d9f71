/** config.json as transformers reads it; goldens by make_goldens.py. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { configFromJson } from '../../../lib/model/config.js';

interface Case {
  raw: Record<string, unknown>;
  expected: Record<string, unknown>;
}
const { cases } = JSON.parse(readFileSync(new URL('../../fixtures/configs/goldens.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};

describe('configurations', () => {
  it.each(cases.map(({ raw, expected }) => [JSON.stringify(raw), raw, expected] as const))('%s', (_, raw, expected) => {
    expect(configFromJson(raw, 'config.json')).toMatchObject(expected);
  });
});
