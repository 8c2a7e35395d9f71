/** The program of a worker process of the local engine. */
import { CortuneError } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { Engine } from './engine.js';
import { readMaterial } from './run.js';
import { type Computer, serveWorker, type WorkerStudy } from './worker.js';

/** Reads the data of a study that is planned already, and gives what computes its batches. Throws ERR_DATA when it has changed since. */
async function openEngine(start: WorkerStudy, options: JobOptions): Promise<Computer> {
  const { study, models, dataRoot, dataHashes } = start;
  const hashes = new Map([...models].map(([name, model]) => [name, model.hash]));
  const material = await readMaterial(study, hashes, dataRoot);
  if (material.data.some(({ hash }, d) => hash !== dataHashes[d]))
    throw new CortuneError('ERR_DATA', 'Expected the data that the study was planned for, and it has changed since.');
  return new Engine({ study, models, ...material, ...options });
}

serveWorker(openEngine);
