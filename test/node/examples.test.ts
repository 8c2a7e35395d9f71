/** The examples as a user runs them, and what they are there to show; also from CommonJS and in a worker thread. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const kFolder = fileURLToPath(new URL('../../examples/node/', import.meta.url));
const kExamples = readdirSync(kFolder).filter((name) => /^\d/.test(name));

/** Numbers that stand behind `label` in the lines of an output. */
function numbersAfter(output: string, label: string): number[] {
  return [...output.matchAll(new RegExp(`${label} (-?[\\d.]+)`, 'g'))].map(([, number]) => Number(number));
}
const best = (values: readonly number[]) => values.indexOf(Math.max(...values));

const kShow: Record<string, (output: string) => void> = {
  '1-embed.mjs': (output) => {
    expect(output).toContain('7 x 4 x 64');
    for (const layer of [0, 3, 6]) expect(output.split(`layer ${layer}:`)[1]!.trim().split(/\s+/)[layer]).toBe('1.00');
  },
  '2-tune.mjs': (output) => {
    const losses = [...output.matchAll(/loss ([\d.]+) -> ([\d.]+)/g)].map(([, from, to]) => [Number(from), Number(to)]);
    expect(losses).toHaveLength(6);
    for (const [from, to] of losses) expect(to).toBeLessThan(from!);
    expect(output).toContain('saved and loaded: 1 lane');
  },
  // Responses were made from layer 1.
  '3-encode.mjs': (output) => expect(best(numbersAfter(output, 'mean r'))).toBe(1),
  '4-decode.mjs': (output) => {
    const accuracies = numbersAfter(output, '2v2 accuracy');
    expect(accuracies).toHaveLength(7);
    expect(Math.max(...accuracies)).toBeGreaterThan(0.9);
  },
  '5-study.cjs': (output) => {
    expect(output).toContain('every file is as it was written');
    expect(output).toContain('report.html');
  },
  '6-worker.mjs': (output) => {
    expect(output).toContain('[ 7, 2, 64 ]');
    expect(output).toContain('ERR_CANCELLED');
  },
};

describe('examples', () => {
  it.each(kExamples)('%s', { timeout: 60_000 }, async (name) => {
    const { stdout } = await promisify(execFile)(process.execPath, [kFolder + name]);
    kShow[name]!(stdout);
  });
});
