/** A store of many runs, made by arithmetic as a sweep leaves one: 31 layers x 6 regions x 5 folds and 50 losses each. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { encodeScores, kFormat } from '../../dist/study/records.js';
import { Store } from '../../dist/study/store.js';

const kMethods = ['lora', 'dora', 'ia3', 'prompt'];
const kRates = [1e-4, 3e-4, 1e-3, 3e-3];
const kRegions = ['LATL', 'RATL', 'LPTL', 'LIPL', 'LPreM', 'LIFG'];
const [kLayers, kFolds, kSteps] = [31, 5, 50];

/** Numbers in [0, 1), the same everywhere. */
function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function scoresOf(random) {
  const t = kRegions.length;
  const numbers = (count) => Array.from({ length: count }, random);
  return {
    layers: Array.from({ length: kLayers }, (_, layer) => layer),
    targets: kRegions.map((roi) => ({ name: roi, subject: 'mean', roi })),
    folds: { kind: 'contiguous:5', count: kFolds, shuffled: false },
    ceilings: kRegions.map((_, i) => 0.5 + 0.05 * i),
    ceilingMethod: 'inter-subject correlation',
    r: numbers(kLayers * t),
    r2: numbers(kLayers * t),
    alpha: numbers(kLayers * t).map((value) => 10 ** Math.floor(9 * value)),
    foldR: numbers(kLayers * kFolds * t),
    foldR2: numbers(kLayers * kFolds * t),
    foldAlpha: numbers(kLayers * kFolds * t).map((value) => 10 ** Math.floor(9 * value)),
  };
}

function recordOf(i) {
  const hash = 'e'.repeat(64);
  const method = kMethods[i % 4];
  const lr = kRates[(i >> 2) % 4];
  const seed = i >> 4;
  const key = {
    format: kFormat,
    method,
    model: hash,
    data: hash,
    tune: { lr, seed },
    embed: {},
    align: {},
    encode: {},
  };
  const about = { name: 'large', simulated: false, citation: '', licence: '', hash, rows: 362, notes: [], source: '' };
  return {
    format: kFormat,
    id: i.toString(16).padStart(20, '0'),
    status: 'done',
    labels: { model: 'org/model', method, lr, rank: 8, seed },
    key,
    data: about,
    model: {
      ...{ name: 'org/model', source: 'None.', hash, family: 'llama' },
      ...{ layers: kLayers - 1, hiddenSize: 576, parameters: 135e6 },
    },
    trainable: 460_800,
    tuning: { objective: 'causal', updates: kSteps },
    warnings: [],
    environment: { cortune: '0.1.0', threads: 2 },
    created: new Date(0).toISOString(),
    seconds: { load: 1, tune: 1, embed: 1, encode: 1 },
  };
}

/** Makes a store of `count` runs in a folder that is not there yet. */
export async function makeStore(folder, count) {
  const store = await Store.open(folder, { create: true });
  const ids = [];
  for (let i = 0; i < count; i++) {
    const random = dice(i + 1);
    const record = recordOf(i);
    const losses = Array.from({ length: kSteps }, (_, step) => ({ step, loss: 4 * Math.exp(-step / 20) + random() }));
    ids.push(record.id);
    mkdirSync(store.path(record.id));
    writeFileSync(store.path(record.id, 'run.json'), `${JSON.stringify(record, null, 1)}\n`);
    writeFileSync(store.path(record.id, 'scores.json'), encodeScores(scoresOf(random)));
    writeFileSync(store.path(record.id, 'losses.jsonl'), losses.map((each) => `${JSON.stringify(each)}\n`).join(''));
  }
  await store.saveStudy({ format: kFormat, name: 'large', file: 'large.yaml', text: 'name: large\n', runs: ids });
}
