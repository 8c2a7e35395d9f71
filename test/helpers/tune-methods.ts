/** Native runs of tuning methods on the data of the method goldens. */
import { afterAll } from 'vitest';
import { loadModel, type Model } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import type {
  LanesHandle,
  MethodSpec,
  NamedTensors,
  PackedExamples,
  TuneArgs,
  TuneResult,
} from '../../lib/native/types.js';
import { baseOf, methodOf, planOf } from '../../lib/tune/methods.js';
import {
  type MethodGoldens,
  type MethodModel,
  methodGoldens,
  methodModel,
  optionsOfCase,
  ourName,
  partOf,
} from './method-goldens.js';
import { pack, take } from './run-model.js';
import type { PlainTensors } from './safetensors.js';
import { forLanes, kPlainTraining } from './tuning.js';

/** The sequences numbered `rows` and what is to be predicted in the place of each token. */
export function examplesOf(model: Model, golden: MethodGoldens, rows?: readonly number[]): PackedExamples {
  const { sequences, targets } = golden.data;
  const chosen = rows ?? sequences.map((_, i) => i);
  // Goldens say what each position predicts: a causal model predicts the next one.
  const place = (row: number) => (model.config.family === 'bert' ? targets[row]! : [-1, ...targets[row]!.slice(0, -1)]);
  return { ...pack(chosen.map((row) => sequences[row]!)), labels: Float32Array.from(chosen.flatMap(place)) };
}

export function objectiveOf(model: Model): 'masked' | 'causal' {
  return model.config.family === 'bert' ? 'masked' : 'causal';
}

/** Native spec of a golden case with one lane a rate. */
export function specOf(model: Model, golden: MethodGoldens, key: string, lr = [golden.cases[key]!.lr]): MethodSpec {
  const { method: name, options } = optionsOfCase(golden, key);
  const base = baseOf(model);
  // The pooler is no part of masked language modelling.
  const parameters = base.parameters.filter((each) => !each.name.startsWith('pooler.'));
  const method = methodOf(name);
  const { plan } = planOf(
    { ...base, parameters },
    method,
    options,
    lr.map((_, k) => k),
  );
  const half = golden.cases[key]!.selections;
  const rounds = half?.flatMap((names) => plan.targets.map((t) => Number(names.some((n) => ourName(key, n) === t))));
  return {
    method: method.native,
    targets: plan.targets,
    options: {
      ...plan.options,
      ...(rounds ? { rounds: Float64Array.from(rounds), every: golden.cases[key]!.switch! } : {}),
    },
    lanes: lr.map((rate, k) => ({ lr: rate, weightDecay: golden.weightDecay, seed: k, options: plan.lane })),
  };
}

/** Ten steps of several methods side by side on the goldens' batches. */
export function argsOf(
  model: Model,
  golden: MethodGoldens,
  methods: readonly MethodSpec[],
  from?: LanesHandle,
  part: Partial<TuneArgs> = {},
): TuneArgs {
  const { steps, batch, data, clip, beta1, beta2, eps } = golden;
  const lanes = methods.reduce((sum, method) => sum + method.lanes.length, 0);
  const factors = Array.from({ length: steps }, (_, step) => (steps - step) / steps);
  return {
    model: model.handle,
    objective: objectiveOf(model),
    outputs: 0,
    methods,
    from,
    ...examplesOf(model, golden),
    order: Int32Array.from(data.order.flat()),
    steps,
    ...kPlainTraining,
    batch,
    beta1,
    beta2,
    eps,
    clip,
    schedule: forLanes(factors, lanes),
    ...part,
  };
}

/** The goldens of a model, and runs on it; what they open is freed after the tests of the suite that asks. */
export function methodRuns(name: MethodModel) {
  const golden = methodGoldens(name);
  const open: { dispose(): void }[] = [];
  afterAll(() => {
    for (const thing of open.reverse()) thing.dispose();
  });
  return {
    golden,
    open,
    async load(): Promise<Model> {
      const model = await loadModel(methodModel(name));
      open.push(model);
      return model;
    },
    async run(model: Model, methods: readonly MethodSpec[], part: Partial<TuneArgs> = {}): Promise<TuneResult> {
      const args = argsOf(model, golden, methods, undefined, part);
      const result = await runJob((progress) => native().tune(args, progress));
      open.push(result.lanes);
      return result;
    },
  };
}

function plain({ names, tensors }: NamedTensors): PlainTensors {
  return new Map(names.map((name, i) => [name, take(tensors[i]!)]));
}

/** Everything trained of one lane, or what its file holds. */
export async function tensorsOf(lanes: LanesHandle, lane = 0, whole = true): Promise<PlainTensors> {
  return plain(await runJob(() => native().laneTensors({ lanes, lane, whole })));
}

/** Gradients of one lane on the sequences of the goldens' first batch. */
export async function gradientsOf(model: Model, golden: MethodGoldens, lanes: LanesHandle): Promise<PlainTensors> {
  const examples = examplesOf(model, golden, golden.data.order[0]);
  const args = { model: model.handle, lanes, lane: 0, objective: objectiveOf(model), ...examples };
  return plain(await runJob(() => native().laneGradients(args)));
}

/** One lane of a case as peft had it at first. */
export async function initialLane(model: Model, golden: MethodGoldens, key: string): Promise<LanesHandle> {
  const named = new Map([...partOf(golden, key, 'initial')].map(([name, tensor]) => [ourName(key, name), tensor]));
  const spec = specOf(model, golden, key);
  if (key === 'adalora')
    for (const module of spec.targets) {
      const rank = spec.options!.initial_rank as number;
      named.set(`rank_pattern.${module}`, { shape: [rank], data: new Float32Array(rank).fill(1) });
    }
  if (key === 'vera')
    for (const part of ['base_model.vera_A', 'base_model.vera_B'])
      named.set(part, partOf(golden, key, 'saved').get(part)!);
  const tensors = [...named.values()].map(({ data, shape }) => native().tensorFrom(data, shape));
  try {
    const args = { model: model.handle, method: spec, outputs: 0, names: [...named.keys()], tensors };
    return await runJob(() => native().lanesFromTensors(args));
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}
