/** Trials of the decision task: what they say is true, splits have nothing in common, seeds repeat. */
import { describe, expect, it } from 'vitest';
import { decisions, jsonLines } from '../../lib/tasks/decisions.js';

const { train, test } = decisions({ train: 400, test: 200, seed: 3 });
const percentsIn = (text: string) => [...text.matchAll(/(\d+) percent/g)].map(([, value]) => Number(value));

describe('trials', () => {
  it('are answered by the feature that the cue names, at its side', () => {
    for (const { completion, choices, variables } of [...train, ...test]) {
      const counts = variables[variables.context as string] as number;
      expect(completion).toBe(counts < 0 ? ' left' : ' right');
      expect(choices).toContain(completion);
      expect(variables.choice).toBe(completion.trim());
      const [a, b] = [variables.colour as number, variables.motion as number];
      expect(variables.congruent).toBe(a > 0 === b > 0 ? 'yes' : 'no');
    }
  });

  it('describe both strengths without noise, and cannot be answered without reading the cue', () => {
    for (const { prompt, variables } of train)
      expect(percentsIn(prompt).sort()).toEqual(
        [variables.colour, variables.motion].map((v) => Math.abs(v as number)).sort(),
      );
    const share = (test: (trial: (typeof train)[number]) => boolean) => train.filter(test).length / train.length;
    // 400 draws of a fair coin lie within 0.1 of a half at four standard deviations.
    for (const value of [
      share(({ completion }) => completion === ' left'),
      share(({ variables }) => variables.congruent === 'no'),
      share(({ variables }) => variables.context === 'colour'),
    ])
      expect(Math.abs(value - 0.5)).toBeLessThan(0.1);
  });

  it('have no wording, no strength and no trial in common between training and test', () => {
    const skeleton = (text: string) =>
      text
        .replaceAll(/\d+/g, '#')
        .replaceAll(/colour|motion/g, '@')
        .replaceAll(/left|right/g, '<>');
    const words = new Set(train.map(({ prompt }) => skeleton(prompt)));
    expect(test.some(({ prompt }) => words.has(skeleton(prompt)))).toBe(false);
    const strengths = new Set(train.flatMap(({ prompt }) => percentsIn(prompt)));
    expect(test.some(({ prompt }) => percentsIn(prompt).some((value) => strengths.has(value)))).toBe(false);
    expect(new Set([...train, ...test].map(({ prompt }) => prompt)).size).toBe(600);
  });

  it('are the same for the same seed, and others for another', () => {
    expect(jsonLines(decisions({ train: 5, test: 5, seed: 3 }).train)).toBe(
      jsonLines(decisions({ train: 5, test: 9, seed: 3 }).train),
    );
    expect(jsonLines(decisions({ train: 5, test: 5, seed: 4 }).train)).not.toBe(
      jsonLines(decisions({ train: 5, test: 5, seed: 3 }).train),
    );
    const line = JSON.parse(jsonLines(train).split('\n')[0]!);
    expect(Object.keys(line)).toEqual([
      'prompt',
      'completion',
      'choices',
      'context',
      'colour',
      'motion',
      'choice',
      'congruent',
      'order',
      'template',
    ]);
  });

  it('take noise and distractors: the answer stays that of the true strength', () => {
    const noisy = decisions({ train: 300, test: 1, noise: 60, distractors: 2 }).train;
    const turned = noisy.filter(
      ({ prompt, variables }) =>
        variables.template === 0 &&
        !prompt.includes(`${variables.context} is ${Math.abs(variables[variables.context as string] as number)}`),
    );
    expect(turned.length).toBeGreaterThan(5);
    for (const { prompt } of noisy) {
      expect(percentsIn(prompt).every((value) => value >= 1 && value <= 99)).toBe(true);
      expect(prompt.split('.').length).toBeGreaterThan(3);
    }
  });
});

describe('options that cannot be', () => {
  it.each([
    [{ features: ['colour', 'colour'] as [string, string] }, 'two different names'],
    [{ strengths: { train: [10, 20], test: [20] } }, 'different for train and test'],
    [{ strengths: { train: [0.5], test: [20] } }, 'whole per cent'],
    [{ templates: { train: ['{cue} only'], test: ['x'] } }, '{first percent}'],
    [{ noise: -1 }, 'noise'],
    [{ train: 1.5 }, 'train'],
    [{ train: 5000 }, 'different trials'],
  ])('are refused: %j', (options, says) => {
    expect(() => decisions(options)).toThrow(says);
  });
});
