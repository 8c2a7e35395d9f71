// An encoding model: which layer predicts responses that were made from layer 1 plus noise? With p-values that respect slow signals.
//   node examples/node/3-encode.mjs
import { fileURLToPath } from 'node:url';
import { embed, encode, loadModel, makeFolds, significance } from 'cortune';
import { responsesFrom, sentences } from './simulated.mjs';

const tiny = `untrained:${fileURLToPath(new URL('../tiny', import.meta.url))}`;
const model = await loadModel(process.argv[2] ?? tiny);
const texts = sentences(120);
const features = await embed(model, texts, { pool: 'mean' });
const responses = responsesFrom(features, { layer: 1, targets: 6, noise: 1 });

const folds = makeFolds({ rows: texts.length, count: 5 });
const {
  layers,
  predictions,
  folds: scores,
  warnings,
} = await encode(features, responses, { folds, predictions: true });
const { pMax } = await significance(predictions, responses, folds, {
  permutations: 200,
  resamples: 0,
  exchange: 'block:5',
  fits: { features, scores },
});
for (const warning of warnings) console.log(warning);
for (const [l, { layer, targets }] of layers.entries()) {
  const r = targets.reduce((sum, target) => sum + target.r, 0) / targets.length;
  const found = targets.filter((_, t) => pMax[l * targets.length + t] < 0.05).length;
  console.log(
    `layer ${layer}: mean r ${r.toFixed(3)}, ${found} of ${targets.length} targets at p < 0.05, corrected for all`,
  );
}
for (const each of [predictions, features, model]) each.dispose(); // or `using`, in TypeScript and Node 24
