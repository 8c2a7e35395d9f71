/** The simulated subject: responses made from one layer of a model plus noise, so that the pipeline can be checked. */
import { createHash } from 'node:crypto';
import { CortuneError, expected } from '../errors.js';
import { Random } from '../random.js';
import { zscore } from './detrend.js';
import type { SubjectMode } from './schema.js';
import { kStory } from './story.js';
import type { Dataset, Matrix, Stimuli, Target, Word } from './types.js';

/** Names of data sets that are simulated: `simulated`, or with options `simulated:layer=2,snr=4`. */
const kName = /^simulated(?::(.*))?$/;
/** Seconds per volume of the simulated recording, and volumes after its last word, for the response to pass. */
const kTr = 2;
const kTail = 4;

export interface SimulatedOptions {
  /** 'words' (default): the story spoken, in volumes of 2 s. 'trials': one row a sentence. */
  kind: 'words' | 'trials';
  /** Planted layer, an entry of the features' first axis; default: the middle one. */
  layer?: number | undefined;
  /** Regions; default 4. */
  targets: number;
  /** People who share the signal and have noise of their own; default 5. */
  subjects: number;
  /** Variance of a subject's signal over that of the noise; default 1. */
  snr: number;
  /** Default 0. */
  seed: number;
}

const kDefaults: SimulatedOptions = { kind: 'words', targets: 4, subjects: 5, snr: 1, seed: 0 };
/** What each number may be. */
const kRanges: Record<Exclude<keyof SimulatedOptions, 'kind'>, { from: number; to: number; whole: boolean }> = {
  layer: { from: 0, to: 10_000, whole: true },
  targets: { from: 1, to: 10_000, whole: true },
  subjects: { from: 1, to: 1000, whole: true },
  snr: { from: 1e-6, to: 1e6, whole: false },
  seed: { from: 0, to: 2 ** 32 - 1, whole: true },
};

export function isSimulated(name: string): boolean {
  return kName.test(name);
}

/** Reads `simulated` or `simulated:kind=trials,layer=2,targets=4,subjects=5,snr=1,seed=0`. @throws RangeError (ERR_ARGUMENT). */
export function parseSimulated(name: string): SimulatedOptions {
  const options = { ...kDefaults };
  const found = kName.exec(name);
  if (!found) throw expected('data', '`simulated` or `simulated:KEY=VALUE,...`', name);
  for (const part of (found[1] ?? '').split(',').filter((one) => one.trim() !== '')) {
    const [key = '', value = ''] = part.split('=').map((piece) => piece.trim());
    if (key === 'kind' && (value === 'words' || value === 'trials')) options.kind = value;
    else if (key in kRanges) options[key as keyof typeof kRanges] = inRange(key as keyof typeof kRanges, value);
    else
      throw expected(key || 'data', `kind=words, kind=trials or NUMBER for ${Object.keys(kRanges).join(', ')}`, part);
  }
  return options;
}

function inRange(key: keyof typeof kRanges, value: string | number): number {
  const { from, to, whole } = kRanges[key];
  const number = value === '' ? Number.NaN : Number(value);
  if (number >= from && number <= to && (!whole || Number.isInteger(number))) return number;
  throw expected(key, `${whole ? 'an integer' : 'a number'} from ${from} to ${to}`, value);
}

/** The story as stimuli, with the number of response rows that go with it. */
export function simulatedStimuli(kind: 'words' | 'trials' = 'words'): { stimuli: Stimuli; rows: number } {
  if (kind === 'trials') {
    const texts = kStory.flat();
    const passages = kStory.flatMap((passage, i) => passage.map(() => String(i + 1)));
    return { stimuli: { kind, texts, passages }, rows: texts.length };
  }
  const words = spokenWords();
  const rows = Math.ceil(words.at(-1)!.offset / kTr) + kTail;
  return { stimuli: { kind, words, tr: kTr, start: 0 }, rows };
}

/** The story at a made-up pace: longer words last longer, and there are pauses at commas, full stops and passages. */
function spokenWords(): Word[] {
  const words: Word[] = [];
  let now = 0.5;
  for (const passage of kStory) {
    for (const sentence of passage) {
      for (const text of sentence.split(' ')) {
        const offset = now + 0.1 + 0.05 * text.length;
        words.push({ text, onset: now, offset });
        now = offset + (text.endsWith('.') ? 0.6 : text.endsWith(',') ? 0.3 : 0.02);
      }
    }
    now += 1.5;
  }
  return words;
}

/** Features of every layer, [L, n, p] row-major. */
export interface LayerFeatures {
  data: Float32Array;
  shape: readonly number[];
}

/**
 * Simulated responses. For target j: signal `s_j = z(X w_j)`, X the z-scored columns of the planted layer, `w_j` standard normal;
 * subject i has `y_ij = s_j + e_ij`, with e white and of variance 1 / snr. A perfect model therefore reaches
 * `r = sqrt(snr / (1 + snr))` on one subject and `sqrt(N snr / (1 + N snr))` on the mean of N: the ceilings given.
 * @param features [L, n, p]: for trials one row a text; for words already aligned to volumes, delays included.
 * @throws ERR_DATA when the planted layer is constant, or rows differ; RangeError for options.
 */
export function simulateResponses(
  features: LayerFeatures,
  options: Partial<SimulatedOptions> & { mode?: SubjectMode } = {},
): Pick<Dataset, 'responses' | 'targets' | 'ceilings'> & { layer: number } {
  const { targets, subjects, snr, seed, mode = 'mean' } = { ...kDefaults, ...options };
  for (const [key, value] of Object.entries({ targets, subjects, snr, seed }))
    inRange(key as keyof typeof kRanges, value);
  const [layers, rows] = threeAxes(features);
  const layer = options.layer ?? Math.floor((layers - 1) / 2);
  if (!Number.isInteger(layer) || layer < 0 || layer >= layers)
    throw expected('layer', `an integer from 0 to ${layers - 1}`, layer);
  const random = new Random(seed);
  const signals = plantedSignals(features, layer, targets, random);
  const noise = Math.sqrt(1 / snr);
  const people = Array.from({ length: subjects }, () =>
    signals.map((signal) => signal.map((value) => value + noise * random.normal())),
  );
  const mean = signals.map((signal, j) =>
    signal.map((_, row) => people.reduce((sum, person) => sum + person[j]![row]!, 0) / subjects),
  );
  const columns: { target: Target; values: Float64Array; ceiling: number }[] = [];
  const add = (subject: string, courses: Float64Array[], power: number) => {
    for (const [j, values] of courses.entries()) {
      const roi = `planted${j + 1}`;
      const name = subject === 'mean' ? roi : `s${subject}:${roi}`;
      columns.push({ target: { name, subject, roi }, values, ceiling: Math.sqrt(power / (1 + power)) });
    }
  };
  if (mode !== 'each') add('mean', mean, subjects * snr);
  if (mode !== 'mean') for (const [i, person] of people.entries()) add(String(i + 1), person, snr);
  return {
    layer,
    responses: toMatrix(
      columns.map(({ values }) => values),
      rows,
    ),
    targets: columns.map(({ target }) => target),
    ceilings: {
      values: Float64Array.from(columns, ({ ceiling }) => ceiling),
      method: 'known: signal and noise were made with these variances',
    },
  };
}

/** The simulated data set: stimuli and features of the model that is planted in it. See simulateResponses. */
export function simulateDataset(
  stimuli: Stimuli,
  features: LayerFeatures,
  options: Partial<SimulatedOptions> & { mode?: SubjectMode /** How notes call the model. */; model?: string } = {},
): Dataset {
  const { layer, ...made } = simulateResponses(features, options);
  const hash = createHash('sha256').update(JSON.stringify(stimuli)).update(JSON.stringify(made.targets));
  hash.update(new Uint8Array(made.responses.data.buffer));
  const { subjects, snr, seed } = { ...kDefaults, ...options };
  const model = options.model ? ` of ${options.model}` : '';
  return {
    name: 'simulated',
    simulated: true,
    citation: '',
    licence: 'Apache-2.0 (made by cortune)',
    hash: hash.digest('hex'),
    stimuli,
    ...made,
    ...(stimuli.kind === 'trials' && stimuli.passages && { groups: stimuli.passages }),
    notes: [`Made from layer ${layer}${model}, ${subjects} subjects, signal-to-noise ratio ${snr}, seed ${seed}.`],
  };
}

function threeAxes({ data, shape }: LayerFeatures): [number, number, number] {
  const [layers, rows, width] = shape;
  if (shape.length !== 3 || data.length !== layers! * rows! * width!)
    throw expected('features', 'a tensor [L, n, p]', `[${shape.join(', ')}]`);
  return [layers!, rows!, width!];
}

/** One z-scored course a target, mixed from the z-scored columns of the planted layer. */
function plantedSignals(features: LayerFeatures, layer: number, targets: number, random: Random): Float64Array[] {
  const [, rows, width] = threeAxes(features);
  const signals = Array.from({ length: targets }, () => new Float64Array(rows));
  const column = new Float64Array(rows);
  for (let c = 0; c < width; c++) {
    for (let row = 0; row < rows; row++) column[row] = features.data[(layer * rows + row) * width + c]!;
    const scored = zscore(column);
    const weights = signals.map(() => random.normal());
    if (Number.isNaN(scored[0])) continue; // a constant channel says nothing
    for (const [j, signal] of signals.entries())
      for (let row = 0; row < rows; row++) signal[row]! += weights[j]! * scored[row]!;
  }
  const made = signals.map(zscore);
  if (made.some((signal) => Number.isNaN(signal[0])))
    throw new CortuneError(
      'ERR_DATA',
      `Expected features of layer ${layer} that vary over rows, got constant ones. Plant another layer.`,
    );
  return made;
}

function toMatrix(courses: Float64Array[], rows: number): Matrix {
  const data = new Float32Array(rows * courses.length);
  for (const [c, course] of courses.entries())
    for (let row = 0; row < rows; row++) data[row * courses.length + c] = course[row]!;
  return { data, rows, columns: courses.length };
}
