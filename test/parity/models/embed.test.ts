/** Embedding against a plain computation from whole hidden states: pooling, words, cumulative context, windows, lanes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embed, embedLanes, embedWords } from '../../../lib/embed/embed.js';
import { loadModel, type Model } from '../../../lib/model/load.js';
import type { Tensor } from '../../../lib/tensor.js';
import { tune } from '../../../lib/tune/tune.js';
import { difference, expectClose, float32Tolerance } from '../../helpers/arrays.js';
import { forward } from '../../helpers/run-model.js';
import { tinyModel } from '../../helpers/tiny-models.js';

// The same weights through the same layers; only what a token is packed with differs.
const kTolerance = float32Tolerance(48, 18);
const kSentences = [
  'The rabbit ran over a small hill.',
  'Rain fell on the old bridge,',
  'and somebody laughed: it was only the wind.',
  'Nobody answered',
];

function plain(tensor: Tensor): { shape: readonly number[]; data: Float32Array } {
  const copy = { shape: tensor.shape, data: tensor.toArray() };
  tensor.dispose();
  return copy;
}

/** Vectors [L + 1][C] of one token (or the mean of several) of a sequence read alone. */
async function statesOf(
  model: Model,
  ids: readonly number[],
  tokens: readonly number[],
  lane?: Parameters<typeof forward>[2],
  k = 0,
) {
  const { hidden } = await forward(model, [ids], lane, k);
  const [layers, count, width] = hidden.shape as [number, number, number];
  return Array.from({ length: layers }, (_, layer) => {
    const mean = new Float64Array(width);
    for (const token of tokens)
      for (let c = 0; c < width; c++) mean[c]! += hidden.data[(layer * count + token) * width + c]! / tokens.length;
    return mean;
  });
}

/** Vector of stimulus `i` at `layer` from an embedding [layers, n, C]. */
function at({ shape, data }: { shape: readonly number[]; data: Float32Array }, layer: number, i: number): Float32Array {
  const start = (layer * shape[1]! + i) * shape[2]!;
  return data.subarray(start, start + shape[2]!);
}

describe.each(['llama', 'llama-rope-llama3', 'gpt2', 'neox-parallel', 'opt', 'mistral', 'bert'])('%s', (name) => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(tinyModel(name));
  });
  afterAll(() => model.dispose());
  const idsOf = (text: string) => [...model.tokenizer.encode(text).ids];

  it.each(['last', 'first', 'mean'] as const)('pools the %s token(s) of each text at every layer', async (pool) => {
    const got = plain(await embed(model, kSentences, { pool }));
    expect(got.shape).toEqual([model.config.layers + 1, kSentences.length, model.config.hiddenSize]);
    for (const [i, text] of kSentences.entries()) {
      const ids = idsOf(text);
      const tokens = { last: [ids.length - 1], first: [0], mean: [...ids.keys()] }[pool];
      for (const [layer, vector] of (await statesOf(model, ids, tokens)).entries())
        expectClose(at(got, layer, i), vector, kTolerance, `${pool}, layer ${layer}, text ${i}`);
    }
  });

  it('keeps the layers that were asked for, in that order', async () => {
    const all = plain(await embed(model, kSentences));
    const some = plain(await embed(model, kSentences, { layers: [2, 0] }));
    expect(some.shape[0]).toBe(2);
    for (const [slot, layer] of [2, 0].entries())
      for (const i of kSentences.keys()) expectClose(at(some, slot, i), at(all, layer, i), kTolerance);
  });
});

describe.each(['llama', 'llama-rope-llama3', 'gpt2', 'neox-sequential', 'opt', 'mistral'])('context on %s', (name) => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(tinyModel(name));
  });
  afterAll(() => model.dispose());
  const idsOf = (text: string) => [...model.tokenizer.encode(text).ids];

  it('cumulative in one pass equals reading each text after all before it', async () => {
    const texts = kSentences.slice(0, 2); // within the smallest context, 32 tokens
    const got = plain(await embed(model, texts, { context: 'cumulative' }));
    for (const i of texts.keys()) {
      const ids = idsOf(texts.slice(0, i + 1).join(' '));
      for (const [layer, vector] of (await statesOf(model, ids, [ids.length - 1])).entries())
        expectClose(at(got, layer, i), vector, kTolerance, `layer ${layer}, text ${i}`);
    }
  });

  it('never reaches over the edge of a passage', async () => {
    const passages = ['a', 'a', 'b', 'b'];
    const both = plain(await embed(model, kSentences, { context: 'cumulative', passages, pool: 'mean' }));
    const second = plain(await embed(model, kSentences.slice(2), { context: 'cumulative', pool: 'mean' }));
    for (let layer = 0; layer < both.shape[0]!; layer++)
      for (const i of [0, 1]) expectClose(at(both, layer, i + 2), at(second, layer, i), kTolerance);
  });

  it('longer than the model can read: each text has between half a window and a window before its end', async () => {
    const window = 24;
    const texts = Array.from({ length: 14 }, (_, i) => kSentences[i % 4]!.split(' ').slice(0, 3).join(' '));
    const got = plain(await embed(model, texts, { context: 'cumulative', window }));
    const whole = model.tokenizer.encode(texts.join(' '));
    const head = whole.offsets[0] === -1 ? [whole.ids[0]!] : [];
    const body = [...whole.ids].slice(head.length);
    const room = window - head.length;
    let [chars, unmatched] = [0, 0];
    for (const [i, text] of texts.entries()) {
      chars += text.length;
      let end = 0;
      while (end < body.length && whole.offsets[2 * (end + head.length) + 1]! <= chars) end++;
      chars++; // the space
      const last = at(got, model.config.layers, i);
      let best = Number.POSITIVE_INFINITY;
      for (let seen = Math.min(end, Math.floor(room / 2)); seen <= Math.min(end, room); seen++) {
        const ids = [...head, ...body.slice(end - seen, end)];
        const vector = (await statesOf(model, ids, [ids.length - 1])).at(-1)!;
        best = Math.min(best, difference(last, vector));
      }
      if (!(best < kTolerance)) unmatched++;
    }
    expect(unmatched, 'texts whose state is that of no allowed context').toBe(0);
  });

  it('gives words the mean of their own tokens', async () => {
    const texts = kSentences.slice(0, 2);
    const { words, textOf, lanes } = await embedWords(model, texts);
    expect(words).toEqual(texts.join(' ').split(' '));
    const got = plain(lanes[0]!);
    expect(got.shape).toEqual([model.config.layers + 1, words.length, model.config.hiddenSize]);
    let [word, from] = [0, 0];
    for (const [t, text] of texts.entries()) {
      const { ids, offsets } = model.tokenizer.encode(text);
      from = 0;
      for (const part of text.split(' ')) {
        const end = from + part.length;
        const tokens = [...ids.keys()].filter((n) => offsets[2 * n + 1]! > from && offsets[2 * n + 1]! <= end);
        expect(textOf[word]).toBe(t);
        for (const [layer, vector] of (await statesOf(model, [...ids], tokens)).entries())
          expectClose(at(got, layer, word), vector, kTolerance, `layer ${layer}, word ${part}`);
        from = end + 1;
        word++;
      }
    }
  });
});

describe('lanes', () => {
  it('embed as each of them alone', async () => {
    using model = await loadModel(tinyModel('llama'));
    const { lanes } = await tune(model, kSentences, { lr: [1e-2, 1e-1], steps: 3, batch: 2, rank: 4 });
    using kept = lanes;
    const got = (await embedLanes(model, kSentences, { lanes: kept, pool: 'mean' })).map(plain);
    const base = plain(await embed(model, kSentences, { pool: 'mean' }));
    expect(got.length).toBe(2);
    for (const k of [0, 1]) {
      for (const [i, text] of kSentences.entries()) {
        const ids = [...model.tokenizer.encode(text).ids];
        const states = await statesOf(model, ids, [...ids.keys()], kept.handle, k);
        for (const [layer, vector] of states.entries()) expectClose(at(got[k]!, layer, i), vector, kTolerance);
      }
      expect(difference(got[k]!.data, base.data)).toBeGreaterThan(1e-3);
    }
  });
});

describe('refuses', () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(tinyModel('gpt2'));
  });
  afterAll(() => model.dispose());

  it.each([
    ['no texts', [], {}, 'ERR_DATA', 'at least one'],
    ['an empty text', ['a', ' '], {}, 'ERR_DATA', 'number 2'],
    ['a text longer than the context', ['the rabbit '.repeat(30)], {}, 'ERR_DATA', 'at most 32 tokens'],
    ['a layer there is not', ['a'], { layers: [3] }, 'ERR_ARGUMENT', '0 to 2'],
    ['a layer named twice', ['a'], { layers: [1, 1] }, 'ERR_ARGUMENT', 'layers'],
    ['a layer that is no integer', ['a'], { layers: [0.5] }, 'ERR_ARGUMENT', 'layers'],
    ['no layers', ['a'], { layers: [] }, 'ERR_ARGUMENT', 'layers'],
    ['an unknown pool', ['a'], { pool: 'max' as 'mean' }, 'ERR_ARGUMENT', 'last, mean, first'],
    ['an unknown context', ['a'], { context: 'all' as 'none' }, 'ERR_ARGUMENT', 'none, cumulative'],
    [
      'passages of another number',
      ['a', 'b'],
      { context: 'cumulative' as const, passages: ['x'] },
      'ERR_ARGUMENT',
      'passages',
    ],
    [
      'a window larger than the context',
      ['a'],
      { context: 'cumulative' as const, window: 33 },
      'ERR_ARGUMENT',
      '2 to 32',
    ],
    ['a window of nothing', ['a'], { context: 'cumulative' as const, window: 1 }, 'ERR_ARGUMENT', '2 to 32'],
  ])('%s', async (_, texts, options, code, says) => {
    await expect(embed(model, texts, options)).rejects.toMatchObject({ code, message: expect.stringContaining(says) });
  });

  it('cumulative context of a model that reads both ways', async () => {
    using bert = await loadModel(tinyModel('bert'));
    await expect(embed(bert, ['a', 'b'], { context: 'cumulative' })).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  });

  it('a model that was disposed', async () => {
    const gone = await loadModel(tinyModel('gpt2'));
    gone.dispose();
    await expect(embed(gone, ['a'])).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });
});
