/** The best layers of a study while it grows: the scores of each run are read once, some at each look. */

import type { Overview } from './overview.js';
import { runTitle } from './plan.js';
import { summaryRow } from './results.js';
import { Store } from './store.js';

export interface BestLayer {
  run: string;
  title: string;
  layer: number;
  /** Mean over targets. */
  r: number;
}

export interface Watched {
  /** Runs whose scores have been read. */
  seen: Set<string>;
  /** Best first. */
  best: BestLayer[];
}

/** Scores that are read at one look, and best layers that are kept. */
const kAtOnce = 100;
const kKept = 20;

/** Reads the scores of runs that are new, and keeps the best. A run whose scores cannot be read is left out: `cortune verify` says more. */
export async function bestLayers(folder: string, now: Overview, watched: Watched): Promise<void> {
  const store = await Store.open(folder);
  const done = now.studies.flatMap(({ runs }) =>
    runs.filter(({ id, state }) => state === 'done' && !watched.seen.has(id)),
  );
  for (const { id } of done.slice(0, kAtOnce)) {
    watched.seen.add(id);
    const record = await store.run(id);
    const scores = await store.scores(id).catch(() => undefined);
    if (!record || !scores) continue;
    const title = runTitle(record.labels);
    const { bestLayer, bestR } = summaryRow({ record, title, scores });
    if (Number.isFinite(bestR)) watched.best.push({ run: id, title, layer: bestLayer, r: bestR });
  }
  watched.best = watched.best.sort((a, b) => b.r - a.r).slice(0, kKept);
}
