/** examples/stimulus-tuning.yaml from the command to the report and the comparison, at its smallest size; and that its full size can be planned. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { readStudy } from '../../lib/study/schema.js';

vi.setConfig({ testTimeout: 240_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const study = join(root, 'examples', 'stimulus-tuning.yaml');
const folder = mkdtempSync(join(tmpdir(), 'cortune-stimulus-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function cortune(...args: string[]) {
  return spawnSync(process.execPath, [join(root, 'bin', 'cortune.mjs'), ...args], { encoding: 'utf8' });
}

interface Group {
  stratum: Record<string, string | number>;
  runs: number;
  baselineRuns: number;
  over: string;
  effect: { n: number };
  p: number;
}

describe('examples/stimulus-tuning.yaml', () => {
  it('compares parameter-efficient with full tuning, for each model, rate, task and data set', () => {
    const out = join(folder, 'out');
    const { status, stderr } = cortune('run', study, '--size', 'tiny', '--out', out, '--json', '--workers', '0');
    expect([status, stderr]).toEqual([0, '']);
    const compare = (...args: string[]) =>
      JSON.parse(
        cortune('compare', out, '--of', 'lora,adalora,ia3', '--baseline', 'full', '--json', ...args).stdout,
      ) as {
        groups: Group[];
      };
    const { groups } = compare('--per', 'data,task,model,lr');
    expect(groups).toHaveLength(2 * 2 * 2 * 2);
    for (const { runs, baselineRuns, over, effect, p } of groups) {
      expect([runs, baselineRuns, over, effect.n]).toEqual([3, 1, 'subjects', 5]);
      // Five subjects have 32 sign patterns: p is one of their shares.
      expect(p * 32).toBeCloseTo(Math.round(p * 32), 9);
    }
    expect(compare('--per', 'lr').groups.map(({ stratum, runs }) => [stratum.lr, runs])).toEqual([
      [3e-4, 12],
      [3e-3, 12],
    ]);
    const ask = (sql: string) => JSON.parse(cortune('query', out, sql, '--json').stdout) as Record<string, number>[];
    // Each tuned run is measured on the stimuli; untuned ones for each task.
    const [count] = ask("select count(*) as n from quality where metric = 'perplexity'");
    expect(count!.n).toBe(2 * 2 * (2 + 2 * 4 * 2));
    const page = readFileSync(join(out, 'report.html'), 'utf8');
    for (const heading of ['Parameter-efficient against full', 'Task quality'])
      expect(page).toContain(`>${heading}</h2>`);
  });

  it('says at every size what it is', async () => {
    const [reduced, full] = [await readStudy(study), await readStudy(study, 'full')];
    expect(reduced.models).toHaveLength(9);
    expect(full.models.map(({ name }) => name)).toHaveLength(8);
    expect(full.models.every(({ config }) => config === undefined)).toBe(true);
    expect(full.data.map(({ dataset }) => dataset)).toEqual(['alice', 'pereira2018']);
  });
});
