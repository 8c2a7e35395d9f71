/** What can be read linearly from hidden states: each variable of the items, at every token position and layer, against shuffled labels. */

import { pearson } from '../data/ceiling.js';
import { encode } from '../encode/encode.js';
import { makeFolds, parseFolds } from '../encode/folds.js';
import { CortuneError, expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { packIds } from '../native/pack.js';
import { mean, sum } from '../numbers.js';
import { Random } from '../random.js';
import { Tensor } from '../tensor.js';
import { alignedItems } from './aligned.js';
import { type ProbeItem, type ProbeOptions, probed } from './items.js';

export interface DecodeStatesOptions extends ProbeOptions {
  /** Names of variables; default all that differ between items. */
  variables?: readonly string[] | undefined;
  /** Entries of hidden_states; default all. */
  layers?: readonly number[] | undefined;
  /** Token positions, from 0; default all. */
  positions?: readonly number[] | undefined;
  /** Default `shuffled:5`: items are drawn independently of each other. */
  folds?: string | undefined;
  /** Shuffles of the labels, each fitted as the labels are; default 5. */
  shuffles?: number | undefined;
  /** Of the shuffles; default 0. */
  seed?: number | undefined;
}

/** Of one variable at one place: over folds, and over folds of all shuffles. */
export interface PlaceScore {
  position: number;
  layer: number;
  mean: number;
  deviation: number;
  shuffled: number;
  shuffledDeviation: number;
}

export interface DecodedVariable {
  name: string;
  /** 'classes' are scored by balanced accuracy, 'numbers' by Pearson r. */
  kind: 'classes' | 'numbers';
  chance: number;
  scores: PlaceScore[];
}

export interface DecodedStates {
  /** Items used: those of the most frequent length. */
  items: number;
  left: number;
  tokens: string[];
  positions: number[];
  layers: number[];
  variables: DecodedVariable[];
}

/** A variable as columns to regress on. */
interface Columns {
  name: string;
  kind: 'classes' | 'numbers';
  classes: string[];
  /** Class of each item, or its value. */
  values: Float64Array;
  first: number;
  width: number;
}

// Bytes of states that are held at a time.
const kBytes = 128 * 2 ** 20;

/**
 * Decodes each variable of the items from the hidden states at every token position and layer: ridge regression with a penalty chosen by
 * generalised cross-validation of the training rows for each layer and column; classes as -1 and 1 columns, the largest wins. Items must be
 * equally long to have positions in common: those of the most frequent length are used.
 *
 * @throws ERR_DATA for items without variables, or a variable that is the same for all; ERR_ARGUMENT for options.
 */
export async function decodeStates(
  model: Model,
  items: readonly ProbeItem[],
  options: DecodeStatesOptions = {},
): Promise<DecodedStates> {
  const { shuffles = 5, seed = 0 } = options;
  if (!Number.isInteger(shuffles) || shuffles < 0 || shuffles > 1000)
    throw expected('shuffles', 'an integer from 0 to 1000', shuffles);
  const { numbers, sequences, tokens } = alignedItems(
    model,
    items.map(({ prompt }) => prompt),
  );
  const chosen = numbers.map((i) => items[i]!);
  const layers = listed('layers', options.layers, model.config.layers + 1);
  const positions = listed('positions', options.positions, tokens.length);
  const columns = columnsOf(chosen, options.variables);
  const folds = makeFolds({ ...parseFolds(options.folds ?? 'shuffled:5:0'), rows: chosen.length, inner: 0 });
  const random = new Random(seed);
  const orders = [null, ...Array.from({ length: shuffles }, () => random.permutation(chosen.length))];
  const responses = responsesOf(columns, orders, chosen.length);
  const scores = columns.map((): PlaceScore[] => []);
  const together = Math.max(1, Math.floor(kBytes / (4 * layers.length * chosen.length * model.config.hiddenSize)));
  for (let at = 0; at < positions.length; at += together) {
    const some = positions.slice(at, at + together);
    for (const [i, features] of (await statesAt(model, sequences, some, layers, options)).entries()) {
      using states = features;
      const { predictions } = await encode(states, responses, {
        folds,
        selection: 'gcv',
        predictions: true,
        signal: options.signal,
      });
      using held = predictions!;
      const values = held.toArray();
      for (const [l, layer] of layers.entries())
        for (const [c, column] of columns.entries())
          scores[c]!.push({
            position: some[i]!,
            layer,
            ...placeScore(values, l, column, orders, folds, responses),
          });
    }
    options.onProgress?.({
      done: Math.min(positions.length, at + together),
      total: positions.length,
      stage: 'decoding',
    });
  }
  return {
    items: chosen.length,
    left: items.length - chosen.length,
    tokens,
    positions,
    layers,
    variables: columns.map(({ name, kind, classes }, c) => ({
      name,
      kind,
      chance: kind === 'classes' ? 1 / classes.length : 0,
      scores: scores[c]!,
    })),
  };
}

function listed(name: string, given: readonly number[] | undefined, count: number): number[] {
  const list = given ?? Array.from({ length: count }, (_, i) => i);
  for (const one of list)
    if (!Number.isInteger(one) || one < 0 || one >= count) throw expected(name, `numbers from 0 to ${count - 1}`, one);
  return [...list];
}

/** Values of a variable that are all numbers, more than a few of them, are regressed on; others are classes. */
function columnsOf(items: readonly ProbeItem[], asked: readonly string[] | undefined): Columns[] {
  const all = [...new Set(items.flatMap(({ variables }) => Object.keys(variables ?? {})))];
  for (const name of asked ?? [])
    if (!all.includes(name)) throw expected('variables', `some of ${all.join(', ')}`, name);
  const differing = all.filter((name) => new Set(items.map(({ variables }) => variables?.[name])).size > 1);
  const names = asked ?? differing;
  if (names.length === 0)
    throw new CortuneError('ERR_DATA', 'Expected items with `variables` that differ between them, got none.');
  let first = 0;
  return names.map((name) => {
    const values = items.map(({ variables }, i) => {
      const value = variables?.[name];
      if (value === undefined)
        throw new CortuneError(
          'ERR_DATA',
          `Expected every item to have the variable \`${name}\`, got none at number ${i + 1}.`,
        );
      return value;
    });
    const classes = [...new Set(values.map(String))].sort();
    if (classes.length < 2)
      throw new CortuneError(
        'ERR_DATA',
        `Expected the variable \`${name}\` to differ between items, got ${classes[0]} for all.`,
      );
    const numbers = values.every((value) => typeof value === 'number') && classes.length > 2;
    const column: Columns = {
      name,
      kind: numbers ? 'numbers' : 'classes',
      classes: numbers ? [] : classes,
      values: Float64Array.from(values, (value) => (numbers ? (value as number) : classes.indexOf(String(value)))),
      first,
      width: numbers ? 1 : classes.length,
    };
    first += column.width;
    return column;
  });
}

/** The columns of all variables, then those of each shuffle: [n, (1 + shuffles) * columns]. */
function responsesOf(columns: readonly Columns[], orders: readonly (number[] | null)[], rows: number) {
  const width = columns.reduce((sum, column) => sum + column.width, 0);
  const all = width * orders.length;
  const data = new Float32Array(rows * all);
  for (const [s, order] of orders.entries())
    for (let row = 0; row < rows; row++)
      for (const { kind, values, first, width: own } of columns)
        for (let j = 0; j < own; j++) {
          const value = values[order?.[row] ?? row]!;
          data[row * all + s * width + first + j] = kind === 'numbers' ? value : value === j ? 1 : -1;
        }
  return { data, rows, columns: all };
}

/** The states of each item at each position: for each position [layers, n, C], which the caller disposes. */
async function statesAt(
  model: Model,
  sequences: readonly Int32Array[],
  positions: readonly number[],
  layers: readonly number[],
  options: ProbeOptions,
): Promise<Tensor[]> {
  const { lanes, lane, precision } = probed(model, options);
  const length = sequences[0]!.length;
  const spans = positions.flatMap((t) => sequences.flatMap((_, i) => [i * length + t, i * length + t + 1]));
  const handles = await runJob(
    () =>
      native().embed({
        ...{ model: model.handle, lanes, precision, ...packIds(sequences) },
        ...{ spans: Int32Array.from(spans), pool: 'last', maxTokens: 512, layers: Int32Array.from(layers) },
      }),
    { signal: options.signal },
  );
  const values = native().tensorRead(handles[lane]!);
  for (const handle of handles) handle.dispose();
  const [n, width] = [sequences.length, model.config.hiddenSize];
  return positions.map((_, p) => {
    const part = new Float32Array(layers.length * n * width);
    for (let l = 0; l < layers.length; l++) {
      const from = (l * positions.length + p) * n * width;
      part.set(values.subarray(from, from + n * width), l * n * width);
    }
    return Tensor.from(part, [layers.length, n, width]);
  });
}

function placeScore(
  predictions: Float32Array,
  layer: number,
  column: Columns,
  orders: readonly (number[] | null)[],
  folds: readonly { test: Int32Array }[],
  { rows, columns }: { rows: number; columns: number },
): Omit<PlaceScore, 'position' | 'layer'> {
  const width = columns / orders.length;
  const scoreOf = (s: number, test: Int32Array) => {
    const at = (row: number, j: number) => predictions[(layer * rows + row) * columns + s * width + column.first + j]!;
    const truth = Array.from(test, (row) => column.values[orders[s]?.[row] ?? row]!);
    if (column.kind === 'numbers')
      // Where either does not vary it says nothing.
      return (
        pearson(
          Array.from(test, (row) => at(row, 0)),
          truth,
        ) || 0
      );
    const said = Array.from(test, (row) => largest(Array.from(column.classes, (_, j) => at(row, j))));
    return balanced(said, truth);
  };
  const own = folds.map(({ test }) => scoreOf(0, test));
  const shuffled = orders.slice(1).flatMap((_, s) => folds.map(({ test }) => scoreOf(s + 1, test)));
  const [mean, deviation] = momentsOf(own);
  const [shuffledMean, shuffledDeviation] = momentsOf(shuffled);
  return { mean, deviation, shuffled: shuffledMean, shuffledDeviation };
}

const largest = (values: readonly number[]) => values.indexOf(Math.max(...values));

/** Mean over the classes that are there of the share that is right. */
function balanced(said: readonly number[], truth: readonly number[]): number {
  const shares = [...new Set(truth)].map((k) => {
    const own = truth.flatMap((value, i) => (value === k ? [said[i] === k ? 1 : 0] : []));
    return mean(own);
  });
  return mean(shares);
}

/** Mean and standard deviation; NaN for none. */
function momentsOf(values: readonly number[]): [number, number] {
  const centre = mean(values);
  const square = sum(values.map((value) => (value - centre) ** 2)) / Math.max(1, values.length - 1);
  return [centre, Math.sqrt(square)];
}
