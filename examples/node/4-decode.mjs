// Decoding: which of two sentences was read? Embeddings are predicted from responses; 2v2 accuracy against shuffled rows.
//   node examples/node/4-decode.mjs
import { fileURLToPath } from 'node:url';
import { decode, embed, loadModel } from 'cortune';
import { responsesFrom, sentences } from './simulated.mjs';

const tiny = `untrained:${fileURLToPath(new URL('../tiny', import.meta.url))}`;
const model = await loadModel(process.argv[2] ?? tiny);
const features = await embed(model, sentences(100), { pool: 'mean' });
const responses = responsesFrom(features, { layer: 1, targets: 40, noise: 0.5 });

const { layers, rows } = await decode(responses, features, { folds: 'contiguous:5', permutations: 200 });
for (const { layer, twoVsTwo, rankAccuracy, p } of layers)
  console.log(
    `layer ${layer}: 2v2 accuracy ${twoVsTwo.toFixed(3)}, rank accuracy ${rankAccuracy.toFixed(3)}, p ${p.toFixed(3)}, ${rows} rows`,
  );
for (const each of [features, model]) each.dispose(); // or `using`, in TypeScript and Node 24
