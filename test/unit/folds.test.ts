/** Folds: every row tested once, no row on both sides, gaps kept, groups together; and what is refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FoldOptions, makeFolds, parseFolds } from '../../lib/encode/folds.js';

const sorted = (rows: Iterable<number>) => [...rows].sort((a, b) => a - b);
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Options that can be met: rows enough for folds, inner folds and gaps. */
const feasible: fc.Arbitrary<Required<Pick<FoldOptions, 'rows' | 'kind' | 'count' | 'inner' | 'seed' | 'groups'>>> = fc
  .record({
    kind: fc.constantFrom('contiguous' as const, 'grouped' as const, 'shuffled' as const),
    count: fc.integer({ min: 2, max: 6 }),
    inner: fc.integer({ min: 2, max: 5 }),
    seed: fc.nat(1000),
    groupCount: fc.integer({ min: 7, max: 10 }),
    rows: fc.integer({ min: 30, max: 120 }),
  })
  .map(({ groupCount, ...rest }) => ({ ...rest, groups: range(rest.rows).map((row) => `g${row % groupCount}`) }));

describe('makeFolds', () => {
  it('tests every row once, outside and inside, and never trains on a test row', () => {
    fc.assert(
      fc.property(feasible, (options) => {
        const folds = makeFolds(options);
        expect(folds.length).toBe(options.count);
        expect(sorted(folds.flatMap(({ test }) => [...test]))).toEqual(range(options.rows));
        for (const { train, test, inner } of folds) {
          expect(sorted([...train, ...test])).toEqual(range(options.rows));
          const left = new Set([...train].map((row) => options.groups![row])).size;
          expect(inner.length).toBe(options.kind === 'grouped' ? Math.min(options.inner, left) : options.inner);
          expect(sorted(inner.flatMap((fold) => [...fold.test]))).toEqual([...train]);
          for (const fold of inner) expect(sorted([...fold.train, ...fold.test])).toEqual([...train]);
        }
      }),
    );
  });

  it('keeps groups together', () => {
    fc.assert(
      fc.property(feasible, (options) => {
        const folds = makeFolds({ ...options, kind: 'grouped' });
        for (const split of folds.flatMap((fold) => [fold, ...fold.inner])) {
          const tested = new Set([...split.test].map((row) => options.groups![row]));
          expect([...split.train].some((row) => tested.has(options.groups![row]!))).toBe(false);
        }
      }),
    );
  });

  it('leaves a gap of `gap` rows beside every held-out row, in outer and inner folds, and drops no others', () => {
    fc.assert(
      fc.property(fc.integer({ min: 60, max: 200 }), fc.integer({ min: 0, max: 4 }), (rows, gap) => {
        const outside = range(rows);
        for (const fold of makeFolds({ rows, count: 4, inner: 3, gap })) {
          const inside = fold.inner.map((inner) => ({ split: inner, from: [...fold.train] }));
          for (const { split, from } of [{ split: fold, from: outside }, ...inside]) {
            const near = (row: number) => split.test.some((test) => Math.abs(test - row) <= gap);
            expect([...split.train]).toEqual(from.filter((row) => !near(row)));
          }
        }
      }),
    );
  });

  it('trims the ends of held-out runs from the test rows alone, in outer and inner folds', () => {
    const whole = makeFolds({ rows: 23, count: 2, inner: 2 });
    const cut = makeFolds({ rows: 23, count: 2, inner: 2, trim: 2 });
    const pairs = whole.flatMap((fold, f) => [
      [fold, cut[f]!] as const,
      ...fold.inner.map((inner, i) => [inner, cut[f]!.inner[i]!] as const),
    ]);
    expect(pairs).toHaveLength(6);
    for (const [plain, shorter] of pairs) {
      expect([...shorter.train]).toEqual([...plain.train]);
      expect([...shorter.test]).toEqual([...plain.test].slice(2, -2));
    }
  });

  it('trims each run of a group', () => {
    const groups = [...'aaaabbbbaaaa'];
    const folds = makeFolds({ rows: 12, kind: 'grouped', inner: 0, trim: 1, groups });
    expect(folds.map(({ test }) => [...test])).toEqual([
      [1, 2, 9, 10],
      [5, 6],
    ]);
  });

  it('cuts contiguous blocks as numpy.array_split does', () => {
    const folds = makeFolds({ rows: 11, kind: 'contiguous', count: 3, inner: 0 });
    expect(folds.map(({ test }) => [...test])).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10],
    ]);
  });

  it('holds out one group at a time without a count, balances them with one', () => {
    const groups = ['a', 'a', 'b', 'b', 'b', 'c', 'd'];
    const tests = (count: number) =>
      makeFolds({ rows: 7, kind: 'grouped', count, inner: 0, groups }).map(({ test }) => [...test]);
    expect(tests(0)).toEqual([[0, 1], [2, 3, 4], [5], [6]]);
    expect(tests(2)).toEqual([
      [2, 3, 4, 6],
      [0, 1, 5],
    ]);
  });

  it('shuffles by the seed alone', () => {
    const tests = (seed: number) =>
      makeFolds({ rows: 40, kind: 'shuffled', count: 4, seed }).map(({ test }) => [...test]);
    expect(tests(3)).toEqual(tests(3));
    expect(tests(3)).not.toEqual(tests(4));
    expect(tests(3)[0]).not.toEqual(range(10));
  });

  it.each([
    ['fewer rows than folds', { rows: 4, count: 5 }, /Expected `folds` to be at most the 4 rows of the data/],
    [
      'fewer training rows than inner folds',
      { rows: 6, count: 2, inner: 4 },
      /at most the 3 rows of the training rows of fold 0/,
    ],
    ['one fold', { rows: 9, count: 1 }, /at least 2/],
    ['one inner fold', { rows: 9, count: 3, inner: 1 }, /at least 2 inner folds/],
    [
      'a gap that eats the training rows',
      { rows: 20, count: 2, gap: 10 },
      /fold 0 to have at least 2 training rows, got 0 after a gap of 10/,
    ],
    [
      'a gap that eats inner training rows',
      { rows: 20, count: 4, inner: 2, gap: 4 },
      /inner fold \d to have at least 2 training rows/,
    ],
    [
      'a trim that leaves nothing to score',
      { rows: 20, count: 4, trim: 3 },
      /fold 0 to have rows to score, got none of 5/,
    ],
    ['a trim of shuffled folds', { rows: 20, kind: 'shuffled', trim: 1 }, /Expected `trim` to be 0 for shuffled folds/],
    ['no groups', { rows: 9, kind: 'grouped', count: 3 }, /Expected `groups` to be given for grouped folds/],
    [
      'groups of another length',
      { rows: 3, kind: 'grouped', count: 2, groups: ['a', 'b'] },
      /one for each of the 3 rows/,
    ],
    [
      'a group that leaves a fold empty',
      { rows: 4, kind: 'grouped', count: 3, groups: ['a', 'a', 'b', 'b'] },
      /at least 3 different groups/,
    ],
    ['one group', { rows: 3, kind: 'grouped', count: 0, groups: ['a', 'a', 'a'] }, /at least 2 different groups/],
    [
      'two groups and inner folds',
      { rows: 4, kind: 'grouped', count: 2, groups: ['a', 'a', 'b', 'b'] },
      /at least 2 groups in the training rows of fold 0/,
    ],
    ['a fraction of a row', { rows: 10.5 }, /Expected `rows` to be an integer/],
    ['a negative gap', { rows: 10, gap: -1 }, /Expected `gap` to be an integer of at least 0/],
  ] as [string, FoldOptions, RegExp][])('refuses %s', (_, options, sentence) => {
    expect(() => makeFolds(options)).toThrow(sentence);
  });
});

describe('parseFolds', () => {
  it.each([
    ['contiguous:10', { kind: 'contiguous', count: 10, seed: 0 }],
    ['contiguous', { kind: 'contiguous', count: 5, seed: 0 }],
    ['grouped', { kind: 'grouped', count: 0, seed: 0 }],
    ['grouped:4', { kind: 'grouped', count: 4, seed: 0 }],
    ['shuffled:5:7', { kind: 'shuffled', count: 5, seed: 7 }],
  ])('reads %s', (text, spec) => {
    expect(parseFolds(text)).toEqual(spec);
  });

  it.each([
    '',
    'random:5',
    'contiguous:',
    'contiguous:1',
    'contiguous:0',
    'contiguous:-5',
    'contiguous:5:1',
    'grouped:1',
    'shuffled:5:x',
    'shuffled:5:1:2',
    'contiguous:5.5',
  ])('refuses `%s`', (text) => {
    expect(() => parseFolds(text)).toThrow(/Expected `folds` to be .*got/);
  });
});
