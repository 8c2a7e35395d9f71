// In a worker thread, so that nothing of it touches the main thread; stopped from outside by an AbortSignal.
//   node examples/node/6-worker.mjs
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.on('message', (message) => console.log('from the worker:', message));
} else {
  const { embed, loadModel, tune } = await import('cortune');
  const model = await loadModel(`untrained:${fileURLToPath(new URL('../tiny', import.meta.url))}`);
  const features = await embed(model, ['the rabbit ran', 'rain fell'], { pool: 'last' });
  parentPort.postMessage(features.shape);
  features.dispose();

  const signal = AbortSignal.timeout(500);
  const texts = ['the rabbit ran over the hill', 'rain fell on the river'];
  await tune(model, texts, { steps: 1_000_000, signal }).catch(({ code, message }) =>
    parentPort.postMessage({ code, message }),
  );
  model.dispose();
}
