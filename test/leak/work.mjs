// Long jobs of every kind on a random model, for the scenarios: each takes many seconds when nobody stops it.
import { kBlankConfig } from '../../dist/model/config.js';
import { native } from '../../dist/native/load.js';

const config = {
  ...kBlankConfig,
  family: 'llama',
  vocabSize: 1000,
  hiddenSize: 256,
  layers: 8,
  heads: 4,
  kvHeads: 4,
  headDim: 64,
  intermediateSize: 768,
  maxPositions: 2048,
  normEps: 1e-5,
  ropeTheta: 1e4,
  tieEmbeddings: true,
};

/** About 28 MB of float32 weights. */
export async function makeModel() {
  return native().createModel({ config, files: [], weights: [], seed: 1 }).promise;
}

function packed(sequences, length) {
  const ids = Int32Array.from({ length: sequences * length }, (_, i) => (i * 31) % config.vocabSize);
  return { ids, lengths: new Int32Array(sequences).fill(length) };
}

function embed(model, onProgress, sequences = 8000) {
  const { ids, lengths } = packed(sequences, 128);
  const spans = Int32Array.from({ length: 2 * sequences }, (_, i) => 128 * Math.floor(i / 2) + 128 * (i % 2));
  return native().embed(
    { model, ids, lengths, spans, pool: 'last', maxTokens: 256, layers: Int32Array.of(0, 4, 8), precision: 'fp32' },
    onProgress,
  );
}

function tune(model, onProgress, steps = 20_000) {
  const { ids, lengths } = packed(4, 32);
  return native().tune(
    {
      model,
      ids,
      lengths,
      labels: Float32Array.from(ids),
      objective: 'causal',
      outputs: 0,
      methods: [
        {
          method: 'lora',
          targets: ['model.layers.0.self_attn.q_proj', 'model.layers.7.self_attn.v_proj'],
          lanes: [1e-3, 1e-4].map((lr, seed) => ({ lr, weightDecay: 0, seed, options: { rank: 8, alpha: 16 } })),
        },
      ],
      order: Int32Array.from({ length: steps * 2 }, (_, i) => i % 4),
      steps,
      passes: 1,
      together: 0,
      batch: 2,
      checkpointing: false,
      precision: 'fp32',
      every: 0,
      patience: 0,
      rungs: new Int32Array(0),
      keep: new Int32Array(0),
      beta1: 0.9,
      beta2: 0.999,
      eps: 1e-8,
      clip: 1,
      schedule: new Float64Array(2 * steps).fill(1),
    },
    onProgress,
  );
}

function encode(_model, onProgress, layers = 300) {
  const [n, p, t] = [400, 64, 1000];
  const values = (size) => Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 10007) / 5000 - 1);
  const features = native().tensorFrom(values(layers * n * p), [layers, n, p]);
  const responses = native().tensorFrom(values(n * t), [n, t]);
  const rows = Array.from({ length: n }, (_, i) => i);
  const part = (of, k, folds) => {
    const size = of.length / folds;
    return {
      train: Int32Array.from(of.filter((_, i) => Math.floor(i / size) !== k)),
      test: Int32Array.from(of.filter((_, i) => Math.floor(i / size) === k)),
    };
  };
  const folds = [0, 1, 2, 3, 4].map((k) => {
    const outer = part(rows, k, 5);
    return { ...outer, inner: [0, 1, 2, 3].map((j) => part([...outer.train], j, 4)) };
  });
  const alphas = Float64Array.from({ length: 20 }, (_, i) => 10 ** (i / 2 - 1));
  return native().encode(
    {
      features,
      responses,
      folds,
      alphas,
      standardize: 'center',
      alphaPer: 'target',
      fixed: false,
      selection: 'folds',
      precision: 'single',
      predictions: false,
      spearman: false,
      explained: false,
      weights: 'none',
    },
    onProgress,
  );
}

export const jobs = { embed, tune, encode };
