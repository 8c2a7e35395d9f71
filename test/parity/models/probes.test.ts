/** States, attention weights, ablations and patches against plain hooks on transformers' modules (probes.py), on tiny random models. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { runJob } from '../../../lib/native/jobs.js';
import { native } from '../../../lib/native/load.js';
import type { VariantScores } from '../../../lib/native/types.js';
import { saveModel } from '../../../lib/tune/save-model.js';
import { tune } from '../../../lib/tune/tune.js';
import { expectClose, float32Tolerance } from '../../helpers/arrays.js';
import { forward, pack, take } from '../../helpers/run-model.js';
import { readPlain } from '../../helpers/safetensors.js';
import { temporaryFolder } from '../../helpers/temporary.js';
import { kModelsDir, tinyModel } from '../../helpers/tiny-models.js';

// As the hidden states of forward.test.ts: sums of at most 48 products, 6 in a row in each of at most 3 blocks.
const kTolerance = float32Tolerance(48, 18);

const kPoints = ['residual', 'heads', 'attention', 'mlp'] as const;
const kValues = ['zero', 'mean', 'other'];
type GoldenEdit = [point: (typeof kPoints)[number], layer: number, head: number, position: number, value: string];
interface Golden {
  items: number[][];
  others: number[][];
  variants: GoldenEdit[][];
}
const kCausal = ['llama', 'mistral', 'qwen2', 'gpt2', 'neox-parallel', 'neox-sequential', 'opt', 'opt-post-norm'];

function goldenOf(name: string) {
  const path = join(kModelsDir, '..', 'probes', name);
  return {
    ...(JSON.parse(readFileSync(`${path}.json`, 'utf8')) as Golden),
    tensors: readPlain(`${path}.safetensors`),
  };
}

const kTemporary = temporaryFolder();
let open: { dispose(): void }[] = [];
afterEach(() => {
  for (const each of open) each.dispose();
  open = [];
});
async function load(path: string): Promise<Model> {
  const model = await loadModel(path);
  open.push(model);
  return model;
}

const base = (model: Model) => ({ model: model.handle, lane: 0, precision: 'fp32' as const });

function editsOf(variants: readonly GoldenEdit[][]): Int32Array {
  return Int32Array.from(
    variants.flatMap((edits, v) =>
      edits.flatMap(([point, layer, head, position, value]) => [
        v,
        kPoints.indexOf(point),
        layer,
        head,
        position,
        kValues.indexOf(value),
      ]),
    ),
  );
}
/** Every next token of every item. */
const nextTokensOf = (items: readonly number[][]) =>
  Int32Array.from(items.flatMap((ids, i) => ids.slice(1).flatMap((token, t) => [i, t, token])));

function scores(
  model: Model,
  golden: Pick<Golden, 'items' | 'variants'> & { others?: number[][] },
  options: { rows?: number; together?: number; lanes?: Parameters<typeof forward>[2]; lane?: number } = {},
): Promise<VariantScores> {
  const { rows = 1000, together = 4096, lanes, lane = 0 } = options;
  return runJob(() =>
    native().variantScores({
      ...base(model),
      lanes,
      lane,
      ...pack(golden.items),
      others: golden.others && pack(golden.others),
      reference: pack(golden.items),
      scored: nextTokensOf(golden.items),
      variants: golden.variants.length,
      edits: editsOf(golden.variants),
      rows,
      together,
    }),
  );
}

describe.each([...kCausal, 'bert'])('%s', (name) => {
  it('has the states of transformers at every point of every block', async () => {
    const golden = goldenOf(name);
    const model = await load(tinyModel(name));
    for (const point of kPoints) {
      const layers = Int32Array.from({ length: model.config.layers }, (_, i) => i);
      const states = await runJob(() =>
        native().captureStates({ ...base(model), ...pack(golden.items), point, layers }),
      );
      const reference = golden.tensors.get(point)!;
      expect(states.shape).toEqual(reference.shape);
      const { data } = take(states);
      const size = data.length / layers.length;
      for (const layer of layers) {
        const of = (all: Float32Array) => all.subarray(layer * size, (layer + 1) * size);
        expectClose(of(data), of(reference.data), kTolerance, `${point} of layer ${layer}`);
      }
    }
  });

  it('has the attention weights of transformers', async () => {
    const golden = goldenOf(name);
    const model = await load(tinyModel(name));
    const maps = await runJob(() => native().attentionWeights({ ...base(model), ...pack(golden.items.slice(0, 2)) }));
    const reference = golden.tensors.get('maps')!;
    expect(maps.shape).toEqual(reference.shape);
    expectClose(take(maps).data, reference.data, kTolerance);
  });
});

describe.each(kCausal)('%s', (name) => {
  // All items in one pass with their common beginnings and all variants as lanes; and every item and variant alone.
  it.each([
    ['together', {}],
    ['three lanes at a time', { rows: 14, together: 42 }],
    ['alone', { rows: 1, together: 1 }],
  ])('has the scores of transformers for every ablation and patch, %s', async (_, how) => {
    const golden = goldenOf(name);
    const { logP, hits } = await scores(await load(tinyModel(name)), golden, how);
    const reference = golden.tensors.get('scores')!;
    const [rows, columns] = reference.shape as [number, number];
    expect(rows).toBe(golden.variants.length + 1);
    const of = (all: ArrayLike<number>, row: number) =>
      Array.from({ length: columns }, (_, s) => all[row * columns + s]!);
    expectClose(of(logP, 0), of(reference.data, 0), kTolerance, 'unchanged');
    expectClose(of(logP, 1), golden.tensors.get('otherScores')!.data, kTolerance, 'the other readings');
    for (let v = 1; v < rows; v++)
      expectClose(of(logP, v + 1), of(reference.data, v), kTolerance, JSON.stringify(golden.variants[v - 1]));
    expect(hits.every((hit) => hit === 0 || hit === 1)).toBe(true);
  });

  it('gives a lane of several, with any kind of effect, the scores of its merged model', async () => {
    const golden = goldenOf(name);
    const model = await load(tinyModel(name));
    const variants = golden.variants.filter((edits) => edits.every(([, , , , value]) => value !== 'other'));
    const text = 'the rabbit ran over a small hill and hid under the old bridge';
    const { lanes } = await tune(model, [text], { method: 'lora', lr: [1e-2, 3e-2], steps: 4, warmup: 0 });
    open.push(lanes);
    const folder = join(kTemporary, name);
    await saveModel(model, lanes, 1, folder);
    const given = { items: golden.items, variants };
    const [tuned, merged, plain] = [
      await scores(model, given, { lanes: lanes.handle, lane: 1 }),
      await scores(await load(folder), given),
      await scores(model, given),
    ];
    expectClose(tuned.logP, merged.logP, kTolerance);
    expect(Math.max(...tuned.logP.map((value, i) => Math.abs(value - plain.logP[i]!)))).toBeGreaterThan(0.01);
  });
});

/** Items that part at several depths, one the beginning of others, one twice, and one with no beginning in common; and their other readings. */
function tree(scale: number): Pick<Golden, 'items'> & { others: number[][] } {
  const run = (first: number, count: number) =>
    Array.from({ length: count * scale }, (_, i) => 5 + ((first * 31 + i * 7) % 300));
  const [root, left, right] = [run(1, 3), run(2, 2), run(3, 2)];
  const items = [
    [...root, ...left, ...run(4, 1)],
    [...root, ...right, ...run(5, 3)],
    [...root, ...left],
    run(6, 4),
    [...root, ...left, ...run(7, 2)],
    [...root, ...right, ...run(5, 3)],
    [...root, ...left, ...run(7, 1), ...run(8, 2)],
  ];
  // Nearer to the beginning in one of them, so that the other readings part earlier than the items.
  const others = items.map((ids, i) => ids.map((id, t) => (t === 5 || (i === 4 && t === 2) ? (id + 9) % 300 : id)));
  return { items, others };
}

/** Of several lanes where a method tunes several, each with its rate. */
const lrOf = (method: string) => (method === 'full' ? [3e-3] : [3e-2, 1e-1]);

describe('beginnings in common', () => {
  it.each([
    ['llama', 1],
    ['gpt2', 1],
    ['mistral', 1], // keys of a window alone
    ['opt', 2],
    ['llama', 14], // above 96 keys libtorch attends
    ['mistral', 14],
  ])('are computed once, and nothing changes: %s, lengths times %d', async (name, scale) => {
    const { items, others } = tree(scale);
    const given = { items, others, variants: goldenOf(name).variants };
    const model = await load(tinyModel(name));
    const [alone, once, split] = [
      await scores(model, given, { rows: 1 }),
      await scores(model, given),
      await scores(model, given, { rows: 15 * scale, together: 30 * scale }),
    ];
    expect(alone.logP.every(Number.isFinite)).toBe(true);
    const tolerance = float32Tolerance(Math.max(48, 10 * scale), 18);
    expectClose(once.logP, alone.logP, tolerance);
    expectClose(split.logP, alone.logP, tolerance);
  });

  it.each(['prefix', 'prompt', 'full'])('are read with what %s tuning learnt', async (method) => {
    const model = await load(tinyModel('llama'));
    const { lanes } = await tune(model, ['the rabbit'], { method, lr: lrOf(method), steps: 4 });
    open.push(lanes);
    const { items } = tree(1);
    const variants = goldenOf('llama').variants.filter((edits) => edits.every(([, , , , value]) => value !== 'other'));
    const with_ = { lanes: lanes.handle, lane: lanes.count - 1 };
    const [alone, once, untuned] = [
      await scores(model, { items, variants }, { ...with_, rows: 1, together: 1 }), // a lane at a time
      await scores(model, { items, variants }, with_),
      await scores(model, { items, variants }),
    ];
    expectClose(once.logP, alone.logP, kTolerance);
    expect(Math.max(...once.logP.map((value, i) => Math.abs(value - untuned.logP[i]!)))).toBeGreaterThan(0.01);
  });
});

describe.each(['prefix', 'prompt', 'full', 'lora', 'ia3'])('lanes of %s tuning', (method) => {
  it('are themselves in every variant', async () => {
    const golden = goldenOf('gpt2');
    const model = await load(tinyModel('gpt2'));
    const { lanes } = await tune(model, ['the rabbit'], { method, lr: lrOf(method), steps: 4 });
    open.push(lanes);
    const lane = lanes.count - 1;
    // A patch of the embedding at no position changes nothing; nor do two lanes of it.
    const variants: GoldenEdit[][] = [[['residual', 0, -1, 99, 'zero']], [['heads', 1, 0, 99, 'zero']]];
    const { logP } = await scores(model, { items: golden.items, variants }, { lanes: lanes.handle, lane });
    const { logits } = await forward(model, golden.items, lanes.handle, lane);
    const wanted: number[] = [];
    const vocabulary = logits!.shape[1]!;
    let row = 0;
    for (const ids of golden.items)
      for (const [t] of ids.entries()) {
        const values = logits!.data.subarray(row * vocabulary, ++row * vocabulary);
        if (t + 1 === ids.length) continue;
        const total = Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0));
        wanted.push(values[ids[t + 1]!]! - total);
      }
    expectClose(logP, [...wanted, ...wanted, ...wanted], kTolerance);
  });
});

describe('what cannot be', () => {
  it.each([
    ['a layer that is not there', [0, 1, 9, 0, -1, 0], 'layers and heads'],
    ['a head that is not there', [0, 1, 0, 4, -1, 0], 'layers and heads'],
    ['a point that is not there', [0, 7, 0, 0, -1, 0], 'point'],
    ['another reading where none is', [0, 1, 0, 0, -1, 2], 'others'],
    ['five numbers', [0, 1, 0, 0, -1], 'six numbers'],
  ])('is refused: %s', async (_, edits, says) => {
    const model = await load(tinyModel('gpt2'));
    await expect(
      runJob(() =>
        native().variantScores({
          ...base(model),
          ...pack([[5, 6, 7]]),
          scored: Int32Array.of(0, 1, 7),
          variants: 1,
          edits: Int32Array.from(edits),
          rows: 8,
          together: 8,
        }),
      ),
    ).rejects.toThrow(says);
  });
});
