/** Drawing, stop strings, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate, generateLanes } from '../../lib/generate/generate.js';
import { loadModel, type Model } from '../../lib/model/load.js';
import { writeTokens } from '../helpers/generate.js';
import { forward } from '../helpers/run-model.js';
import { tinyModel } from '../helpers/tiny-models.js';

let model: Model;
beforeAll(async () => {
  model = await loadModel(tinyModel('gpt2'));
});
afterAll(() => model.dispose());

const kPrompt = [5, 17, 90];
const kDraws = 4000;

/** Probabilities of the next token at a temperature. */
async function softmax(temperature: number): Promise<number[]> {
  const { logits } = await forward(model, [kPrompt]);
  const row = [...logits!.data.slice(-model.config.vocabSize)].map((value) => value / temperature);
  const top = Math.max(...row);
  const weights = row.map((value) => Math.exp(value - top));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

/** The nucleus, renormalised, as it is defined: the fewest most likely tokens that have `topP` of what `topK` left. */
function nucleus(probabilities: number[], topK: number, topP: number): Map<number, number> {
  const order = probabilities
    .map((p, token) => ({ p, token }))
    .sort((a, b) => b.p - a.p)
    .slice(0, topK);
  const whole = order.reduce((sum, { p }) => sum + p, 0);
  let held = 0;
  const kept = order.filter(({ p }) => {
    const isIn = held < topP * whole;
    held += p;
    return isIn;
  });
  const mass = kept.reduce((sum, { p }) => sum + p, 0);
  return new Map(kept.map(({ p, token }) => [token, p / mass]));
}

const draws = async (options: Record<string, number>) => {
  const copies = Array.from({ length: kDraws }, () => kPrompt);
  const [texts] = await writeTokens(model, undefined, copies, {
    sample: true,
    maxNewTokens: 1,
    batch: 500,
    ...options,
  });
  return texts!.map(([token]) => token!);
};

describe('drawing', () => {
  it.each([
    [1, 320, 1],
    [0.7, 320, 0.8],
    [1.5, 12, 1],
    [1, 30, 0.6],
  ])(
    'at temperature %s from the top %s with %s of the probability is from that distribution',
    async (t, topK, topP) => {
      const expectedShares = nucleus(await softmax(t), topK, topP);
      const found = new Map<number, number>();
      for (const token of await draws({ temperature: t, topK, topP, seed: 3 }))
        found.set(token, (found.get(token) ?? 0) + 1);
      for (const token of found.keys()) expect(expectedShares.has(token), `token ${token}`).toBe(true);
      // Pearson's chi-square over tokens expected at least five times, the rest together; mean k - 1, deviation sqrt(2 (k - 1)). Five
      // deviations: the draws are the same every time, so this never fails by chance.
      let [statistic, cells, restSeen, restDue] = [0, 0, 0, 0];
      for (const [token, share] of expectedShares) {
        const [due, seen] = [share * kDraws, found.get(token) ?? 0];
        if (due < 5) {
          restSeen += seen;
          restDue += due;
          continue;
        }
        statistic += (seen - due) ** 2 / due;
        cells++;
      }
      if (restDue > 0) {
        statistic += (restSeen - restDue) ** 2 / restDue;
        cells++;
      }
      expect(cells).toBeGreaterThan(5);
      expect(statistic).toBeLessThan(cells - 1 + 5 * Math.sqrt(2 * (cells - 1)));
    },
  );

  it('gives the same text for the same seed, whatever is written beside it, and another for another seed', async () => {
    const options = { topP: 0.9, temperature: 1.3, maxNewTokens: 10 };
    const prompts = ['the rabbit ran', 'she asked', 'over the hill and under', 'nobody'];
    const all = await generate(model, prompts, { ...options, seed: 5 });
    const [alone] = await generate(model, [prompts[2]!], { ...options, seed: 5 });
    expect(alone!.text).toBe(all[2]!.text);
    const back = await generate(model, [...prompts].reverse(), { ...options, seed: 5, batch: 2 });
    expect(back.map(({ text }) => text).reverse()).toEqual(all.map(({ text }) => text));
    const [twice, again] = await generate(model, [prompts[0]!, prompts[0]!], { ...options, seed: 5 });
    expect(twice!.text).toBe(all[0]!.text);
    expect(again!.text).not.toBe(twice!.text);
    const other = await generate(model, prompts, { ...options, seed: 6 });
    expect(other.map(({ text }) => text)).not.toEqual(all.map(({ text }) => text));
  });
});

describe('texts', () => {
  it('end at a stop string, which is no part of them, even within a token or over several', async () => {
    const prompts = ['the rabbit ran', 'she asked whether'];
    const free = await generate(model, prompts, { maxNewTokens: 12, ends: [] });
    for (const [i, { text }] of free.entries()) {
      const stop = text.slice(4, 7);
      const [found] = await generate(model, [prompts[i]!], { maxNewTokens: 12, ends: [], stop: ['never', stop] });
      expect(found!.text).toBe(text.slice(0, text.indexOf(stop)));
      expect(found!.stoppedBy).toBe('stop');
      expect(found!.tokens.length).toBeLessThanOrEqual(12);
    }
    expect(free.map(({ stoppedBy }) => stoppedBy)).toEqual(['length', 'length']);
  });

  it('end at the token that the model’s files name', async () => {
    expect(model.ends).toEqual([2]);
  });

  it('of several batches come in the order of their prompts', async () => {
    const prompts = ['a', 'the rabbit ran over a small hill', 'she asked', 'it was only the wind', 'nobody answered'];
    const [one] = await generateLanes(model, prompts, { maxNewTokens: 6, batch: 2 });
    for (const [i, prompt] of prompts.entries())
      expect(one![i]!.text).toBe((await generate(model, [prompt], { maxNewTokens: 6 }))[0]!.text);
  });
});

describe('what is refused', () => {
  it.each([
    [['fine', '  '], {}, 'Expected every prompt to have text, got ` ` (string) at number 2.'],
    [[], {}, 'Expected at least one prompt, got none.'],
    [
      ['fine', 'word '.repeat(40)],
      { maxNewTokens: 4 },
      "Expected prompts of at most 28 tokens (the model's context of 32, less 4 new tokens), got",
    ],
    [['fine'], { maxNewTokens: 0 }, 'Expected `maxNewTokens` to be an integer from 1, got `0` (number)'],
    [['fine'], { beams: 2, topP: 0.5 }, 'Expected `beams` to be 1 where `topP` is given, got `2` (number)'],
    [['fine'], { lengthPenalty: 2 }, 'Expected `beams` to be at least 2 where `lengthPenalty` is given'],
    [['fine'], { topP: 1.5 }, 'Expected `topP` to be above 0, at most 1, got `1.5` (number)'],
    [['fine'], { temperature: 0 }, 'Expected `temperature` to be above 0, got `0` (number)'],
    [['fine'], { stop: [''] }, 'Expected `stop` to be a list of texts that are not empty'],
    [['fine'], { batch: 0 }, 'Expected `batch` to be an integer from 1, got `0` (number)'],
  ])('%j with %j', async (prompts, options, says) => {
    await expect(generate(model, prompts, options)).rejects.toThrow(says);
  });

  it('an encoder', async () => {
    using encoder = await loadModel(tinyModel('bert'));
    await expect(generate(encoder, ['fine'])).rejects.toThrow('Expected a causal model, which writes texts');
  });

  it('names the number of a prompt beyond the context', async () => {
    const prompts = ['fine', 'fine too', 'word '.repeat(40)];
    await expect(generate(model, prompts, { maxNewTokens: 4 })).rejects.toThrow('at number 3. Shorten it');
  });
});
