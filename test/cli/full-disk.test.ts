/** A disk that fills up, and files that may not grow: one sentence, nothing half-written, and the study goes on when there is room. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';

vi.setConfig({ testTimeout: 300_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(root, 'bin', 'cortune.mjs');
const folder = mkdtempSync(join(tmpdir(), 'cortune-full-'));
const disk = join(folder, 'disk');
mkdirSync(disk);
const study = join(folder, 'small.yaml');
writeFileSync(
  study,
  `
data: simulated:layer=3
models: ["untrained:${join(root, 'examples', 'tiny')}"]
methods: [untuned, {method: lora, lr: [1e-3, 3e-3], rank: 2}]
seeds: [1]
tune: {steps: 4, batch: 2, block: 32}
encode: {folds: "contiguous:3", inner_folds: 3, trim: 5}
controls: [word_rate]
`,
);

const cortune = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
const mount = (...args: string[]) => spawnSync('mount', ['-t', 'tmpfs', ...args, disk]).status === 0;
const mounted = mount('-o', 'size=8k', 'tmpfs');
afterAll(() => {
  if (mounted) spawnSync('umount', [disk]);
  rmSync(folder, { recursive: true, force: true });
});

/** Everything that is visible is whole, and nothing else is there. */
function expectWhole(out: string): void {
  expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
  expect(readdirSync(join(out, 'claims'))).toEqual([]);
  if (readdirSync(join(out, 'runs')).length > 0) expect(cortune('verify', out).status).toBe(0);
}

describe('without room', () => {
  const whole = join(folder, 'whole');
  let table = '';

  it.skipIf(!mounted)(
    `a study on a full disk ends with one sentence${mounted ? '' : ' (needs root, for a small tmpfs)'}`,
    () => {
      expect(cortune('run', study, '--out', whole).status).toBe(0);
      table = cortune('export', whole).stdout;
      const out = join(disk, 'out');
      for (const size of ['20k', '80k']) {
        mount('-o', `remount,size=${size}`, 'tmpfs');
        const { status, stderr } = cortune('run', study, '--out', out);
        expect([status, stderr]).toEqual([
          1,
          expect.stringMatching(/^cortune: .*(the disk is full|No space left).*\[ERR_IO\]\n$/),
        ]);
        expectWhole(out);
      }
      expect(readdirSync(join(out, 'runs')).length).toBeGreaterThan(0);
      mount('-o', 'remount,size=20m', 'tmpfs');
      expect(cortune('run', study, '--out', out).status).toBe(0);
      expect(cortune('export', out).stdout).toBe(table);
    },
  );

  it('a file that may not grow is named, and the others stay', () => {
    const out = join(folder, 'limited');
    for (const kilobytes of [16]) {
      const { status, stderr } = spawnSync(
        'bash',
        ['-c', `ulimit -f ${kilobytes}; exec "${process.execPath}" "${program}" run "${study}" --out "${out}"`],
        { encoding: 'utf8' },
      );
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(/^cortune: .*(ulimit -f|File too large).*\[ERR_IO\]\n$/),
      ]);
      expectWhole(out);
    }
    expect(cortune('run', study, '--out', out).status).toBe(0);
    if (table !== '') expect(cortune('export', out).stdout).toBe(table);
  });
});
