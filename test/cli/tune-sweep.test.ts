/** `cortune tune` as a sweep: grids, texts of every kind, runs that leave, and what is said about bad input. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { gridOf } from '../../lib/cli/tune-grid.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { tinyModel } from '../helpers/tiny-models.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const kTemporary = temporaryFolder();
const at = (name: string) => join(kTemporary, name);
const kTexts = ['the rabbit ran over a small hill', 'rain fell on the river', 'it was only the wind', 'a door opened'];

function file(name: string, content: string): string {
  writeFileSync(at(name), content);
  return at(name);
}
const texts = file('texts.txt', `${kTexts.join('\n')}\n`);

function tune(out: string, ...more: string[]) {
  const args = ['tune', '--model', tinyModel('llama'), '--steps', '4', '--batch', '2', '--out', at(out), ...more];
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}

interface Report {
  name: string;
  method: string;
  lastLoss: number | null;
  validationLoss: number | null;
  failedAt: number | null;
  stopped: { updates: number; by: string } | null;
}
const reports = (stdout: string) => (JSON.parse(stdout) as { runs: Report[] }).runs;

describe('a grid', () => {
  const base = { method: 'lora', seed: '0', schedule: 'linear', warmup: '0', weightDecay: '0' };
  const names = (more: object) => gridOf({ ...base, ...more }).map(({ name }) => name);

  it('names runs by what varies', () => {
    expect(names({})).toEqual(['lr-0.0001']);
    expect(names({ lr: '1e-3,2e-3', rank: '4,8' })).toEqual([
      'lr-0.001-rank-4',
      'lr-0.001-rank-8',
      'lr-0.002-rank-4',
      'lr-0.002-rank-8',
    ]);
    expect(names({ method: 'lora,full', rank: '4,8', lr: '1e-3' })).toEqual([
      'lora-lr-0.001-rank-4',
      'lora-lr-0.001-rank-8',
      'full-lr-0.001',
    ]);
    expect(names({ seed: '0,1', schedule: 'constant,cosine' })).toHaveLength(4);
  });

  it.each([
    [{ lr: 'NaN' }, 'lr'],
    [{ lr: '1e-3,1e-3' }, 'different'],
    [{ lr: '1e-3,' }, 'commas'],
    [{ lr: '-1' }, 'positive numbers'],
    [{ rank: '2.5' }, 'positive integers'],
    [{ seed: '-1' }, 'non-negative integers'],
    [{ schedule: 'step' }, 'constant, linear, cosine'],
    [{ method: 'lorax' }, 'method'],
  ])('refuses %o', (more, says) => {
    expect(() => gridOf({ ...base, ...more })).toThrow(says);
  });
});

it('sixteen runs by one command, a folder each', () => {
  const { status, stdout, stderr } = tune(
    'sixteen',
    '--text',
    texts,
    '--lr',
    '1e-4,1e-3,3e-3,1e-2',
    '--rank',
    '2,4',
    '--seed',
    '0,1',
    '--json',
  );
  expect(stderr).not.toContain('[ERR');
  expect(status).toBe(0);
  expect(reports(stdout)).toHaveLength(16);
  expect(readdirSync(at('sixteen'))).toHaveLength(16);
  for (const name of readdirSync(at('sixteen'))) {
    const config = JSON.parse(readFileSync(at(`sixteen/${name}/adapter/adapter_config.json`), 'utf8')) as { r: number };
    expect(name).toContain(`rank-${config.r}`);
  }
});

it('mixed methods; a run that overflows takes nothing from the others', () => {
  const { status, stdout, stderr } = tune(
    'mixed',
    '--text',
    texts,
    '--method',
    'lora,full',
    '--lr',
    '1e-3,1e30',
    '--clip',
    '0',
    '--json',
  );
  expect(status).toBe(1);
  expect(stderr).toContain('[ERR_NUMERIC]');
  expect(stderr).toContain('lora-lr-1e+30');
  expect(reports(stdout).map(({ failedAt }) => failedAt === null)).toEqual([true, false, true, false]);
  expect(existsSync(at('mixed/lora-lr-0.001/adapter/adapter_model.safetensors'))).toBe(true);
  expect(existsSync(at('mixed/full-lr-0.001/model/model.safetensors'))).toBe(true);
  expect(readdirSync(at('mixed/lora-lr-1e+30'))).toEqual(['losses.jsonl']);
});

it('a rate of 1e6 is a run like another: its losses are recorded, the others are as without it', () => {
  const run = (out: string, lr: string) =>
    reports(tune(out, '--text', texts, '--lr', lr, '--clip', '0', '--json').stdout);
  const [small, large] = run('large', '1e-3,1e6');
  const [alone] = run('alone', '1e-3');
  expect(Math.abs(small!.lastLoss! - alone!.lastLoss!) / alone!.lastLoss!).toBeLessThan(1e-4);
  // At that size the loss is a matter of chance, as long as the norms keep it finite.
  expect(large!.failedAt !== null || Number.isFinite(large!.lastLoss)).toBe(true);
  expect(large!.lastLoss).not.toBe(small!.lastLoss);
});

it('completions, held-out texts, early stopping and halving', () => {
  const pairs = file(
    'pairs.jsonl',
    kTexts.map((text) => `${JSON.stringify({ prompt: text.slice(0, 8), completion: text.slice(8) })}\n`).join(''),
  );
  const held = file('held.jsonl', '{"prompt": "somebody", "completion": " laughed"}\n');
  const more = ['--validation', held, '--evaluate-every', '1', '--patience', '1', '--halving', '2', '--rungs', '2'];
  const { status, stdout } = tune('pairs', '--text', pairs, '--lr', '1e-4,1e-3,1e-2,1', ...more, '--json');
  expect(status).toBe(0);
  const runs = reports(stdout);
  expect(runs.every(({ validationLoss }) => validationLoss !== null)).toBe(true);
  expect(runs.some(({ stopped }) => stopped?.by === 'halving' || stopped?.by === 'patience')).toBe(true);
});

it('says before tuning which parts of a head are drawn at random', () => {
  const args = ['tune', '--model', tinyModel('bert'), '--text', texts, '--steps', '2', '--out', at('bert')];
  const { status, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  expect(status).toBe(0);
  expect(stderr).toContain('has no cls.predictions.transform.dense.weight');
});

it('classes from a table, with the head beside the adapter', () => {
  const table = file(
    'classes.csv',
    `text,label\n${kTexts.map((text, i) => `${text},${i % 2 ? 'wet' : 'dry'}\n`).join('')}`,
  );
  const { status, stdout } = tune('classes', '--text', table, '--label', 'label', '--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ objective: 'classification', classes: ['dry', 'wet'] });
  const config = JSON.parse(readFileSync(at('classes/lr-0.0001/adapter/adapter_config.json'), 'utf8')) as object;
  expect(config).toMatchObject({ task_type: 'SEQ_CLS', modules_to_save: ['classifier', 'score'] });
});

describe('says in one sentence what is wrong with', () => {
  const long = JSON.stringify({ prompt: 'rabbit '.repeat(80), completion: 'ran' });
  it.each([
    ['a rate that is no number', ['--text', texts, '--lr', 'NaN'], 2, '`lr`'],
    [
      'an empty text',
      ['--text', file('empty.jsonl', '{"text": "a rabbit"}\n{"text": " "}\n')],
      1,
      'empty.jsonl: Expected a text in `text` of line 2',
    ],
    [
      'a prompt longer than the context',
      ['--text', file('long.jsonl', `{"prompt": "a", "completion": " b"}\n${long}\n`)],
      1,
      'at number 2. Shorten the prompt',
    ],
    [
      'an empty completion',
      ['--text', file('none.jsonl', '{"prompt": "a", "completion": ""}\n')],
      1,
      '`completion` of line 1',
    ],
    ['memory that holds no run', ['--text', texts, '--memory', '1MB'], 1, '[ERR_MEMORY]'],
  ])('%s', (_, args, code, says) => {
    const { status, stderr } = tune('wrong', ...args);
    expect(stderr).toContain(says);
    expect(status).toBe(code);
    expect(existsSync(at('wrong')) ? readdirSync(at('wrong')) : []).toEqual([]);
  });
});
