/** Ablation, patching, attention maps, decoding and maps of states from Node, on tiny random models. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../lib/model/load.js';
import { ablate, scoreItems } from '../../lib/probe/ablate.js';
import { attentionMaps } from '../../lib/probe/attention.js';
import { decodeStates } from '../../lib/probe/decode-states.js';
import { mapStates } from '../../lib/probe/map.js';
import { patch } from '../../lib/probe/patch.js';
import { tune } from '../../lib/tune/tune.js';
import { tinyModel } from '../helpers/tiny-models.js';

let model: Model;
beforeAll(async () => {
  model = await loadModel(tinyModel('llama'));
});
afterAll(() => model.dispose());

const kWords = ['rabbit', 'river', 'door', 'lamp', 'hill', 'bridge'];
const kItems = kWords.flatMap((word, i) =>
  [' cold', ' empty'].map((completion) => ({
    prompt: `the ${word} was`,
    completion,
    choices: [' cold', ' empty'],
    variables: { word, size: i },
  })),
);

describe('ablate', () => {
  it('scores every head, layer and pair, and the intact model among them', async () => {
    const heads = await ablate(model, kItems);
    const { layers, heads: count } = model.config;
    expect(heads.ablated.length).toBe(layers * count);
    expect(heads.intact).toEqual(await scoreItems(model, kItems));
    expect(heads.intact.accuracy).toBe(0.5); // the same prompt with either completion: one of the two is right
    for (const each of heads.ablated) expect(Math.abs(each.loss - heads.intact.loss)).toBeGreaterThan(1e-7);
    const layersGone = await ablate(model, kItems, { parts: 'layers', kind: 'mean' });
    expect(layersGone.ablated.map(({ layer }) => layer)).toEqual([0, 1, 2]);
    const pairs = await ablate(model, kItems, {
      parts: 'pairs',
      heads: [
        [0, 1],
        [1, 0],
        [1, 3],
      ],
    });
    expect(pairs.ablated.map(({ layer, head, other }) => [layer, head, other!.layer, other!.head])).toEqual([
      [0, 1, 1, 0],
      [0, 1, 1, 3],
      [1, 0, 1, 3],
    ]);
  });

  it('scores completions of several tokens, and without choices', async () => {
    const items = [
      {
        prompt: 'the door',
        completion: ' opened, the lamp went out',
        choices: [' opened, the lamp went out', ' was cold'],
      },
    ];
    const chosen = await scoreItems(model, items);
    const free = await scoreItems(model, [{ prompt: items[0]!.prompt, completion: items[0]!.completion }]);
    expect(free.loss).toBeCloseTo(chosen.loss, 6);
    expect(free.accuracy).toBe(0);
  });

  it('of a tuned lane differs from that of the model', async () => {
    const { lanes } = await tune(
      model,
      kItems.filter((_, i) => i % 2 === 0),
      { method: 'lora', lr: [3e-2], steps: 30 },
    );
    const options = { heads: [[0, 0]] as [number, number][] };
    const [tuned, plain] = [await ablate(model, kItems, { ...options, lanes }), await ablate(model, kItems, options)];
    const learnt = await scoreItems(
      model,
      kItems.filter((_, i) => i % 2 === 0),
      { lanes },
    );
    lanes.dispose();
    expect(learnt.accuracy).toBe(1);
    expect(tuned.ablated[0]!.loss).not.toBeCloseTo(plain.ablated[0]!.loss, 2);
  });

  it.each([
    [{ parts: 'legs' as never }, '`parts`'],
    [{ kind: 'none' as never }, '`kind`'],
    [{ layers: [3] }, '`layers`'],
    [{ heads: [[0, 4]] as [number, number][] }, '`heads`'],
    [{ lane: 1 }, '`lane`'],
  ])('refuses %j', async (options, says) => {
    await expect(ablate(model, kItems, options)).rejects.toThrow(says);
  });

  it('names the item that is wrong', async () => {
    await expect(ablate(model, [...kItems, { prompt: 'a', completion: '' }])).rejects.toThrow('number 13');
    await expect(ablate(model, [{ ...kItems[0]!, completion: ' wet' }])).rejects.toThrow('choices of item 1');
    await expect(ablate(model, [])).rejects.toThrow('at least one item');
  });
});

describe('patch', () => {
  const pairs = [
    {
      clean: { prompt: 'the x ran', completion: '!' },
      other: { prompt: 'the z ran', completion: '?' },
    },
  ];
  it('moves nothing below the difference and all of it where every token is patched', async () => {
    const whole = await patch(model, pairs, { positions: 'all' });
    for (const { effect } of whole.patched) expect(effect).toBeCloseTo(1, 4);
    const found = await patch(model, pairs);
    const first = Math.min(...found.patched.map(({ position }) => position!));
    const at = (layer: number, position: number) =>
      found.patched.find((each) => each.layer === layer && each.position === position)!;
    expect(at(0, first).effect).toBeCloseTo(1, 4); // the embedding holds all of the difference
    expect(at(0, first + 1).effect).toBeCloseTo(0, 4);
    const before = await patch(model, pairs, { positions: [0], point: 'heads' });
    for (const { effect } of before.patched) expect(effect).toBeCloseTo(0, 4);
  });

  it('refuses pairs that cannot be compared', async () => {
    const other = (prompt: string, completion = '?') =>
      patch(model, [{ clean: pairs[0]!.clean, other: { prompt, completion } }]);
    await expect(other('the z')).rejects.toThrow('as many tokens');
    await expect(other('the z ran', '!')).rejects.toThrow('different completions');
    await expect(other('the x ran')).rejects.toThrow('differ');
  });
});

describe('attentionMaps', () => {
  it('averages texts of one length, whose rows sum to 1', async () => {
    const maps = await attentionMaps(model, ['the x was', 'the z was', 'the old bridge was cold']);
    expect(maps.map(({ texts }) => texts.length)).toEqual([2, 1]);
    const [{ tokens, weights, layers, heads }] = maps as [(typeof maps)[0]];
    expect(tokens.join('')).toMatch(/x\|z/);
    expect(weights.length).toBe(layers * heads * tokens.length ** 2);
    for (let row = 0; row < weights.length / tokens.length; row++) {
      const sum = weights
        .subarray(row * tokens.length, (row + 1) * tokens.length)
        .reduce((all, value) => all + value, 0);
      expect(sum).toBeCloseTo(1, 5);
    }
  });
});

describe('decodeStates', () => {
  const items = Array.from({ length: 60 }, (_, i) => ({
    prompt: `the ${['door', 'lamp'][i % 2]} was ${['cold', 'empty', 'old'][i % 3]} then`,
    completion: ' a',
    variables: { thing: ['door', 'lamp'][i % 2]!, number: ((i * 37) % 60) - 30, constant: 1 },
  }));
  it('finds what a token says from that token on, and nothing in shuffled labels or numbers that are not there', async () => {
    const found = await decodeStates(model, items, { shuffles: 10 });
    expect(found.variables.map(({ name, kind, chance }) => [name, kind, chance])).toEqual([
      ['thing', 'classes', 0.5],
      ['number', 'numbers', 0],
    ]);
    const [thing, number] = found.variables as [(typeof found.variables)[0], (typeof found.variables)[0]];
    const said = found.tokens.findIndex((token) => token.includes('|'));
    for (const { position, layer, mean, shuffled } of thing.scores) {
      if (position === said) expect(mean).toBe(1);
      if (position < said) expect(Math.abs(mean - 0.5)).toBeLessThan(0.2);
      if (position > said && layer > 0) expect(mean).toBeGreaterThan(0.9);
      // Ten shuffles of 60 labels: 600 fair coins lie within 0.12 of a half at six standard deviations.
      expect(Math.abs(shuffled - 0.5)).toBeLessThan(0.12);
    }
    for (const { mean } of number.scores) expect(mean).toBeLessThan(0.7);
    expect(found.items + found.left).toBe(60);
  });

  it('refuses variables that are not there', async () => {
    await expect(decodeStates(model, items, { variables: ['colour'] })).rejects.toThrow('thing, number');
    await expect(decodeStates(model, items, { variables: ['constant'] })).rejects.toThrow('`constant` to differ');
    await expect(decodeStates(model, [{ prompt: 'a b', completion: 'c' }])).rejects.toThrow('variables');
  });
});

describe('mapStates', () => {
  it('gives the same map for the same seed, and neighbours stay together', async () => {
    const items = kWords.flatMap((word) =>
      Array.from({ length: 6 }, (_, i) => ({ prompt: `the ${word} was ${'so '.repeat(i % 3)}cold` })),
    );
    const [a, b, c] = [
      await mapStates(model, items, { seed: 1, layer: 0 }),
      await mapStates(model, items, { seed: 1, layer: 0 }),
      await mapStates(model, items, { seed: 2 }),
    ];
    expect(a.points).toEqual(b.points);
    expect(a.points).not.toEqual(c.points);
    expect(a.points.flat().every(Number.isFinite)).toBe(true);
    await expect(mapStates(model, items.slice(0, 3))).rejects.toThrow('at least 4');
  });
});
