/** lib/native/types.ts and the addon's exports are the same list. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native/load.js';

/** Names of the functions of `interface Native`, by their two-space indentation. */
function declared(): string[] {
  const source = readFileSync(new URL('../../lib/native/types.ts', import.meta.url), 'utf8');
  const body = source.slice(source.indexOf('export interface Native {'));
  return [...body.matchAll(/^ {2}(\w+)\(/gm)].map((match) => match[1]!).sort();
}

describe('the native surface', () => {
  it('is typed whole, and nothing that is not there is typed', () => {
    expect(Object.keys(native()).sort()).toEqual(declared());
  });

  it('says what it runs on', () => {
    expect(native().info()).toMatchObject({ libtorch: expect.stringMatching(/^2\.13\./), threads: expect.any(Number) });
  });

  it.each([
    [0, '1 to 1024'],
    [1.5, '1 to 1024'],
    [Number.NaN, '1 to 1024'],
  ])('refuses %s threads', (threads, says) => {
    expect(() => native().setThreads(threads)).toThrow(says);
  });
});
