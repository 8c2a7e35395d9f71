/** A study whose engine is arithmetic: the store, the loop and the report can be tested without models. Run as a script, it works through one. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFlushed } from '../../lib/study/atomic.js';
import { runBatches } from '../../lib/study/loop.js';
import { type Batch, makePlan, modelsOf, type Plan, type Run } from '../../lib/study/plan.js';
import { kFormat, type RunRecord, type Scores } from '../../lib/study/records.js';
import { readStudy } from '../../lib/study/schema.js';
import { type NewRun, Store } from '../../lib/study/store.js';

export const kStudy = {
  name: 'fake',
  data: 'simulated',
  models: ['org/tiny-1'],
  methods: ['untrained', 'untuned', { method: 'lora', lr: [1e-4, 3e-4, 1e-3] }, { method: 'full', lr: [1e-5, 1e-4] }],
  seeds: [0, 1],
  controls: ['word_rate'],
};

export async function fakePlan(study: Record<string, unknown> = kStudy): Promise<Plan> {
  const read = await readStudy(study);
  const models = new Map(modelsOf(read).map((name) => [name, `hash of ${name}`]));
  return makePlan(read, { data: [{ hash: 'hash of data', kind: 'words' }], models });
}

/** A number in [0, 1) that depends on the text alone. */
function dice(text: string): number {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0)!, 16777619);
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

const kRois = ['LATL', 'RATL', 'LPTL', 'LIPL', 'LPreM', 'LIFG'];

export function fakeScores(run: Run, subjects = 4, layerCount = 13): Scores {
  const subjectNames = ['mean', ...Array.from({ length: subjects }, (_, i) => `s${i + 1}`)];
  const targets = subjectNames.flatMap((subject) => kRois.map((roi) => ({ name: `${subject}:${roi}`, subject, roi })));
  const layers = run.labels.model === '' ? [0] : Array.from({ length: layerCount }, (_, l) => l);
  const count = 5;
  const size = layers.length * targets.length;
  const gain = { word_rate: 0.05, untrained: 0.07, untuned: 0.16 }[run.labels.method] ?? 0.15 + 0.03 * dice(run.id);
  const foldR: number[] = [];
  for (const l of layers)
    for (let f = 0; f < count; f++)
      for (const target of targets) {
        const share = target.subject === 'mean' ? 1 : 0.55;
        const shape = 0.7 + 0.5 * Math.exp(-(((l - 7) / 4) ** 2));
        foldR.push(gain * share * shape + 0.08 * (dice(`${run.id}/${l}/${f}/${target.name}`) - 0.5));
      }
  const overFolds = (values: number[]) =>
    Array.from({ length: size }, (_, i) => {
      const [l, t] = [Math.floor(i / targets.length), i % targets.length];
      let sum = 0;
      for (let f = 0; f < count; f++) sum += values[(l * count + f) * targets.length + t]!;
      return sum / count;
    });
  const foldR2 = foldR.map((r) => r * Math.abs(r));
  return {
    layers,
    targets,
    folds: { kind: 'contiguous:5', count, shuffled: false },
    ceilings: targets.map(({ subject, roi }) => (subject === 'mean' ? 0.6 : 0.3) + 0.1 * dice(roi)),
    ceilingMethod: 'inter-subject correlation',
    r: overFolds(foldR),
    r2: overFolds(foldR2),
    alpha: Array.from({ length: size }, (_, i) => 10 ** Math.floor(5 * dice(`${run.id}${i}`))),
    foldR,
    foldR2,
    foldAlpha: foldR.map((_, i) => 10 ** Math.floor(5 * dice(`${run.id}${i}`))),
  };
}

export function fakeRecord(run: Run, status: RunRecord['status'] = 'done'): RunRecord {
  const hash = 'f'.repeat(64);
  return {
    format: kFormat,
    id: run.id,
    status,
    labels: run.labels,
    key: run.key,
    data: {
      name: 'alice',
      simulated: run.key.data === 'hash of data',
      citation: 'Nobody (2020)',
      licence: 'CC-BY 4.0',
      hash,
      rows: 362,
      notes: ['s33 left out: constant'],
      source: 'a simulated subject',
    },
    model: run.labels.model
      ? {
          name: run.labels.model,
          source: 'made for a test',
          hash,
          family: 'llama',
          layers: 12,
          hiddenSize: 64,
          parameters: 1e6,
        }
      : null,
    trainable: run.labels.lr === null ? 0 : 1000,
    warnings: [],
    environment: { cortune: '0.1.0', node: process.version, threads: 2 },
    created: new Date().toISOString(),
    seconds: { tune: Math.random(), embed: Math.random(), encode: Math.random() },
  };
}

/** A whole result of a run; the second full run fails. */
export function fakeRun(run: Run, layers?: number, subjects?: number): NewRun {
  if (run.labels.method === 'full' && run.labels.lr === 1e-4) {
    const error = { code: 'ERR_NUMERIC', message: 'Expected a finite loss, got NaN at step 3.' };
    return { record: { ...fakeRecord(run, 'failed'), error }, losses: [5, 7, 20, Number.NaN] };
  }
  const lr = run.labels.lr;
  const losses =
    lr === null
      ? undefined
      : Array.from({ length: 40 }, (_, i) => 4 * Math.exp(-i * Math.min(0.08, lr * 50)) + dice(`${run.id}${i}`) * 0.3);
  const saveAdapter =
    run.labels.method === 'lora'
      ? async (folder: string) => {
          await mkdir(folder);
          await writeFlushed(join(folder, 'adapter_config.json'), `{"id":"${run.id}"}`);
        }
      : undefined;
  return { record: fakeRecord(run), scores: fakeScores(run, subjects, layers), losses, saveAdapter };
}

/** Works through the fake study, `pace` ms a run; tells each finished batch through `onBatch`. */
export async function runFake(
  folder: string,
  options: {
    pace?: number;
    force?: boolean;
    retryFailed?: boolean;
    signal?: AbortSignal;
    onBatch?: (batch: Batch, outcome: string) => void;
  } = {},
): Promise<void> {
  const plan = await fakePlan();
  const store = await Store.open(folder, { create: true });
  await store.saveStudy({
    format: kFormat,
    name: plan.study.name,
    file: 'fake.yaml',
    text: plan.study.text,
    runs: plan.runs.map((run) => run.id),
  });
  await runBatches(store, plan, {
    ...options,
    compute: async (batch) => {
      await sleep((options.pace ?? 0) * batch.runs.length, undefined, { signal: options.signal });
      return { runs: batch.runs.map((run) => fakeRun(run)), dispose: () => {} };
    },
    failed: (run, _, error) => ({ record: { ...fakeRecord(run, 'failed'), error } }),
  });
}

if (process.argv[2] === '--run') {
  const [folder, pace] = [process.argv[3]!, Number(process.argv[4])];
  await runFake(folder, {
    pace,
    onBatch: (batch, outcome) => console.log(`${process.pid} ${outcome} ${batch.runs.map((run) => run.id).join(' ')}`),
  });
}
