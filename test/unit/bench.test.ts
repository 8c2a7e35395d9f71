/** The benchmark harness: which rival counts, what a case says, how wrong usage ends. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript
import { caseOf, compare, median, unavailable } from '../../bench/harness/rounds.mjs';
// @ts-expect-error plain JavaScript
import { lineOf } from '../../bench/harness/table.mjs';

/** A side that takes these seconds, one after the other, and counts its calls. */
function side(seconds: number[]) {
  const calls = { count: 0 };
  return { calls, run: async () => seconds[calls.count++ % seconds.length]! };
}

describe('compare', () => {
  it('counts the rival of the smallest median, in ratios within rounds', async () => {
    const ours = side([9, 1, 2, 1]); // the first round warms up
    const fast = side([9, 3, 5, 3]);
    const steady = side([9, 4, 4, 4]);
    const peers = [
      { name: 'steady', run: steady.run },
      { name: 'fast', run: fast.run },
    ];
    const result = await compare({ name: 'x', goal: 4, ours: ours.run, peers, limit: 'memory' }, 3);
    expect(result).toEqual({
      ...{ name: 'x', unit: 's', ours: 1, peer: 3, peerName: 'fast', ratio: 3, goal: 4, spread: [2.5, 3] },
      limit: 'memory',
    });
  });

  it('does not run a hopeless rival again', async () => {
    const slow = side([8]);
    const peers = [
      { name: 'slow', run: slow.run },
      { name: 'good', run: side([2]).run },
    ];
    const result = await compare({ name: 'x', goal: 0, ours: side([1]).run, peers, warm: true }, 4);
    expect(slow.calls.count).toBe(1);
    expect(result.peerName).toBe('good');
  });
});

it('a case that reaches its goal has no limit; one that cannot run says why', () => {
  const figures = { name: 'x', goal: 2, ours: 1, peer: 3, peerName: 'p', ratios: [3, 2, 4], limit: 'memory' };
  expect(caseOf(figures)).toEqual({
    ...{ name: 'x', unit: 's', ours: 1, peer: 3, peerName: 'p', ratio: 3, goal: 2, spread: [2, 4] },
  });
  expect(lineOf(caseOf(figures))).toBe('x\n  ours 1 s, p 3 s: 3x (goal 2), 2 to 4\n');
  expect(lineOf(unavailable('y', 2, 'No such method.'))).toBe('y\n  not available: No such method.\n');
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

it.each([
  [[], 'Expected one suite of ablate, analysis, embed, generate, ridge, sweep, tune, got ``.'],
  [['nope'], 'Expected one suite of ablate, analysis, embed, generate, ridge, sweep, tune, got `nope`.'],
  [['tune', '--rounds', '0'], 'Expected `--rounds` to be an integer from 1, got `0`.'],
  [['tune', '--bogus'], "Unknown option '--bogus'"],
  [['tune', '--case', '('], 'Expected `--case` to be a regular expression, got `(`'],
])('%j is refused', (args, message) => {
  const { status, stderr } = spawnSync(process.execPath, [join('bench', 'run.mjs'), ...args]);
  expect([status, stderr.toString()]).toEqual([2, expect.stringContaining(message)]);
});
