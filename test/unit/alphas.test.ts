/** Grids of penalties: their forms, and what is refused. */
import { describe, expect, it } from 'vitest';
import { kDefaultAlphas, parseAlphas } from '../../lib/encode/alphas.js';

describe('parseAlphas', () => {
  it('reads logspace as numpy does', () => {
    const grid = parseAlphas(kDefaultAlphas);
    expect(grid.length).toBe(10);
    grid.forEach((alpha, i) => {
      expect(alpha / 10 ** (i - 1)).toBeCloseTo(1, 14);
    });
    expect([...parseAlphas('logspace:3:3:1')]).toEqual([1000]);
    expect([...parseAlphas('logspace:2:0:3')]).toEqual([1, 10, 100]);
  });

  it('sorts numbers and drops doubles', () => {
    expect([...parseAlphas('10, 0.1,1,10')]).toEqual([0.1, 1, 10]);
    expect([...parseAlphas([2, 1])]).toEqual([1, 2]);
    expect([...parseAlphas(Float64Array.of(5))]).toEqual([5]);
  });

  it.each(['0', '0,1', '-1', '1,-5', '1e400', [0], [Number.NaN], [Number.POSITIVE_INFINITY]])(
    'refuses %j: not positive',
    (grid) => {
      expect(() => parseAlphas(grid as string | number[])).toThrow(
        /Expected `alphas` to be positive: ridge needs a penalty above 0, got/,
      );
    },
  );

  it.each([
    '',
    ',',
    '1,,2',
    'ten',
    'logspace',
    'logspace:0:1',
    'logspace:0:1:0',
    'logspace:0:1:2.5',
    'logspace:a:1:2',
    'logspace:0:1:2:3',
    'logspace:0:999:5',
    'logspace:0:1:99999',
    [],
  ])('refuses %j: another form', (grid) => {
    expect(() => parseAlphas(grid as string | number[])).toThrow(/Expected `alphas` to be .*logspace.*got/);
  });

  it('has the code of a wrong argument', () => {
    for (const grid of ['0', 'x']) {
      try {
        parseAlphas(grid);
        expect.unreachable();
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_ARGUMENT', name: 'RangeError' });
      }
    }
  });
});
