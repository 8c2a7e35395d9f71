/** Ten steps of each objective against peft: completions, masked tokens, classes, values; heads saved and read as PEFT does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import { runJob } from '../../../lib/native/jobs.js';
import { native } from '../../../lib/native/load.js';
import { loadAdapter, saveAdapter } from '../../../lib/tune/adapter.js';
import { type Example, type Labelled, prepareExamples } from '../../../lib/tune/examples.js';
import { saveModel } from '../../../lib/tune/save-model.js';
import { tune } from '../../../lib/tune/tune.js';
import { expectClose, expectEachClose } from '../../helpers/arrays.js';
import { kNoPeft, logitsInPython, pythonWithPeft, type Saved } from '../../helpers/peer-python.js';
import { pack } from '../../helpers/run-model.js';
import { readPlain } from '../../helpers/safetensors.js';
import { temporaryFolder } from '../../helpers/temporary.js';
import { tinyModel } from '../../helpers/tiny-models.js';
import { forLanes, kPlainTraining, lossesOf, runTune } from '../../helpers/tuning.js';

const kDir = fileURLToPath(new URL('../../fixtures/objectives', import.meta.url));
const kTemporary = temporaryFolder();
// The project's bound; the goldens' losses in float32 and float64 differ by at most 7e-6 (`noise`).
const kLosses = 1e-4;
// Ten AdamW steps of 1e-2 from weights of about 0.2: rounding in a small gradient moves a weight by a share of the rate.
const kAfterSteps = 1e-3;

interface Golden {
  model: string;
  examples: { ids: number[]; labels: number[] | number }[];
  texts: Example[];
  lr: number;
  weightDecay: number;
  clip: number;
  losses: number[];
}
const kSteps = 10;
const golden = (name: string): Golden => JSON.parse(readFileSync(join(kDir, name, 'golden.json'), 'utf8')) as Golden;
const modelDir = (name: string) => (name === 'bert-heads' ? join(kDir, name) : tinyModel(name));

const open: { dispose(): void }[] = [];
async function load(name: string): Promise<Model> {
  const model = await loadModel(modelDir(name));
  open.push(model);
  return model;
}
afterAll(() => {
  for (const thing of open) thing.dispose();
});

describe.each([
  'llama-completion',
  'gpt2-completion',
  'llama-classification',
  'gpt2-classification',
  'opt-post-norm-classification',
  'bert-heads-classification',
  'neox-parallel-regression',
  'bert-heads-regression',
])('%s', (name) => {
  const { model: base, texts, losses, lr, weightDecay, clip } = golden(name);

  it('has the ten losses of peft and its final adapter', async () => {
    const model = await load(base);
    using from = await loadAdapter(model, join(kDir, name, 'adapter-initial'));
    // Classes are named by numbers in the golden.
    const classify = name.endsWith('classification') ? { objective: 'classification' as const } : {};
    const options = {
      from,
      lr: [lr],
      steps: kSteps,
      batch: texts.length,
      schedule: 'constant' as const,
      weightDecay,
      clip,
    };
    const result = await tune(model, texts, { ...options, ...classify });
    open.push(result.lanes);
    expectEachClose(result.losses[0]!, losses, kLosses, 'loss');
    expect(result.fresh).toEqual([]);

    const dir = join(kTemporary, name);
    await saveAdapter(model, result.lanes, 0, dir);
    const read = (folder: string) => readPlain(join(folder, 'adapter_model.safetensors'));
    const [ours, theirs] = [read(dir), read(join(kDir, name, 'adapter-after'))];
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    for (const [key, { shape, data }] of theirs) {
      expect(ours.get(key)!.shape, key).toEqual(shape);
      expectClose(ours.get(key)!.data, data, kAfterSteps, key);
    }
    const config = (folder: string) =>
      JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
    for (const key of ['task_type', 'modules_to_save'])
      expect(config(dir)[key], key).toEqual(config(join(kDir, name, 'adapter-after'))[key]);
  });

  it('gives two lanes the same losses as each alone', async () => {
    const model = await load(base);
    using from = await loadAdapter(model, join(kDir, name, 'adapter-initial'));
    const objective = name.endsWith('classification') ? ('classification' as const) : undefined;
    const options = { from, steps: kSteps, batch: texts.length, clip, ...(objective && { objective }) };
    const rates = [lr, lr / 4];
    const packed = await tune(model, texts, { ...options, lr: rates });
    open.push(packed.lanes);
    for (const [k, rate] of rates.entries()) {
      const solo = await tune(model, texts, { ...options, lr: [rate] });
      open.push(solo.lanes);
      expectEachClose(packed.losses[k]!, solo.losses[0]!, kLosses, `lane ${k}`);
    }
  });
});

it.each(['llama-completion', 'gpt2-completion'])(
  '%s: learns the tokens of the completion, as tokenized there',
  async (name) => {
    const { model: base, texts, examples } = golden(name);
    const how = { objective: 'causal', packing: 'texts', block: 8, classes: [], noun: 'text' } as const;
    const sequences = prepareExamples(await load(base), texts, how);
    for (const [i, { ids, labels }] of sequences.entries()) {
      expect([...ids]).toEqual(examples[i]!.ids);
      expect([...labels]).toEqual((examples[i]!.labels as number[]).map((id) => Math.max(id, -1)));
    }
  },
);

it('masked tokens: has the ten losses of peft', async () => {
  const { examples, losses, lr, weightDecay, clip } = golden('bert-heads-masked');
  const model = await load('bert-heads');
  using from = await loadAdapter(model, join(kDir, 'bert-heads-masked', 'adapter-initial'));
  const labels = Float32Array.from(examples.flatMap((each) => (each.labels as number[]).map((id) => Math.max(id, -1))));
  const {
    spec,
    method: { targets },
  } = from.lane(0);
  const result = await runTune({
    model: model.handle,
    objective: 'masked',
    outputs: 0,
    methods: [{ method: 'lora', targets, lanes: [{ ...spec, lr, weightDecay }] }],
    from: from.handle,
    ...pack(examples.map(({ ids }) => ids)),
    labels,
    order: Int32Array.from({ length: kSteps * examples.length }, (_, i) => i % examples.length),
    steps: kSteps,
    ...kPlainTraining,
    batch: examples.length,
    clip,
    schedule: forLanes(new Array<number>(kSteps).fill(1), 1),
  });
  open.push(result.lanes);
  expectEachClose(lossesOf(result), losses, kLosses, 'loss');
});

describe('full fine-tuning', () => {
  it.each([
    [
      'bert-heads',
      'masked',
      ['cls.predictions.bias', 'cls.predictions.transform.dense.weight'],
      ['pooler.dense.weight'],
    ],
    [
      'bert-heads',
      'classification',
      ['classifier.weight', 'classifier.bias', 'pooler.dense.weight'],
      ['cls.predictions.bias'],
    ],
    ['llama', 'classification', ['score.weight'], []],
  ] as const)(
    '%s, %s trains the parts that the objective uses, and no others',
    async (name, objective, trained, left) => {
      const model = await load(name);
      const { texts } = golden('llama-classification');
      const examples = objective === 'masked' ? texts.map((each) => (each as Labelled).text) : texts;
      const result = await tune(model, examples, { method: 'full', objective, lr: [1e-3], steps: 2, batch: 4 });
      open.push(result.lanes);
      const names = [
        ...result.lanes.lane(0).method.targets,
        ...(result.lanes.outputs > 0 ? ['score.weight', 'classifier.weight', 'classifier.bias'] : []),
      ];
      for (const each of trained) expect(names).toContain(each);
      for (const each of left) expect(names).not.toContain(each);
      expect(result.losses[0]!.every(Number.isFinite)).toBe(true);
    },
  );
});

it('says which parts of a head the checkpoint lacks', async () => {
  const model = await load('bert');
  const result = await tune(model, ['the rabbit ran', 'it was the wind'], { steps: 1, batch: 2 });
  open.push(result.lanes);
  expect(result.objective).toBe('masked');
  expect(result.fresh).toContain('cls.predictions.transform.dense.weight');
  expect(result.fresh).not.toContain('pooler.dense.weight');
});

describe('in transformers', () => {
  it('whole models saved with a head give the same losses', { timeout: 300_000 }, async (context) => {
    const python = pythonWithPeft();
    if (!python) return context.skip(kNoPeft);
    const { texts } = golden('llama-classification');
    const cases = [
      { name: 'llama', objective: 'classification', head: 'sequences' },
      { name: 'gpt2', objective: 'classification', head: 'sequences' },
      { name: 'bert-heads', objective: 'classification', head: 'sequences' },
      { name: 'bert-heads', objective: 'masked', head: 'masked' },
    ] as const;
    const saved: Saved[] = [];
    const losses: number[] = [];
    for (const { name, objective, head } of cases) {
      const model = await load(name);
      const examples = objective === 'masked' ? texts.map((each) => (each as Labelled).text) : texts;
      const { lanes } = await tune(model, examples, { method: 'full', objective, lr: [1e-3], steps: 3, batch: 4 });
      open.push(lanes);
      const base = join(kTemporary, `saved-${name}-${objective}`);
      await saveModel(model, lanes, 0, base);
      const { ids } = model.tokenizer.encode((texts[0] as Labelled).text);
      // The class of the first text; of a masked model, its third token, unhidden.
      const labels =
        objective === 'masked' ? Float32Array.from(ids, (id, i) => (i === 2 ? id : -1)) : Float32Array.of(2);
      const args = {
        model: model.handle,
        objective,
        ids,
        lengths: Int32Array.of(ids.length),
        labels,
        lanes: lanes.handle,
      };
      losses.push((await runJob(() => native().modelLoss(args)))[0]!);
      saved.push({ base, adapter: null, ids: [...ids], head });
    }
    for (const [i, { shape, logits }] of logitsInPython(python, saved).entries()) {
      const width = shape.at(-1)!;
      const masked = cases[i]!.head === 'masked';
      const row = masked ? logits.slice(2 * width, 3 * width) : logits;
      const target = masked ? saved[i]!.ids[2]! : 2;
      const loss = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - row[target]!;
      expectEachClose([losses[i]!], [loss], kLosses, `${cases[i]!.name}, ${cases[i]!.objective}`);
    }
  });
});
