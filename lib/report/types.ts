/** What the report's page is given: results in compact arrays, shared by the writer (Node) and the page (browser). */

export interface PageRun {
  id: string;
  /** `SmolLM2-135M lora lr 0.001 rank 8 seed 0` */
  title: string;
  /** The same without model and seed. */
  series: string;
  model: string;
  method: string;
  lr: number | null;
  rank: number | null;
  seed: number | null;
  status: 'done' | 'failed';
  error: string;
  /** Index into `PageData.sets`; -1 for a failed run. */
  set: number;
  layers: number[];
  /** [L, t], four decimals; null where there is no number. */
  r: (number | null)[];
  r2: (number | null)[];
  /** [L, t], three digits. */
  alpha: (number | null)[];
  /** [L, t], p-values corrected by Benjamini-Hochberg, four decimals; absent where the study asked for no tests. */
  fdr?: (number | null)[];
  /** `[L, F]`: r of each fold, averaged over the summary targets. */
  foldR: (number | null)[];
  losses: (number | null)[];
  /** Step of each loss kept. */
  steps: number[];
}

/** What runs that can be compared with each other share: data, alignment, folds. */
export interface PageSet {
  name: string;
  targets: { name: string; subject: string; roi: string }[];
  /** [t] */
  ceilings: (number | null)[];
  ceilingMethod: string;
  folds: string;
  foldCount: number;
  shuffled: boolean;
}

export interface PageData {
  runs: PageRun[];
  sets: PageSet[];
}
