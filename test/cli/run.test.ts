/** `run`, `report`, `export` as real processes on real engines: the planted layer is found, and kill -9 changes nothing. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';

// Real processes on cores that other tests share.
vi.setConfig({ testTimeout: 300_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(root, 'bin', 'cortune.mjs');
const folder = mkdtempSync(join(tmpdir(), 'cortune-run-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const kSmall = `
name: small
data: simulated:layer=3
models: ["untrained:${join(root, 'examples', 'tiny')}"]
methods:
  - untuned
  - {method: lora, lr: [1e-3, 3e-3], rank: 2}
  - {method: full, lr: [1e-4]}
  - {method: prefix, virtual_tokens: 3, name: three keys}
seeds: [1]
tune: {steps: 6, batch: 2, block: 32}
encode: {folds: "contiguous:3", inner_folds: 3, trim: 5}
controls: [word_rate]
`;
const study = join(folder, 'small.yaml');
writeFileSync(study, kSmall);

function cortune(...args: string[]) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}

function start(...args: string[]): { child: ChildProcess; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [program, ...args], { stdio: 'ignore' });
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve(code))) };
}

function runs(out: string): string[] {
  return readdirSync(join(out, 'runs')).filter((name) => !name.startsWith('.'));
}

describe('cortune run', () => {
  const out = join(folder, 'whole');

  it('shows the plan first, and writes nothing', () => {
    const { status, stdout } = cortune('run', study, '--out', out, '--dry-run');
    expect(status).toBe(0);
    expect(stdout).toMatch(/small: 6 runs in 4 lane batches/);
    expect(stdout).toMatch(/a simulated subject, 242 rows, 4 targets/);
    expect(stdout).toMatch(
      /To do: .*FLOP, .*; about \d+ s here with \d+ workers? of \d+ threads?, by a short measurement \(estimates\)/,
    );
    expect(() => statSync(out)).toThrow();
  });

  it('runs a study to its table and report, and finds the planted layer', () => {
    const { status, stdout, stderr } = cortune('run', study, '--out', out, '--json');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const result = JSON.parse(stdout) as {
      runs: { title: string; bestLayer: number; best_r: number }[];
      data: { simulated: boolean };
    };
    expect(result.data.simulated).toBe(true);
    const untuned = result.runs.find((run) => run.title.endsWith('untuned'));
    expect(untuned?.bestLayer).toBe(3);
    expect(untuned?.best_r).toBeGreaterThan(0.5);
    expect(result.runs).toHaveLength(6);
    expect(statSync(join(out, 'report.html')).size).toBeGreaterThan(100_000);
  });

  it('keeps losses and adapters of tuned runs', () => {
    const kinds = runs(out).map((id) =>
      readdirSync(join(out, 'runs', id))
        .sort()
        .join(' '),
    );
    expect(kinds.sort()).toEqual([
      'adapter losses.jsonl manifest.json run.json scores.json',
      'adapter losses.jsonl manifest.json run.json scores.json',
      'adapter losses.jsonl manifest.json run.json scores.json',
      'losses.jsonl manifest.json run.json scores.json',
      'manifest.json run.json scores.json',
      'manifest.json run.json scores.json',
    ]);
  });

  it('computes nothing twice; --force computes everything, to the same numbers', () => {
    const stamp = () => runs(out).map((id) => statSync(join(out, 'runs', id, 'run.json')).mtimeMs);
    const [before, table] = [stamp(), cortune('export', out).stdout];
    expect(cortune('run', study, '--out', out).status).toBe(0);
    expect(stamp()).toEqual(before);
    expect(cortune('run', study, '--out', out, '--dry-run').stdout).toMatch(/To do: 0\.0 GFLOP/);
    expect(cortune('run', study, '--out', out, '--force').status).toBe(0);
    expect(stamp()).not.toEqual(before);
    expect(cortune('export', out).stdout).toBe(table);
  });

  it('killed with -9 at ten moments, the command or a worker, ends with the same table', () => {
    const script = join(root, 'test', 'helpers', 'kill-study.mjs');
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, study, '10', '1'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^\d+ kills of the command, \d+ of workers, \d+ ends; 0 of the tables differ\.$/m);
  }, 600_000);

  it('stops on Ctrl-C with 130 and keeps what is complete', async () => {
    const stopped = join(folder, 'stopped');
    const { child, ended } = start('run', study, '--out', stopped);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      try {
        if (runs(stopped).length >= 2) break;
      } catch {}
    }
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    const kept = runs(stopped).length;
    expect(kept).toBeGreaterThanOrEqual(2);
    for (const id of runs(stopped))
      expect(JSON.parse(readFileSync(join(stopped, 'runs', id, 'run.json'), 'utf8')).status).toBe('done');
    expect(readdirSync(join(stopped, 'claims'))).toEqual([]);
  });

  it('estimates what is left from what is done', () => {
    const { batches, ...plan } = JSON.parse(
      cortune('run', study, '--out', join(folder, 'stopped'), '--dry-run', '--json').stdout,
    ) as { estimated_from: string; seconds: number; batches: { pending: number; seconds: number }[] };
    expect(plan.estimated_from).toBe('runs');
    expect(plan.seconds).toBeGreaterThan(0);
    for (const { pending, seconds } of batches) expect(seconds > 0).toBe(pending > 0);
  });

  it('answers a wrong study with its line and exit code 2', () => {
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(wrong, kSmall.replace('trim:', 'trimm:'));
    const { status, stderr } = cortune('run', wrong, '--out', join(folder, 'never'));
    expect(status).toBe(2);
    expect(stderr).toMatch(/wrong\.yaml:12:\d+: Unknown key `trimm` in `encode` \(did you mean `trim`\?\)/);
    expect(cortune('run', join(folder, 'absent.yaml')).status).toBe(1);
  });

  it.each([
    ['more folds than rows', ['contiguous:3', 'contiguous:5000'], 'folds'],
    ['a layer the model does not have', ['seeds: [1]', 'seeds: [1]\nembed: {layers: [0, 99]}'], 'numbers from 0 to 6'],
    ['a planted layer the model does not have', ['layer=3', 'layer=99'], 'a number from 0 to 6'],
  ])('refuses %s before anything is computed', (_, [from, to], says) => {
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(wrong, kSmall.replace(from!, to!));
    for (const more of [['--dry-run'], []]) {
      const { status, stderr } = cortune('run', wrong, '--out', join(folder, 'never'), ...more);
      expect([status, stderr]).toEqual([2, expect.stringContaining(says)]);
    }
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });

  it('records a run that fails and goes on with the others', () => {
    const failing = join(folder, 'failing.yaml');
    writeFileSync(failing, kSmall.replace('rank: 2}', 'rank: 2, targets: [q_proj, no_such_module]}'));
    const { status, stdout, stderr } = cortune('run', failing, '--out', join(folder, 'failing'));
    expect(status).toBe(0);
    expect(stderr).toMatch(/Failed: .*lora lr 1e-3 rank 2 seed 1: Expected `targets` to name linear modules/);
    expect(stdout).toMatch(/untuned/);
  });
});

describe('cortune report and export', () => {
  it('give a pipe all of a long table', async () => {
    const { runFake } = await import('../helpers/fake-study.js');
    await runFake(join(folder, 'long'));
    const { stdout } = spawnSync(
      'sh',
      ['-c', `"${process.execPath}" "${program}" export "${join(folder, 'long')}" | (sleep 1; cat)`],
      {
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      },
    );
    expect(stdout.length).toBeGreaterThan(1 << 18);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1 + 30 + 11 * 13 * 30);
  });

  it('say where there are no results', () => {
    const { status, stderr } = cortune('report', join(folder, 'nothing'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/Expected results in .*nothing, and there are none\. `cortune run STUDY/);
    expect(cortune('export', join(folder, 'nothing')).status).toBe(1);
  });

  it('name the studies there are', () => {
    const { status, stderr } = cortune('export', join(folder, 'whole'), '--study', 'big');
    expect(status).toBe(1);
    expect(stderr).toMatch(/Expected the study `big` .*there are: `small`/);
  });

  it('write where they are told', () => {
    const page = join(folder, 'page.html');
    expect(cortune('report', join(folder, 'whole'), '--out', page).stdout.trim()).toBe(page);
    expect(readFileSync(page, 'utf8').slice(0, 15)).toBe('<!doctype html>');
    const file = join(folder, 'scores.json');
    expect(cortune('export', join(folder, 'whole'), '--format', 'json', '--out', file).status).toBe(0);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toHaveLength(4 * (1 + 5 * 7));
  });
});
