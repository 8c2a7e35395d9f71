/** Control features: what predicts responses without any model, so that scores can be read against it. */
import { CortuneError, expected } from '../errors.js';
import { Tensor } from '../tensor.js';
import { type AlignOptions, canonicalHrf, checkDelays, convolveRows, kDelays, wordsToVolumes } from './align.js';
import type { Matrix, Stimuli } from './types.js';
import { letters, randomVector, zipf } from './words.js';

/** The controls there are, and what each says. */
export const kControls = {
  word_rate: 'words per volume; for trials, words per text',
  length: 'for trials, words and characters per text; for words, words and seconds of speech per volume',
  word_length: 'letters per word, mean over the words of a volume or text',
  word_frequency:
    'how common words are in spoken English, mean over the words of a volume or text (Zipf scale of SUBTLEX-US, Brysbaert & New 2009)',
  position: 'where in the recording a row lies: Legendre polynomials 1 to 3 of the row number',
  passage_position: 'where in its passage (trials) or run a row lies: Legendre polynomials 1 to 3 of the place',
  oasm: 'that rows near in time are alike, and nothing else: a column a row, smoothed over its neighbours in the same run or passage (Feghhi et al. 2024)',
  random_embeddings:
    'which words were heard, without what they mean: 64 random numbers a word, mean over a volume or text',
} as const;
export type Control = keyof typeof kControls;

export interface ControlOptions extends Pick<AlignOptions, 'time' | 'response' | 'delays'> {
  /** Rows of the responses. */
  rows: number;
  /** Run or passage of each row, for `passage_position` and `oasm`; the passages of trials by default, else one run. */
  groups?: readonly (string | number)[] | undefined;
  /** Standard deviation of `oasm`'s smoothing, in rows; default 2. */
  sigma?: number | undefined;
  /** Of `random_embeddings`; default 0. */
  seed?: number | undefined;
}

/** Numbers a word of `random_embeddings`. */
const kRandom = 64;
const kSigma = 2;

/**
 * A control as features [1, n, p], treated as a layer of a model would be: for words, with the same delays or response. Position and
 * smoothed rows are slow already, so they are never delayed.
 */
export function controlFeatures(control: Control, stimuli: Stimuli, options: ControlOptions): Tensor {
  const matrix = controlMatrix(control, stimuli, options);
  return Tensor.from(matrix.data, [1, matrix.rows, matrix.columns]);
}

/** As controlFeatures, as a matrix [n, p]. @throws ERR_DATA when trials and rows differ in number. */
export function controlMatrix(control: Control, stimuli: Stimuli, options: ControlOptions): Matrix {
  const { rows } = options;
  if (control === 'position') return fromColumns(legendre(rows));
  if (stimuli.kind === 'trials' && stimuli.texts.length !== rows)
    throw new CortuneError('ERR_DATA', `Expected ${rows} texts, one for each row, got ${stimuli.texts.length}.`);
  switch (control) {
    case 'passage_position':
      return inGroups(options, stimuli, (members) => legendre(members.length));
    case 'oasm':
      return smoothedIdentity(groupsOf(options, stimuli), options.sigma ?? kSigma);
  }
  const columns = stimuli.kind === 'trials' ? ofTexts(control, stimuli, options) : ofWords(control, stimuli, options);
  if (stimuli.kind === 'trials' || options.response === 'hrf') return fromColumns(columns);
  return delayed(fromColumns(columns), checkDelays(options.delays ?? kDelays, rows));
}

type WordControl = Exclude<Control, 'position' | 'passage_position' | 'oasm'>;

/** What a control says of one word, for those that are means over words. */
function ofWord(control: WordControl, { seed = 0 }: ControlOptions): ((text: string) => readonly number[]) | undefined {
  if (control === 'word_length') return (text) => [letters(text)];
  if (control === 'word_frequency') return (text) => [zipf(text)];
  return control === 'random_embeddings' ? (text) => randomVector(text, kRandom, seed) : undefined;
}

function ofTexts(control: WordControl, stimuli: Stimuli & { kind: 'trials' }, options: ControlOptions): number[][] {
  const words = stimuli.texts.map((text) => text.split(/\s+/).filter(Boolean));
  const counts = words.map((list) => list.length);
  if (control === 'word_rate') return [counts];
  if (control === 'length') return [counts, stimuli.texts.map((text) => text.length)];
  const values = ofWord(control, options)!;
  const means = words.map((list) => {
    const each = list.map(values);
    return each[0]!.map((_, c) => each.reduce((sum, value) => sum + value[c]!, 0) / each.length);
  });
  return means[0]!.map((_, c) => means.map((mean) => mean[c]!));
}

function ofWords(control: WordControl, stimuli: Stimuli & { kind: 'words' }, options: ControlOptions): number[][] {
  const sums = (weights: number[]) => pooled(stimuli, options, 'sum', weights);
  const count = () => sums(stimuli.words.map(() => 1));
  if (control === 'word_rate') return [count()];
  if (control === 'length') return [count(), sums(stimuli.words.map((word) => word.offset - word.onset))];
  const values = ofWord(control, options)!;
  const each = stimuli.words.map(({ text }) => values(text));
  return each[0]!.map((_, c) =>
    pooled(
      stimuli,
      options,
      'mean',
      each.map((value) => value[c]!),
    ),
  );
}

/** Sum or mean of `values` over the words of each volume, convolved with the response when asked. */
function pooled(
  stimuli: Stimuli & { kind: 'words' },
  options: ControlOptions,
  method: 'sum' | 'mean',
  values: number[],
): number[] {
  const { tr, start, words } = stimuli;
  const binned = wordsToVolumes(words, { tr, start, rows: options.rows, method, time: options.time });
  const operator = options.response === 'hrf' ? convolveRows(binned, canonicalHrf(tr)) : binned;
  return Array.from({ length: options.rows }, (_, row) => {
    let sum = 0;
    for (let i = operator.rowStarts[row]!; i < operator.rowStarts[row + 1]!; i++)
      sum += operator.weights[i]! * values[operator.columns[i]!]!;
    return sum;
  });
}

/** Legendre polynomials 1 to 3 at even points of [-1, 1]. */
function legendre(rows: number): number[][] {
  const x = Array.from({ length: rows }, (_, i) => (rows > 1 ? (2 * i) / (rows - 1) - 1 : 0));
  return [x, x.map((v) => (3 * v * v - 1) / 2), x.map((v) => (5 * v ** 3 - 3 * v) / 2)];
}

/** Rows of each run or passage, in order. */
function groupsOf({ rows, groups }: ControlOptions, stimuli: Stimuli): number[][] {
  const labels = groups ?? (stimuli.kind === 'trials' ? stimuli.passages : undefined);
  if (labels !== undefined && labels.length !== rows)
    throw expected('groups', `one for each of the ${rows} rows`, labels.length);
  const members = new Map<string | number, number[]>();
  for (let row = 0; row < rows; row++) {
    const label = labels?.[row] ?? '';
    const list = members.get(label);
    if (list) list.push(row);
    else members.set(label, [row]);
  }
  return [...members.values()];
}

/** Columns made for each group by itself, put together again. */
function inGroups(options: ControlOptions, stimuli: Stimuli, make: (members: number[]) => number[][]): Matrix {
  const columns: number[][] = [];
  for (const members of groupsOf(options, stimuli))
    for (const [c, values] of make(members).entries()) {
      columns[c] ??= new Array<number>(options.rows).fill(0);
      for (const [i, row] of members.entries()) columns[c]![row] = values[i]!;
    }
  return fromColumns(columns);
}

/**
 * The identity [n, n], smoothed down the rows of each group by a Gaussian of `sigma` rows, cut off at 4 sigma and reflected at the ends
 * (scipy.ndimage.gaussian_filter1d).
 *
 * Source: Feghhi, Hadidi, Song, Blank & Kao (2024), What are large language models mapping to in the brain?, arXiv 2406.01538.
 */
function smoothedIdentity(groups: readonly number[][], sigma: number): Matrix {
  if (!(sigma > 0 && Number.isFinite(sigma))) throw expected('sigma', 'a number of rows above 0', sigma);
  const n = groups.reduce((sum, members) => sum + members.length, 0);
  const radius = Math.floor(4 * sigma + 0.5);
  const raw = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  const data = new Float32Array(n * n);
  for (const members of groups)
    for (const [i, row] of members.entries())
      for (const [k, weight] of raw.entries()) {
        const column = members[reflected(i + k - radius, members.length)]!;
        data[row * n + column]! += weight / total;
      }
  return { data, rows: n, columns: n };
}

/** The place within 0 to m - 1 at which a series mirrored at its ends (a b c | c b a) stands. */
function reflected(i: number, m: number): number {
  const place = ((i % (2 * m)) + 2 * m) % (2 * m);
  return place < m ? place : 2 * m - 1 - place;
}

/** Copies of a matrix [n, p] at each delay, side by side: [n, p * delays]; rows before the first are zero. */
export function delayed(matrix: Matrix, delays: ArrayLike<number>): Matrix {
  const columns = matrix.columns * delays.length;
  const data = new Float32Array(matrix.rows * columns);
  for (let d = 0; d < delays.length; d++)
    for (let row = delays[d]!; row < matrix.rows; row++) {
      const from = (row - delays[d]!) * matrix.columns;
      data.set(matrix.data.subarray(from, from + matrix.columns), row * columns + d * matrix.columns);
    }
  return { data, rows: matrix.rows, columns };
}

function fromColumns(columns: number[][]): Matrix {
  const rows = columns[0]!.length;
  const data = new Float32Array(rows * columns.length);
  for (const [c, column] of columns.entries())
    for (let row = 0; row < rows; row++) data[row * columns.length + c] = column[row]!;
  return { data, rows, columns: columns.length };
}
