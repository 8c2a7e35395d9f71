/** examples/task-tuning.yaml in its smallest form, from the study to the report: a random model and a simulated subject. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../helpers/temporary.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = temporaryFolder();

function cortune(...args: string[]) {
  return spawnSync(process.execPath, [join(root, 'bin', 'cortune.mjs'), ...args], { encoding: 'utf8' });
}

it('runs, and its report has regions as rows and tasks and methods as columns', { timeout: 120_000 }, () => {
  const small = readFileSync(join(root, 'examples', 'task-tuning.yaml'), 'utf8')
    .replace(/^data:\n(?: {2}.*\n)+/m, 'data: {dataset: "simulated:layer=0,targets=2,subjects=2", subjects: mean}\n')
    .replace('models: [smollm2-135m]', `models: ["untrained:${join(root, 'examples', 'tiny')}"]`)
    .replaceAll('text: tasks/', `limit: 3\n    text: ${join(root, 'examples', 'tasks')}/`)
    .replaceAll('test: tasks/', `test: ${join(root, 'examples', 'tasks')}/`)
    .replace('steps: 30', 'steps: 2')
    .replace('warmup: 3', 'warmup: 1')
    .replace('layers: [10, 20]', 'layers: [2]');
  const [file, out] = [join(folder, 'small.yaml'), join(folder, 'results')];
  writeFileSync(file, small);
  const { status, stderr } = cortune('run', file, '--out', out, '--quiet');
  expect([status, stderr]).toEqual([0, '']);

  const sql = 'select task, metric, count(*) as runs from quality group by all';
  const rows = JSON.parse(cortune('query', out, sql, '--json').stdout) as {
    task: string;
    metric: string;
    runs: number;
  }[];
  const of = (name: string) => rows.filter(({ task }) => task === name).map(({ metric }) => metric);
  expect(of('questions').sort()).toEqual(['exact_match', 'f1', 'loss']);
  expect(of('translations').sort()).toEqual(['bleu', 'chrf', 'loss']);
  expect(rows.every(({ runs }) => Number(runs) === 5)).toBe(true);

  expect(cortune('report', out, '--format', 'md', '--quiet').status).toBe(0);
  const text = readFileSync(join(out, 'report.md'), 'utf8');
  const table = text.slice(text.indexOf('## Regions by task'));
  const [head, , ...lines] = table.split('\n').filter((line) => line.startsWith('|'));
  expect(head).toMatch(/encoding, r .*untuned.*questions: full .*questions: prompt .*translations: full/);
  expect(lines[0]!.split('|').length).toBe(head!.split('|').length);
  expect(table).toContain('decoding, 2v2');
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('Regions by task');
});
