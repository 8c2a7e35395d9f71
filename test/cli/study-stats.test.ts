/** A study that asks for tests: they are in its scores, its table, its report; the planted layer is found and controls are not. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { readResults, scoreRows } from '../../lib/study/results.js';

// A real process on cores that other tests share.
vi.setConfig({ testTimeout: 120_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(root, 'bin', 'cortune.mjs');
const folder = mkdtempSync(join(tmpdir(), 'cortune-study-stats-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const out = join(folder, 'out');
const study = join(folder, 'tested.yaml');

function cortune(...args: string[]) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}

describe('a study with `stats`', () => {
  it('tests every layer and target of every run', async () => {
    writeFileSync(
      study,
      `name: tested
data: simulated:layer=3,targets=3
models: ["untrained:${join(root, 'examples', 'tiny')}"]
methods: [untuned]
encode: {folds: "contiguous:3", inner_folds: 3, trim: 5}
controls: [oasm, random_embeddings]
stats: {permutations: 199, exchange: phase, resamples: 100}
`,
    );
    expect(cortune('run', study, '--out', out, '--quiet').status).toBe(0);
    const rows = [...scoreRows(await readResults(out))];
    const planted = rows.filter(({ method, layer }) => method === 'untuned' && layer === 3);
    expect(planted).toHaveLength(3);
    for (const { r, p, fdr, pMax, lower, upper } of planted) {
      expect(p).toBe(1 / 200);
      expect(pMax).toBeLessThan(0.05);
      expect(fdr).toBeLessThan(0.05);
      expect(lower).toBeLessThan(r);
      expect(upper).toBeGreaterThan(r);
    }
    // Folds are longer than the smoothing reaches, and trimmed: autocorrelation alone predicts nothing.
    for (const { r, p } of rows.filter(({ method }) => method === 'oasm')) {
      expect(r).toBeLessThan(0.2);
      expect(p).toBeGreaterThan(0.01);
    }
  });

  it('shows them in the table and in the report', () => {
    const [header, first] = cortune('export', out).stdout.split('\n');
    expect(header).toMatch(/,r_over_ceiling,p,p_fdr,p_max,r_lower,r_upper,r_fold_1/);
    expect(first!.split(',')).toHaveLength(header!.split(',').length);
    const report = readFileSync(join(out, 'report.html'), 'utf8');
    expect(report).toContain('What the scores are worth');
    expect(report).toMatch(/p from 199 permutations \(phase\)/);
    expect(report).toMatch(/0\.\d{3} \[0\.\d\d, 0\.\d\d\] p 0\.0\d{3}/);
    expect(JSON.parse(cortune('export', out, '--json').stdout)[0]).toHaveProperty('p_fdr');
  });

  it('says in one sentence what is wrong in it', () => {
    writeFileSync(study, readFileSync(study, 'utf8').replace('phase', 'spiral'));
    const { status, stderr } = cortune('run', study, '--out', out);
    expect(status).toBe(2);
    const text = readFileSync(study, 'utf8').replace('spiral', 'block:1000');
    writeFileSync(study, text);
    expect(cortune('run', study, '--out', out).stderr).toMatch(
      /blocks shorter than the \d+ rows of a part, got `1000`/,
    );
    expect(stderr).toMatch(/tested\.yaml:7:\d+: Expected `exchange` to be `block:ROWS`/);
  });
});
