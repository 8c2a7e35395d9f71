/** Results of a large study, made by arithmetic: 5 ways of tuning x learning rates x ranks x 10 seeds, of which as many as are asked for. */

import { runTitle } from '../../lib/study/plan.js';
import { kFormat, type RunLabels, type RunRecord, type Scores } from '../../lib/study/records.js';
import type { ResultRun, Results } from '../../lib/study/results.js';

const kRates = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3];
const kRanks = [4, 8, 16, 32];

/** A sequence of numbers in [0, 1) that is the same everywhere. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function labelsOf(i: number): RunLabels {
  const model = i % 2 === 0 ? 'org/large-360M' : 'org/small-135M';
  const j = i >> 1;
  if (j < 2) return { model, method: ['untrained', 'untuned'][j]!, lr: null, rank: null, seed: j === 0 ? 0 : null };
  const k = j - 2;
  const methods = ['lora', 'dora', 'ia3', 'full'];
  return {
    model,
    method: methods[k % 4]!,
    lr: kRates[(k >> 2) % 5]!,
    rank: kRanks[Math.floor(k / 20) % 4]!,
    seed: Math.floor(k / 80),
  };
}

/** One run; its numbers depend on `i` alone. */
export function largeRun(i: number, layers = 30, rois = 12, subjects: string[] = ['mean']): ResultRun {
  const labels = labelsOf(i);
  const random = dice(i + 1);
  const targets = subjects.flatMap((subject) =>
    Array.from({ length: rois }, (_, r) => ({ name: `${subject}:ROI-${r + 1}`, subject, roi: `ROI-${r + 1}` })),
  );
  const gain = labels.method === 'untrained' ? 0.06 : 0.25 + 0.02 * ['ia3', 'lora', 'dora'].indexOf(labels.method);
  const count = 5;
  const size = layers * targets.length;
  const r = Array.from({ length: size }, (_, at) => {
    const l = Math.floor(at / targets.length);
    return gain * (0.6 + 0.5 * Math.exp(-(((l - 14) / 7) ** 2))) + 0.05 * (random() - 0.5);
  });
  const folds = (values: number[]) =>
    Array.from({ length: size * count }, (_, at) => {
      const [l, t] = [Math.floor(at / (count * targets.length)), at % targets.length];
      return values[l * targets.length + t]! + 0.02 * (random() - 0.5);
    });
  const alpha = r.map(() => 10 ** Math.floor(6 * random()));
  const scores: Scores = {
    layers: Array.from({ length: layers }, (_, l) => l),
    targets,
    folds: { kind: 'contiguous:5', count, shuffled: false },
    ceilings: targets.map(() => 0.5 + 0.1 * random()),
    ceilingMethod: 'inter-subject correlation',
    r,
    r2: r.map((value) => value * value - 0.01),
    alpha,
    foldR: folds(r),
    foldR2: folds(r),
    foldAlpha: folds(alpha),
  };
  // Ceilings belong to the data, which all runs share.
  scores.ceilings = targets.map((_, t) => 0.5 + 0.01 * (t % 10));
  const title = runTitle(labels);
  const losses =
    labels.lr === null ? [] : Array.from({ length: 300 }, (_, s) => 4 * Math.exp(-s / 90) + random() * 0.2);
  return { record: recordOf(i, labels, layers), title, scores, losses, quality: [] };
}

function recordOf(i: number, labels: RunLabels, layers: number): RunRecord {
  const hash = 'e'.repeat(64);
  return {
    format: kFormat,
    id: i.toString(16).padStart(20, '0'),
    status: 'done',
    labels,
    key: {
      format: kFormat,
      method: labels.method,
      model: hash,
      data: hash,
      tune: null,
      embed: null,
      align: null,
      encode: {},
    },
    data: {
      name: 'large',
      simulated: false,
      citation: '',
      licence: '',
      hash,
      rows: 500,
      notes: [],
      source: 'Made for a test.',
    },
    model: {
      name: labels.model,
      source: `${labels.model}.`,
      hash: labels.model,
      family: 'llama',
      layers: layers - 1,
      hiddenSize: 64,
      parameters: labels.model.includes('large') ? 360e6 : 135e6,
    },
    trainable: 0,
    warnings: [],
    environment: { cortune: '0.1.0', threads: 2 },
    created: new Date(0).toISOString(),
    seconds: {},
  };
}

/** All of them, as they are read from a store. */
export function largeResults(runs: number, layers = 30, rois = 12, subjects?: string[]): Results {
  const all = Array.from({ length: runs }, (_, i) => largeRun(i, layers, rois, subjects));
  const ids = all.map(({ record }) => record.id);
  return {
    folder: 'results/large',
    studies: [{ format: kFormat, name: 'large', file: 'large.yaml', text: 'name: large\n', runs: ids }],
    runs: all,
  };
}
