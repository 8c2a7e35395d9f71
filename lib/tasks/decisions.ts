/**
 * Context-dependent decisions, described in words: two features with signed strengths, and a cue that says which of them counts (Mante,
 * Sussillo, Shenoy & Newsome 2013, doi:10.1038/nature12742). The generator is seeded; training and test trials have no template and no strength
 * in common.
 */
import { CortuneError, expected } from '../errors.js';
import { Random } from '../random.js';

/** What of the training and of the test trials; they must have nothing in common. */
export interface Splits<T> {
  train: readonly T[];
  test: readonly T[];
}

export interface DecisionOptions {
  /** Names of the two features. Default colour, motion. */
  features?: readonly [string, string] | undefined;
  /** How strong a feature may be, in per cent, without sign. Default: 10, 30, 50, 70, 90 to train on, 20, 40, 60, 80 to test. */
  strengths?: Splits<number> | undefined;
  /** Standard deviation of what is added to each strength before it is described, in per cent; default 0. The answer follows the true sign. */
  noise?: number | undefined;
  /**
   * Texts with `{cue}` and for each feature `{first}`, `{first side}`, `{first percent}` and the same of `{second}` (the order of the features is
   * drawn for each trial). Default: eight to train on, four to test.
   */
  templates?: Splits<string> | undefined;
  /** Sentences that say nothing of the decision, drawn for each trial and put before it; default 0. */
  distractors?: number | undefined;
  /** Trials; default 2000 to train on, 200 to test. Every one is different. */
  train?: number | undefined;
  test?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
}

type Settings = { [Name in keyof DecisionOptions]-?: NonNullable<DecisionOptions[Name]> };

/**
 * What is known of a trial: `context` (the feature that counts), for each feature by its name the signed strength in per cent (right positive; as
 * it is, not as described), `choice`, `congruent` (do both features point to one side?), `order` (the feature described first), `template` (its
 * number in its split).
 */
export type DecisionVariables = Record<string, string | number>;

export interface DecisionTrial {
  prompt: string;
  completion: string;
  choices: string[];
  variables: DecisionVariables;
}

const kStrengths: Splits<number> = { train: [10, 30, 50, 70, 90], test: [20, 40, 60, 80] };

const kTemplates: Splits<string> = {
  train: [
    'Judge by {cue}. The {first} is {first percent} percent {first side}. The {second} is {second percent} percent {second side}. The answer is',
    'The rule is {cue}. {first percent} percent of the {first} goes {first side}, {second percent} percent of the {second} goes {second side}. The answer is',
    'Only the {cue} counts. {first percent} percent {first side} for {first} and {second percent} percent {second side} for {second}. The answer is',
    'You see {first} at {first percent} percent {first side} and {second} at {second percent} percent {second side}. Decide by {cue}. The answer is',
    'The {first} points {first side} with {first percent} percent, the {second} points {second side} with {second percent} percent. Follow the {cue}. The answer is',
    'Attend to {cue}: the {first} leans {first side} by {first percent} percent while the {second} leans {second side} by {second percent} percent. The answer is',
    'Cue: {cue}. Trial: {first} {first side} {first percent} percent, {second} {second side} {second percent} percent. The answer is',
    'There is {first} to the {first side} of {first percent} percent, and {second} to the {second side} of {second percent} percent. What matters is {cue}. The answer is',
  ],
  test: [
    'This time use the {cue}. The {first} shows {first percent} percent {first side}, the {second} shows {second percent} percent {second side}. The answer is',
    'Evidence from {first} is {first percent} percent {first side}. Evidence from {second} is {second percent} percent {second side}. The cue was {cue}. The answer is',
    'With {cue} as the rule, {first} goes {first side} at {first percent} percent and {second} goes {second side} at {second percent} percent. The answer is',
    'Of the {first}, {first percent} percent are {first side}. Of the {second}, {second percent} percent are {second side}. Look at the {cue}. The answer is',
  ],
};

const kDistractors: Splits<string> = {
  train: ['The room is quiet.', 'The screen is grey.', 'It is the morning session.', 'The chair is comfortable.'],
  test: ['The door is closed.', 'A fan is running.', 'It is the last block.', 'The lamp is on.'],
};

const kFields = [
  '{cue}',
  '{first}',
  '{first side}',
  '{first percent}',
  '{second}',
  '{second side}',
  '{second percent}',
];

function checkSplits<T>(name: string, { train, test }: Splits<T>, valid: (value: T) => boolean, what: string): void {
  for (const list of [train, test]) {
    if (!Array.isArray(list) || list.length === 0)
      throw expected(name, `${what}, at least one for train and test`, list);
    for (const value of list) if (!valid(value)) throw expected(name, what, value);
  }
  const shared = train.find((value) => test.includes(value));
  if (shared !== undefined) throw expected(name, 'different for train and test', shared);
}

const wholeNumber = (name: string, value: number, most: number) => {
  if (!Number.isInteger(value) || value < 0 || value > most)
    throw expected(name, `an integer from 0 to ${most}`, value);
  return value;
};

/** One draw of a trial of a split. */
class Drawing {
  constructor(
    private readonly random: Random,
    private readonly options: Settings,
    private readonly split: 'train' | 'test',
  ) {}

  private pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random.uniform() * list.length)]!;
  }

  /** What is described of a strength: whole per cent from 1 to 99, and the side, which noise may turn. */
  private described(strength: number): { percent: string; side: 'left' | 'right' } {
    const value = strength + (this.options.noise > 0 ? this.options.noise * this.random.normal() : 0);
    return {
      percent: String(Math.min(99, Math.max(1, Math.round(Math.abs(value))))),
      side: value < 0 ? 'left' : 'right',
    };
  }

  trial(): DecisionTrial {
    const { features, strengths, templates, distractors } = this.options;
    const signed = () => this.pick(strengths[this.split]) * (this.random.uniform() < 0.5 ? -1 : 1);
    const [context, own] = [this.pick([0, 1]), [signed(), signed()]];
    const order = this.random.uniform() < 0.5 ? [0, 1] : [1, 0];
    const template = Math.floor(this.random.uniform() * templates[this.split].length);
    let prompt = templates[this.split][template]!.replaceAll('{cue}', features[context]!);
    for (const [i, place] of ['first', 'second'].entries()) {
      const number = order[i]!;
      const { percent, side } = this.described(own[number]!);
      prompt = prompt
        .replaceAll(`{${place}}`, features[number]!)
        .replaceAll(`{${place} side}`, side)
        .replaceAll(`{${place} percent}`, percent);
    }
    const before = Array.from({ length: distractors }, () => `${this.pick(kDistractors[this.split])} `).join('');
    const choice = own[context]! < 0 ? 'left' : 'right';
    const congruent = Math.sign(own[0]!) === Math.sign(own[1]!) ? 'yes' : 'no';
    return {
      prompt: before + prompt,
      completion: ` ${choice}`,
      choices: [' left', ' right'],
      variables: {
        context: features[context]!,
        [features[0]]: own[0]!,
        [features[1]]: own[1]!,
        ...{ choice, congruent, order: features[order[0]!]!, template },
      },
    };
  }
}

/**
 * Trials of the task, as items to tune on and to test: prompt, completion (` left` or ` right`), choices, and what is known of each.
 * @throws RangeError or TypeError for options; ERR_CONFIG where so many different trials do not exist.
 */
export function decisions(options: DecisionOptions = {}): { train: DecisionTrial[]; test: DecisionTrial[] } {
  const all: Settings = {
    features: options.features ?? ['colour', 'motion'],
    strengths: options.strengths ?? kStrengths,
    noise: options.noise ?? 0,
    templates: options.templates ?? kTemplates,
    distractors: wholeNumber('distractors', options.distractors ?? 0, 20),
    train: wholeNumber('train', options.train ?? 2000, 1e6),
    test: wholeNumber('test', options.test ?? 200, 1e6),
    seed: wholeNumber('seed', options.seed ?? 0, Number.MAX_SAFE_INTEGER),
  };
  const { features, noise } = all;
  if (
    features.length !== 2 ||
    features[0] === features[1] ||
    features.some((name) => typeof name !== 'string' || name.trim() === '')
  )
    throw expected('features', 'two different names', features);
  if (!(noise >= 0 && noise <= 1000)) throw expected('noise', 'a number from 0 to 1000, in per cent', noise);
  checkSplits(
    'strengths',
    all.strengths,
    (value) => Number.isInteger(value) && value >= 1 && value <= 99,
    'whole per cent from 1 to 99',
  );
  checkSplits(
    'templates',
    all.templates,
    (value) => typeof value === 'string' && kFields.every((field) => value.includes(field)),
    `texts with ${kFields.join(', ')}`,
  );
  const random = new Random(all.seed);
  return { train: drawTrials(random, all, 'train'), test: drawTrials(random, all, 'test') };
}

/** Draws in a row that give nothing new: then all there are have been found, or nearly. */
const kRepeats = 2000;

function drawTrials(random: Random, options: Settings, split: 'train' | 'test'): DecisionTrial[] {
  const drawing = new Drawing(random, options, split);
  const wanted = options[split];
  const found = new Map<string, DecisionTrial>();
  for (let repeats = 0; found.size < wanted; repeats++) {
    if (repeats > kRepeats)
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected ${wanted} different trials to ${split} on, found ${found.size}. Ask for fewer, or give more strengths or templates.`,
      );
    const trial = drawing.trial();
    if (found.has(trial.prompt)) continue;
    found.set(trial.prompt, trial);
    repeats = 0;
  }
  return [...found.values()];
}

/** Trials as lines of JSON: prompt, completion, choices, and each variable as a field of its own. */
export function jsonLines(trials: readonly DecisionTrial[]): string {
  return trials
    .map(
      ({ prompt, completion, choices, variables }) =>
        `${JSON.stringify({ prompt, completion, choices, ...variables })}\n`,
    )
    .join('');
}
