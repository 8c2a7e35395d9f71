/** The native functions of analysis given what TypeScript would never give them: an error with a code, never a crash. */
import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native/load.js';
import { Tensor } from '../../lib/tensor.js';

const tensor = (shape: number[]) => {
  const size = shape.reduce((product, length) => product * length, 1);
  return Tensor.from(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * i + 1)),
    shape,
  ).handle;
};
const orders = Int32Array.of();
const phases = Float64Array.of();
const parts = [{ rows: Int32Array.of(0, 1, 2) }, { rows: Int32Array.of(3, 4, 5) }];
const held = { predictions: tensor([6, 2]), responses: tensor([6, 2]), parts };
const scored = { ...held, orders, phases, twoSided: false };
const drawn = { ...held, draws: Int32Array.of(0, 1, 2, 3, 4, 5), level: 0.9 };
const match = {
  predicted: tensor([1, 4, 3]),
  actual: tensor([4, 3]),
  metric: 'cosine' as const,
  groups: orders,
  orders,
};
const fold = { train: Int32Array.of(0, 1, 2, 3), test: Int32Array.of(4, 5) };
const labels = Int32Array.of(0, 1, 0, 1, 0, 1);
const classes = { features: tensor([6, 2]), folds: [fold], labels, classes: 2, c: 1, zscore: true };

describe.each<[string, (args: never) => { promise: Promise<unknown> }, object, [string, object][]]>([
  [
    'matchRows',
    native().matchRows,
    match,
    [
      ['other columns', { actual: tensor([4, 2]) }],
      ['one axis', { predicted: tensor([12]) }],
      ['half an order', { orders: Int32Array.of(0, 1) }],
      ['rows that are not there', { orders: Int32Array.of(0, 1, 2, 9) }],
      ['a group too few', { groups: Int32Array.of(0, 0) }],
    ],
  ],
  [
    'permutedScores',
    native().permutedScores,
    { ...scored, orders: Int32Array.of(1, 0, 2, 3, 4, 5) },
    [
      ['orders across parts', { orders: Int32Array.of(3, 0, 2, 1, 4, 5) }],
      ['half an order', { orders: Int32Array.of(0, 1) }],
      ['no parts', { parts: [] }],
      ['a part of one row', { parts: [{ rows: Int32Array.of(1) }] }],
      ['rows that are not there', { parts: [{ rows: Int32Array.of(1, 6) }] }],
      ['other responses', { responses: tensor([6, 3]) }],
      ['half the phases', { phases: Float64Array.of(1, 2, 3) }],
    ],
  ],
  [
    'resampledScores',
    native().resampledScores,
    drawn,
    [
      ['draws across parts', { draws: Int32Array.of(0, 1, 3, 3, 4, 5) }],
      ['a negative place', { draws: Int32Array.of(-1, 1, 2, 3, 4, 5) }],
    ],
  ],
  [
    'logistic',
    native().logistic,
    classes,
    [
      ['labels out of range', { labels: Int32Array.of(0, 1, 2, 1, 0, 1) }],
      ['half a labelling', { labels: Int32Array.of(0, 1) }],
      ['rows that are not there', { folds: [{ ...fold, test: Int32Array.of(6) }] }],
      ['one class', { classes: 1 }],
      ['no weight', { c: 0 }],
    ],
  ],
  [
    'dissimilarities',
    native().dissimilarities,
    { values: tensor([1, 4, 3]), metric: 'cosine' },
    [
      ['no axis of layers', { values: tensor([4, 3]) }],
      ['another metric', { metric: 'manhattan' }],
      ['one row', { values: tensor([1, 1, 3]) }],
    ],
  ],
  [
    'layerSimilarity',
    native().layerSimilarity,
    { a: tensor([1, 4, 3]), b: tensor([2, 4, 5]), measure: 'cka' },
    [['other rows', { b: tensor([1, 5, 3]) }]],
  ],
])('%s', (_, run, right, wrongs) => {
  const call = (args: object) => run(args as never).promise;

  it('takes right arguments', async () => {
    await expect(call(right)).resolves.toBeDefined();
  });

  it.each(wrongs)('refuses %s', async (_, change) => {
    await expect(call({ ...right, ...change })).rejects.toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }));
  });

  it('refuses arguments of other types at once', () => {
    for (const key of Object.keys(right)) expect(() => call({ ...right, [key]: Symbol('no') }), key).toThrow();
    expect(() => call(undefined as never)).toThrow();
  });
});
