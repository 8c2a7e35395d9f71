/** Task quality by likelihood: the native losses and answers against logits and against the mean loss, and what wrong items are told. */
import { afterAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import { evaluate } from '../../lib/tasks/evaluate.js';
import { type Example, packSequences, sequencesOf } from '../../lib/tune/examples.js';
import { tune } from '../../lib/tune/tune.js';
import { tinyModel } from '../helpers/tiny-models.js';

const model = await loadModel(tinyModel('gpt2'));
const { lanes } = await tune(model, ['one two three four', 'five six seven'], {
  runs: [
    { method: 'lora', lr: 1e-2, options: { rank: 2 } },
    { method: 'prompt', lr: 1e-1, options: { virtualTokens: 3 } },
    { method: 'full', lr: 1e-3 },
  ].slice(0, 2),
  steps: 3,
  batch: 2,
});
afterAll(() => {
  lanes.dispose();
  model.dispose();
});

const texts = ['a first text to be read', 'another', 'and one more of them, longer than the others'];
const causal = { objective: 'causal', packing: 'texts', block: 16, classes: [], noun: 'text' } as const;

function log(values: ArrayLike<number>): { sum: number; best: number } {
  const list = Array.from(values);
  const top = Math.max(...list);
  return { sum: top + Math.log(list.reduce((sum, value) => sum + Math.exp(value - top), 0)), best: list.indexOf(top) };
}

describe('judgeExamples', () => {
  it('gives what the logits say, sequence by sequence, whatever the passes', async () => {
    const packed = packSequences(sequencesOf(model, texts, causal));
    const [V, S] = [model.config.vocabSize, texts.length];
    const args = {
      ...packed,
      model: model.handle,
      lanes: lanes.handle,
      objective: 'causal',
      precision: 'fp32',
    } as const;
    for (const tokens of [1, 1000]) {
      const judged = await runJob(() => native().judgeExamples({ ...args, tokens }));
      for (const lane of [0, 1]) {
        const { logits } = await runJob(() =>
          native().modelForward({
            ids: packed.ids,
            lengths: packed.lengths,
            model: model.handle,
            lanes: lanes.handle,
            lane,
          }),
        );
        const values = native().tensorRead(logits!);
        // Rows of a prompt stand before all words.
        const before = values.length / V - packed.ids.length;
        let at = 0;
        for (let s = 0; s < S; s++) {
          let [loss, correct] = [0, 0];
          const length = packed.lengths[s]!;
          for (let t = 1; t < length; t++) {
            const row = before + at + t - 1;
            const { sum, best } = log(values.subarray(row * V, (row + 1) * V));
            loss += sum - values[row * V + packed.ids[at + t]!]!;
            correct += Number(best === packed.ids[at + t]!);
          }
          at += length;
          // Sums of some ten float32 losses of size 5.
          expect(Math.abs(judged.losses[lane * S + s]! - loss)).toBeLessThan(1e-4);
          expect([judged.rows[lane * S + s], judged.correct[lane * S + s]]).toEqual([length - 1, correct]);
          expect(judged.said[lane * S + s]).toBeNaN();
        }
      }
    }
  });

  it('adds up to the mean loss of the native evaluation', async () => {
    const sequences = sequencesOf(model, texts, causal).map(({ ids, labels }) => ({
      ids,
      labels: labels.map((label, i) => (i === 0 ? -1 : label)),
    }));
    const args = {
      ...packSequences(sequences),
      model: model.handle,
      lanes: lanes.handle,
      objective: 'causal',
    } as const;
    const mean = await runJob(() => native().modelLoss(args));
    const scores = await evaluate(model, lanes, texts);
    const losses = scores.map((metrics) => metrics.find(({ metric }) => metric === 'loss')!.value);
    expect(losses).toHaveLength(2);
    for (const [k, loss] of losses.entries()) expect(Math.abs(loss - mean[k]!)).toBeLessThan(1e-5);
  });
});

describe('evaluate', () => {
  it('measures texts, completions with choices, classes and values', async () => {
    const [base] = await evaluate(model, undefined, texts);
    expect(base!.map(({ metric }) => metric)).toEqual(['loss', 'perplexity']);
    const choices = [' red', ' blue'];
    const items = ['one', 'two', 'three'].map((prompt, i) => ({ prompt, completion: choices[i % 2]!, choices }));
    const [pairs] = await evaluate(model, undefined, items);
    expect(pairs!.map(({ metric, items }) => [metric, items])).toEqual([
      ['loss', expect.any(Number)],
      ['accuracy', 3],
      ['token_accuracy', expect.any(Number)],
    ]);
    // The choice that is more likely after a prompt is the right one of that item, and not of the other.
    const swapped = items.map(({ prompt, completion }) => ({
      ...{ prompt, choices },
      completion: completion === ' red' ? ' blue' : ' red',
    }));
    const [other] = await evaluate(model, undefined, swapped, ['accuracy']);
    expect(pairs![1]!.value + other![0]!.value).toBeCloseTo(1, 10);
  });

  it('tells classes and values apart by the trained head', async () => {
    const kinds = Array.from({ length: 8 }, (_, i) => ({
      text: `${i % 2 ? 'red red' : 'blue blue'} ${i}`,
      label: i % 2 ? 'r' : 'b',
    }));
    const learnt = await tune(model, kinds, { runs: [{ method: 'full', lr: 1e-2 }], steps: 30, batch: 8 });
    using own = learnt.lanes;
    const [after] = await evaluate(model, own, kinds, undefined, { classes: learnt.classes });
    expect(after!.map(({ metric, items }) => [metric, items])).toEqual([
      ['loss', 8],
      ['accuracy', 8],
    ]);
    expect(after![1]!.value).toBe(1);
    const wrong = kinds.map(({ text, label }) => ({ text, label: label === 'r' ? 'b' : 'r' }));
    const [none] = await evaluate(model, own, wrong, ['accuracy'], { classes: learnt.classes });
    expect(none![0]!.value).toBe(0);
    const odd = [...kinds.slice(0, 2), { text: 'green', label: 'g' }];
    await expect(evaluate(model, own, odd, undefined, { classes: learnt.classes })).rejects.toThrow(
      'Expected the label of item 3 to be one of `b`, `r`, got `g` (string)',
    );
  });

  it.each<[string, Example[], string[] | undefined, RegExp]>([
    ['no items', [], undefined, /^Expected at least one item, got none/],
    ['an empty item', ['a b', ' '], undefined, /Expected every item to have words, got an empty one at number 2/],
    [
      'an empty completion',
      [{ prompt: 'a', completion: ' ' }],
      undefined,
      /Expected every item to have a completion, .* at number 1/,
    ],
    [
      'mixed items',
      ['a b', { prompt: 'a', completion: 'b' }],
      undefined,
      /Expected texts alone, got completions at number 2/,
    ],
    ['labels without a head', [{ text: 'a', label: 'b' }], undefined, /Expected `lanes` to be lanes with a head/],
    [
      'an unknown metric',
      ['a b'],
      ['acuracy'],
      /Expected `metrics` to be some of loss, perplexity, token_accuracy for texts, got `acuracy`/,
    ],
    [
      'no choices',
      [{ prompt: 'a', completion: 'b' }],
      ['accuracy'],
      /for completions without `choices`, got `accuracy`/,
    ],
    [
      'a completion that is no choice',
      [{ prompt: 'a', completion: 'b', choices: ['c', 'd'] }],
      ['accuracy'],
      /Expected the completion of item 1, `b`, among its choices, got `c`, `d`/,
    ],
    [
      'nothing to choose by',
      [{ prompt: '', completion: 'b', choices: ['b', 'a'] }],
      ['accuracy'],
      /Expected item 1 to have a prompt to predict its choices from/,
    ],
  ])('refuses %s', async (_, items, metrics, message) => {
    await expect(evaluate(model, undefined, items, metrics)).rejects.toThrow(message);
  });
});
