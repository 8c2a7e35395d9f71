/** Wrong inputs to the native model, embedding and tuning functions: each ends in one clear error with a code, and the addon goes on. */
import { availableParallelism } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import type { EmbedArgs, MethodSpec, ModelHandle, TuneArgs } from '../../lib/native/types.js';
import { forward, loss, pack, take } from '../helpers/run-model.js';
import { goldenOf, tinyModel, tuneGoldenOf } from '../helpers/tiny-models.js';
import { type LoraLane, loraLanes, lossesOf, runTune, tuneArgs } from '../helpers/tuning.js';

const models = new Map<string, Model>();
const model = (name: string) => models.get(name)!;

beforeAll(async () => {
  for (const name of ['llama', 'mistral', 'gpt2', 'opt', 'bert', 'qwen2'])
    models.set(name, await loadModel(tinyModel(name)));
});
afterEach(async () => {
  // Whatever happened, the next call works.
  const golden = goldenOf('llama');
  expect((await loss(model('llama'), golden.ids))[0]).toBeCloseTo(golden.loss!, 4);
});
afterAll(() => {
  for (const each of models.values()) each.dispose();
});

describe('sequences', () => {
  const run = (name: string, ids: number[], lengths: number[]) =>
    runJob(() =>
      native().modelForward({
        model: model(name).handle,
        ids: Int32Array.from(ids),
        lengths: Int32Array.from(lengths),
        lane: 0,
      }),
    );

  it.each([
    ['an id above the vocabulary', 'llama', [1, 320], [2], 'ERR_DATA', '320'],
    ['a negative id', 'llama', [1, -1], [2], 'ERR_DATA', '-1'],
    ['the largest id', 'llama', [2147483647], [1], 'ERR_DATA', '2147483647'],
    ['no sequence', 'llama', [], [], 'ERR_DATA', 'at least one token'],
    ['an empty sequence', 'llama', [1, 2], [2, 0], 'ERR_DATA', 'empty'],
    ['a negative length', 'llama', [1, 2], [3, -1], 'ERR_DATA', '-1'],
    ['lengths that sum to less', 'llama', [1, 2, 3], [2], 'ERR_ARGUMENT', 'sum'],
    ['lengths that sum to more', 'llama', [1, 2, 3], [2, 2], 'ERR_ARGUMENT', 'sum'],
    ['lengths whose sum overflows', 'llama', [1, 2, 3], [2147483647, 2147483647], 'ERR_ARGUMENT', 'sum'],
    ['more tokens than learned positions', 'gpt2', Array(33).fill(5), [33], 'ERR_DATA', '32'],
    ['more tokens than learned positions', 'opt', Array(49).fill(5), [49], 'ERR_DATA', '48'],
    ['more tokens than learned positions', 'bert', Array(49).fill(5), [49], 'ERR_DATA', '48'],
  ])('%s (%s)', async (_, name, ids, lengths, code, says) => {
    await expect(run(name, ids, lengths)).rejects.toMatchObject({ code, message: expect.stringContaining(says) });
  });

  it.each(['gpt2', 'opt', 'bert'])('exactly as long as the context of %s work', async (name) => {
    const length = model(name).config.maxPositions;
    const { hidden } = await forward(model(name), [Array(length).fill(5)]);
    expect(hidden.shape[1]).toBe(length);
    expect(hidden.data.every(Number.isFinite)).toBe(true);
  });

  it('of one token work', async () => {
    for (const name of models.keys()) {
      const { hidden } = await forward(model(name), [[7], [8], [9]]);
      expect(hidden.data.every(Number.isFinite)).toBe(true);
    }
  });

  it('a lane that there is not', async () => {
    const args = { model: model('llama').handle, ...pack([[1, 2]]) };
    for (const lane of [1, -1])
      await expect(runJob(() => native().modelForward({ ...args, lane }))).rejects.toMatchObject({
        code: 'ERR_ARGUMENT',
      });
  });

  it('a loss of single tokens, and of an encoder', async () => {
    await expect(loss(model('llama'), [[1], [2]])).rejects.toMatchObject({ code: 'ERR_DATA' });
    await expect(loss(model('bert'), [[1, 2]])).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it.each([
    ['ids that are no Int32Array', { ids: [1, 2] as unknown as Int32Array }],
    ['ids of another type', { ids: new Float64Array([1, 2]) as unknown as Int32Array }],
    ['a model that is none', { model: {} as ModelHandle }],
    ['a tensor for a model', { model: native().tensorFrom(new Float32Array(1), [1]) as unknown as ModelHandle }],
    ['a lane that is no integer', { lane: 0.5 }],
    ['a lane that is no number', { lane: Number.NaN }],
  ])('%s', async (_, part) => {
    const args = { model: model('llama').handle, ...pack([[1, 2]]), lane: 0, ...part };
    await expect(runJob(() => native().modelForward(args))).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });
});

describe('embed', () => {
  const run = async (part: Partial<EmbedArgs>) => {
    const args: EmbedArgs = {
      model: model('llama').handle,
      ...pack([
        [1, 2, 3],
        [4, 5],
      ]),
      spans: Int32Array.of(0, 3, 3, 5),
      pool: 'last',
      maxTokens: 256,
      layers: Int32Array.of(0, 1),
      precision: 'fp32',
      ...part,
    };
    return (await runJob((progress) => native().embed(args, progress))).map(take);
  };

  it.each([
    ['a span over two sequences', { spans: Int32Array.of(2, 4) }],
    ['an empty span', { spans: Int32Array.of(1, 1) }],
    ['a span backwards', { spans: Int32Array.of(2, 1) }],
    ['a span before the start', { spans: Int32Array.of(-1, 1) }],
    ['a span past the end', { spans: Int32Array.of(3, 6) }],
    ['a span that starts past the end', { spans: Int32Array.of(5, 6) }],
    ['half a span', { spans: Int32Array.of(0, 3, 3) }],
    ['no layers', { layers: new Int32Array() }],
    ['a layer that there is not', { layers: Int32Array.of(4) }],
    ['a negative layer', { layers: Int32Array.of(-1) }],
    ['a layer named twice', { layers: Int32Array.of(1, 1) }],
    ['an unknown pool', { pool: 'max' as 'mean' }],
  ] as [string, Partial<EmbedArgs>][])('%s', async (_, part) => {
    await expect(run(part)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it('no stimuli', async () => {
    const got = await run({ spans: new Int32Array() }).then(
      (tensors) => tensors[0]!.shape,
      (error: { code: string }) => error.code,
    );
    expect([[2, 0, 32], 'ERR_ARGUMENT', 'ERR_DATA']).toContainEqual(got);
  });

  it('whatever the tokens in one pass, the same values', async () => {
    const reference = await run({ pool: 'mean' });
    for (const maxTokens of [1, 3, 4]) {
      const [got] = await run({ pool: 'mean', maxTokens });
      for (const [i, value] of got!.data.entries()) expect(value).toBeCloseTo(reference[0]!.data[i]!, 5);
    }
  });

  describe('many short sequences, a batch a thread, beside one too long for that', () => {
    const sequences = Array.from({ length: 60 }, (_, i) =>
      Array.from({ length: 4 + (i % 9) }, (_, t) => 1 + ((i + t) % 40)),
    );
    sequences[7] = Array.from({ length: 110 }, (_, t) => 1 + (t % 40));
    const packed = pack(sequences);
    const ends = sequences.map((_, i) => sequences.slice(0, i + 1).reduce((sum, each) => sum + each.length, 0));
    const spans = Int32Array.from(ends.flatMap((end, i) => [end - sequences[i]!.length, end]));
    const many = { ...packed, spans, layers: Int32Array.of(0, 1, 2), maxTokens: 100 };
    afterAll(() => native().setThreads(availableParallelism()));

    it.each([2, 5])('%i threads, the same values as one', async (threads) => {
      native().setThreads(1);
      const [alone] = await run(many);
      native().setThreads(threads);
      const [got] = await run(many);
      expect(got!.shape).toEqual([3, 60, 32]);
      // Products over other numbers of rows add in another order: float32, states of size 1.
      for (const [i, value] of got!.data.entries()) expect(value).toBeCloseTo(alone!.data[i]!, 5);
    });

    it('a thread that fails ends all with its error', async () => {
      native().setThreads(2);
      const ids = packed.ids.slice();
      ids[ids.length - 1] = 1e6;
      await expect(run({ ...many, ids })).rejects.toMatchObject({ code: 'ERR_DATA' });
      expect((await run(many))[0]!.shape).toEqual([3, 60, 32]);
    });
  });

  it('spans that overlap and come in any order', async () => {
    const [got] = await run({ spans: Int32Array.of(3, 5, 0, 2, 1, 3, 0, 2), pool: 'mean' });
    const [plain] = await run({ spans: Int32Array.of(0, 2), pool: 'mean' });
    const width = 32;
    for (const i of [1, 3])
      expect(got!.data.subarray(i * width, (i + 1) * width)).toEqual(plain!.data.subarray(0, width));
  });
});

describe('tune', () => {
  const golden = tuneGoldenOf('llama');
  const args = (part: Partial<TuneArgs & MethodSpec> = {}): TuneArgs =>
    tuneArgs(model('llama'), golden, {
      method: 'lora',
      targets: golden.lora.modules,
      lanes: loraLanes(golden, [{ seed: 1 }]),
      ...part,
    });
  const lane = (part: LoraLane): Partial<MethodSpec> => ({ lanes: loraLanes(golden, [part]) });

  it.each([
    ['a learning rate that is NaN', lane({ lr: Number.NaN }), 'lr'],
    ['an infinite learning rate', lane({ lr: Number.POSITIVE_INFINITY }), 'lr'],
    ['a decay that is NaN', lane({ weightDecay: Number.NaN }), 'weightDecay'],
    ['rank 0', lane({ rank: 0 }), 'rank'],
    ['a negative rank', lane({ rank: -1 }), 'rank'],
    ['half a rank', lane({ rank: 1.5 }), 'rank'],
    ['no lanes', { lanes: [] }, 'lane'],
    ['no targets', { targets: [] }, 'targets'],
    ['a method that there is not', { method: 'lorax' }, 'lora'],
    ['labels of another number', { labels: new Float32Array(3) }, 'labels'],
    ['order of another number', { order: new Int32Array(3) }, 'order'],
    ['order that names no sequence', { order: new Int32Array(40).fill(10) }, 'order'],
    ['schedule of another number', { schedule: new Float64Array(3) }, 'schedule'],
    ['schedule with NaN', { schedule: new Float64Array(10).fill(Number.NaN) }, 'schedule'],
    ['negative steps', { steps: -1 }, 'steps'],
    ['steps whose product overflows', { steps: 2 ** 32, batch: 2 ** 32 }, 'order'],
    ['beta1 that is NaN', { beta1: Number.NaN }, 'beta1'],
    ['clipping that is NaN', { clip: Number.NaN }, 'clip'],
  ] as [string, Partial<TuneArgs & MethodSpec>, string][])('%s', async (_, part, says) => {
    await expect(runTune(args(part))).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: expect.stringContaining(says),
    });
  });

  it('a target that is no linear module', async () => {
    for (const target of ['model.layers.0.self_attn.x_proj', 'model.embed_tokens', 'model.norm', ''])
      await expect(runTune(args({ targets: [target] })), target).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_(NOT_FOUND|ARGUMENT|CONFIG)$/),
      });
  });

  it('a target named twice trains once', async () => {
    const once = await runTune(args());
    const twice = await runTune(args({ targets: [...golden.lora.modules, golden.lora.modules[0]!] }));
    expect(lossesOf(twice)).toEqual(lossesOf(once));
    once.lanes.dispose();
    twice.lanes.dispose();
  });

  it('a rank that fits no memory', async () => {
    await expect(runTune(args(lane({ rank: 2 ** 40 })))).rejects.toMatchObject({ code: 'ERR_MEMORY' });
  });

  it('a batch without a token to predict', async () => {
    await expect(runTune(args({ batch: 0, order: new Int32Array() }))).rejects.toMatchObject({ code: 'ERR_DATA' });
    await expect(runTune(args({ order: new Int32Array(40).fill(-1) }))).rejects.toMatchObject({ code: 'ERR_DATA' });
    const none = new Float32Array(golden.sequences.flat().length).fill(-1);
    await expect(runTune(args({ labels: none }))).rejects.toMatchObject({ code: 'ERR_DATA' });
  });

  it('ids that the model does not know', async () => {
    const ids = Int32Array.from(golden.sequences.flat()).fill(320);
    await expect(runTune(args({ ids }))).rejects.toMatchObject({ code: 'ERR_DATA' });
  });

  it('an encoder', async () => {
    const part = { model: model('bert').handle, targets: ['encoder.layer.0.attention.self.query'] };
    const small = { ids: Int32Array.of(5, 6), lengths: Int32Array.of(2), labels: Float32Array.of(6, -1) };
    await expect(
      runTune(args({ ...part, ...small, steps: 1, batch: 1, order: Int32Array.of(0), schedule: Float64Array.of(1) })),
    ).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it('lanes of another model', async () => {
    const { lanes } = await runTune(args());
    for (const name of ['gpt2', 'mistral'])
      await expect(forward(model(name), [[5, 6]], lanes), name).rejects.toMatchObject({
        code: 'ERR_ARGUMENT',
        message: expect.stringContaining('another'),
      });
    lanes.dispose();
  });

  it('the output projection, which is no module to attach to', async () => {
    const qwen = tuneGoldenOf('qwen2');
    const part = { method: 'lora', targets: ['lm_head'], lanes: loraLanes(qwen, [{}]) };
    await expect(runTune(tuneArgs(model('qwen2'), qwen, part))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('lanes that were disposed', async () => {
    const { lanes } = await runTune(args());
    lanes.dispose();
    lanes.dispose();
    await expect(forward(model('llama'), [[5, 6]], lanes)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });

  it('steps of 0 give untouched lanes', async () => {
    const { lanes, losses } = await runTune(args({ steps: 0, order: new Int32Array(), schedule: new Float64Array() }));
    expect(losses.length).toBe(0);
    const [base, tuned] = [await loss(model('llama'), [[5, 6, 7]]), await loss(model('llama'), [[5, 6, 7]], lanes)];
    expect(tuned[0]).toBeCloseTo(base[0]!, 6);
    lanes.dispose();
  });
});
