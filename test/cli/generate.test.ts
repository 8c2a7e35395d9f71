/** `cortune generate` and `cortune score` as a user meets them. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel } from '../helpers/tiny-models.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const items = [
  { prompt: 'the rabbit ran', completion: 'away', answers: ['away', 'over the hill'] },
  { prompt: 'she asked', completion: 'whether it was cold', answers: ['nobody'] },
];
writeFileSync(at('items.jsonl'), items.map((item) => `${JSON.stringify(item)}\n`).join(''));
writeFileSync(at('bad.jsonl'), '{"text": "away"}\n{"text": 3}\n');
writeFileSync(at('texts.jsonl'), '{"text": "over a hill"}\n{"text": "Nobody."}\n');

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('generate', () => {
  it('writes a line for every prompt', () => {
    const file = ['--file', at('items.jsonl'), '--out', at('out.jsonl'), '--max-new-tokens', '5', '--beams', '2'];
    const { status } = cortune('generate', '--model', tinyModel('llama'), ...file);
    expect(status).toBe(0);
    const rows = readFileSync(at('out.jsonl'), 'utf8').trim().split('\n');
    expect(rows.map((row) => (JSON.parse(row) as { prompt: string }).prompt)).toEqual(
      items.map(({ prompt }) => prompt),
    );
  });

  it('prints prompt and text', () => {
    const { stdout } = cortune(
      'generate',
      '--model',
      tinyModel('gpt2'),
      '--prompt',
      'she asked',
      '--max-new-tokens',
      '3',
    );
    expect(stdout).toMatch(/^she asked/);
  });

  it.each([
    [[], 'Expected `prompt` to be given where --file is not'],
    [['--prompt', 'a', '--top-p', '2'], 'Expected `topP` to be above 0, at most 1, got `2` (number)'],
    [['--prompt', 'word '.repeat(60)], 'Expected prompts of at most'],
  ])('refuses %j', (more, says) => {
    const { status, stderr } = cortune('generate', '--model', tinyModel('gpt2'), '--max-new-tokens', '2', ...more);
    expect(status).not.toBe(0);
    expect(stderr).toContain(says);
  });
});

describe('score', () => {
  const score = (...more: string[]) => cortune('score', '--references', at('items.jsonl'), ...more);

  it('knows several answers', () => {
    const more = ['--reference-field', 'answers', '--metrics', 'exact_match,f1', '--json'];
    const { stdout } = score('--predictions', at('texts.jsonl'), ...more);
    // `over a hill` is `over the hill` without articles.
    expect(JSON.parse(stdout)).toEqual({ items: 2, scores: { exact_match: 1, f1: 1 } });
  });

  it('names the item that is no text, and metrics that are none', () => {
    expect(score('--predictions', at('bad.jsonl')).stderr).toContain('in `text` of item 2, got `3` (number)');
    expect(score('--predictions', at('texts.jsonl'), '--metrics', 'meteor').stderr).toContain(
      'Expected `metrics` to be some of exact_match, f1, rouge1',
    );
  });
});
