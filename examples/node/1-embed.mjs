// Hidden states of every layer for a few sentences, and how alike the layers are.
//   node examples/node/1-embed.mjs [MODEL]        default: a tiny model with random weights
import { fileURLToPath } from 'node:url';
import { embed, layerSimilarity, loadModel } from 'cortune';

const tiny = `untrained:${fileURLToPath(new URL('../tiny', import.meta.url))}`;
const sentences = ['The rabbit ran over the hill.', 'Rain fell on the river.', 'Nobody answered.', 'A door opened.'];

const model = await loadModel(process.argv[2] ?? tiny);
const features = await embed(model, sentences, { pool: 'mean' });
console.log('[layers + 1, sentences, channels]:', features.shape.join(' x '));

const similarity = await layerSimilarity(features, features, { measure: 'cka' });
for (const [layer, row] of similarity.entries())
  console.log(`layer ${layer}:`, [...row].map((value) => value.toFixed(2)).join(' '));
for (const each of [features, model]) each.dispose(); // or `using`, in TypeScript and Node 24
