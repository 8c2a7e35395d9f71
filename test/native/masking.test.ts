/** Masked tokens: how many, which, and that seeds and epochs decide. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadModel, type Model } from '../../lib/model/load.js';
import { Random } from '../../lib/random.js';
import { prepareExamples, type Sequence } from '../../lib/tune/examples.js';
import { hideAlong, hideTokens } from '../../lib/tune/masking.js';
import { tune } from '../../lib/tune/tune.js';
import { tinyModel } from '../helpers/tiny-models.js';

let model: Model;
let sequence: Sequence;
const kText = 'the rabbit ran over a small hill and hid under the old bridge while rain fell on the river';
beforeAll(async () => {
  model = await loadModel(fileURLToPath(new URL('../fixtures/objectives/bert-heads', import.meta.url)));
  const how = { objective: 'masked', packing: 'texts', block: 8, classes: [], noun: 'text' } as const;
  [sequence] = prepareExamples(model, [kText], how) as [Sequence];
});
afterAll(() => model.dispose());

it('15 % are chosen: 80 % hidden, 10 % replaced, 10 % kept; special tokens never', () => {
  const random = new Random(1);
  const { maskId } = model.tokenizer;
  const counts = { words: 0, chosen: 0, hidden: 0, kept: 0 };
  const draws = 4000;
  for (let draw = 0; draw < draws; draw++) {
    const { ids, labels } = hideTokens(model, sequence, random);
    for (const [i, id] of ids.entries()) {
      const own = sequence.ids[i]!;
      const special = model.tokenizer.isSpecial(own);
      if (!special) counts.words++;
      if (labels[i]! < 0) {
        expect(id).toBe(own);
        continue;
      }
      expect(special).toBe(false);
      expect(labels[i]).toBe(own);
      counts.chosen++;
      if (id === maskId) counts.hidden++;
      else if (id === own) counts.kept++;
    }
  }
  // Within five standard deviations of binomial shares. One token at least is chosen, which adds 0.85^n / n; a random token is the
  // mask or the token itself once in a vocabulary of 101.
  const within = (count: number, of: number, share: number, extra: number) => {
    const sd = Math.sqrt((share * (1 - share)) / of);
    expect(Math.abs(count / of - share)).toBeLessThan(5 * sd + extra);
  };
  const words = counts.words / draws;
  within(counts.chosen, counts.words, 0.15, 0.85 ** words / words);
  within(counts.hidden, counts.chosen, 0.8, 0.1 / 101);
  within(counts.kept, counts.chosen, 0.1, 0.1 / 101);
});

it('the seed decides, and every epoch hides anew', () => {
  const order = Int32Array.of(0, 0, -1, 0);
  const drawn = [1, 1, 2].map((seed) => hideAlong(model, [sequence], order, new Random(seed)));
  expect([...drawn[0]!.order]).toEqual([0, 1, -1, 2]);
  expect(drawn[1]).toEqual(drawn[0]);
  expect(drawn[2]!.sequences).not.toEqual(drawn[0]!.sequences);
  const labels = drawn[0]!.sequences.map((each) => [...each.labels].join());
  expect(new Set(labels).size).toBe(3);
  const hidden = hideTokens(model, { ...sequence, ids: sequence.ids.slice(0, 3) }, new Random(3));
  expect([...hidden.labels].some((label) => label >= 0)).toBe(true);
});

it('lanes see the same hidden tokens: a lane beside others has the losses it has alone', async () => {
  const texts = [kText, 'it was only the wind', 'a door opened'];
  const options = { steps: 6, batch: 3, validation: ['rain fell on the river'] };
  const packed = await tune(model, texts, { ...options, lr: [1e-2, 1e-3] });
  const solo = await tune(model, texts, { ...options, lr: [1e-3] });
  for (const [step, loss] of packed.losses[1]!.entries())
    expect(Math.abs(loss - solo.losses[0]![step]!) / loss).toBeLessThan(1e-4);
  expect(packed.fresh).toEqual([]);
  packed.lanes.dispose();
  solo.lanes.dispose();
});

it('a tokenizer without a mask token is refused', async () => {
  using other = await loadModel(tinyModel('gpt2'));
  expect(() => hideTokens(other, sequence, new Random(1))).toThrow('mask token');
});
