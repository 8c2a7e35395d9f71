/** What commands print and which exit code they end with. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { exitCodeOf, FailedResult, runCommand, table } from '../../lib/cli/output.js';
import { barLine, bytes, progressBar } from '../../lib/cli/progress.js';
import { CortuneError, expected } from '../../lib/errors.js';

let out: string;
let err: string;
let before: typeof process.exitCode;

beforeEach(() => {
  out = '';
  err = '';
  before = process.exitCode;
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = before;
});

describe('a command', () => {
  it('that is done ends with 0 and its result on stdout', async () => {
    await runCommand({}, async (ctx) => {
      ctx.note('working');
      ctx.result({ a: 1 }, 'one');
    });
    expect([process.exitCode, out, err]).toEqual([0, 'one\n', 'working\n']);
  });

  it('prints JSON with --json and nothing else with --quiet', async () => {
    await runCommand({ json: true, quiet: true }, async (ctx) => {
      ctx.note('working');
      ctx.result({ a: 1 }, 'one');
    });
    expect([process.exitCode, JSON.parse(out), err]).toEqual([0, { a: 1 }, '']);
  });

  it('that fails says one sentence with its code', async () => {
    await runCommand({ json: true }, async () => {
      throw new CortuneError('ERR_DATA', 'Column 3 is constant.');
    });
    expect(process.exitCode).toBe(1);
    expect(JSON.parse(out)).toEqual({ error: { code: 'ERR_DATA', message: 'Column 3 is constant.' } });
    expect(err).toBe('cortune: Column 3 is constant. [ERR_DATA]\n');
  });

  it('used wrongly ends with 2, a missing thing with 1', async () => {
    await runCommand({}, async () => {
      throw expected('rank', 'an integer from 1 to 576', 0);
    });
    expect(process.exitCode).toBe(2);
    expect(err).toMatch(
      /^cortune: Expected `rank` to be an integer from 1 to 576, got `0` \(number\) \[ERR_ARGUMENT\]\n$/,
    );
    await runCommand({}, async () => {
      throw new FailedResult();
    });
    expect(process.exitCode).toBe(1);
  });

  it('interrupted by Ctrl-C ends with 130', async () => {
    await runCommand({}, async (ctx) => {
      setTimeout(() => process.emit('SIGINT'), 10);
      await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('stopped'))));
    });
    expect(process.exitCode).toBe(130);
    expect(err).toMatch(/Interrupted\. \[ERR_CANCELLED\]/);
  });

  it('has its exit code by the code of the error', () => {
    expect(exitCodeOf('ERR_CONFIG')).toBe(2);
    expect(exitCodeOf('ERR_CANCELLED')).toBe(130);
    expect(exitCodeOf('ERR_INTERNAL')).toBe(1);
  });
});

it('aligns tables: numbers right, words left, gaps as dashes', () => {
  expect(
    table(
      ['layer', 'r', 'note'],
      [
        [0, 0.0512, 'a'],
        [10, Number.NaN, 'bb'],
      ],
    ),
  ).toBe(['layer      r  note', '-----  -----  ----', '    0  0.051  a', '   10      -  bb'].join('\n'));
});

describe('progress', () => {
  it('is drawn on a terminal only', () => {
    let drawn = '';
    const write = (text: string) => (drawn += text);
    progressBar({ stream: { isTTY: false, write } }).update({ done: 1, total: 2, stage: 'a' });
    expect(drawn).toBe('');
    const bar = progressBar({ stream: { isTTY: true, columns: 80, write } });
    bar.update({ done: 1, total: 2, stage: 'tune' });
    expect(drawn).toContain('50%');
    bar.clear();
    expect(drawn.endsWith('\r\x1b[2K')).toBe(true);
  });

  it('fits the terminal and shows losses', () => {
    const line = barLine({ done: 50, total: 200, stage: 'tune', values: [0.5, Number.NaN] }, 2000, 100);
    expect(line).toBe(`tune  [${'#'.repeat(6)}${'.'.repeat(18)}]   25%  50/200  6 s left  0.500 diverged`);
    expect(barLine({ done: 1, total: 2, stage: 'x'.repeat(90) }, 0, 40)).toHaveLength(39);
  });

  it('shows bytes as people do', () => {
    expect([bytes(999), bytes(1_234_000), bytes(190_000_000)]).toEqual(['999 B', '1.2 MB', '190 MB']);
  });
});
