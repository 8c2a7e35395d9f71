/** What the report's page is given: results in compact arrays, shared by the writer (Node) and the page (browser). NaN where there is no number. */

export interface PageRun {
  id: string;
  /** `SmolLM2-135M lora lr 0.001 rank 8 seed 0` */
  title: string;
  /** The same without model and seed. */
  series: string;
  model: string;
  /** Parameters of the model; 0 for controls. */
  parameters: number;
  method: string;
  lr: number | null;
  rank: number | null;
  seed: number | null;
  status: 'done' | 'failed';
  /** Index into `PageData.sets`; -1 for a failed run. */
  set: number;
  layers: number[];
  /** `[L, t]` */
  r: Float64Array;
  /** `[L, t]`; empty in reports of very many scores, as log10 of alpha is. */
  r2: Float64Array;
  alpha: Float64Array;
  /** `[L, t]`, p-values corrected by Benjamini-Hochberg; absent where the study asked for no tests. */
  fdr?: Float64Array;
  /** `[L, F]`: r of each fold, averaged over the summary targets. */
  foldR: Float64Array;
  losses: Float64Array;
  /** Steps of the tuning; the losses that are kept are spread over them evenly. */
  steps: number;
  /** Scores of decoding, classifiers and geometry, by the id of their PageMeasure: `[L, R]`. */
  measures?: Record<string, Float64Array>;
}

/** What runs that can be compared with each other share: data, alignment, folds. */
export interface PageSet {
  name: string;
  targets: { name: string; subject: string; roi: string }[];
  /** `[t]` */
  ceilings: Float64Array;
  ceilingMethod: string;
  folds: string;
  foldCount: number;
  shuffled: boolean;
}

/** A score beside those of encoding, one a layer and region. */
export interface PageMeasure {
  id: string;
  title: string;
  regions: string[];
  /** What guessing gives; NaN (null) where that means nothing. */
  chance: number | null;
  /** Of each region, between which of two bounds the best possible value lies; null where that is not known. */
  ceilings: ([lower: number, upper: number] | null)[];
}

/** Tuned minus untuned: one line of the figures against the untuned model of its set and model. */
export interface PageDifference {
  set: number;
  model: string;
  series: string;
  layers: number[];
  /** `[L, 1 + R]`: the mean over regions, then each region. */
  value: Float64Array;
  /** Half of the 95 % interval of the mean over subjects; over folds, one standard error; empty for regions. `[L]` */
  half: Float64Array;
  /** `[L, 1 + R]`: p of sign flips over subjects, corrected by Benjamini-Hochberg; empty without several subjects. */
  fdr: Float64Array;
}

/** Where the targets of a set lie in the brain of the subjects that share a space. */
export interface PageBrain {
  set: number;
  /** Whose brain it is: a subject, or how many share it. */
  title: string;
  /** Voxels along x, y, z: what of the image holds anything. */
  shape: [number, number, number];
  /** Rows of the map from these voxels to millimetres; null where the images do not say. */
  affine: number[][] | null;
  /** Regions or voxels by name, and how many voxels each has. */
  names: string[];
  counts: number[];
  /** The voxels of all of them, each less the one before it. */
  steps: number[];
  /** The head: gaps and lengths of stretches of voxels. */
  outline: number[];
  /** Targets of the set at each of them; null where targets are too many to be in the page one by one. */
  targets: number[][] | null;
  /** In that case their r at the best layer of each run, by its id. */
  maps: Record<string, Float64Array>;
}

export interface PageDifferences {
  over: 'subjects' | 'folds';
  /** Subjects or folds. */
  pairs: number;
  regions: string[];
  lines: PageDifference[];
}

export interface PageData {
  runs: PageRun[];
  sets: PageSet[];
  measures: PageMeasure[];
  /** One for each set that has an untuned run and others. */
  differences: PageDifferences[];
  brains: PageBrain[];
  /** What was left out to keep the file small, in a sentence. */
  left: string;
}
