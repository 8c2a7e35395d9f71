/** What the store keeps of a run and of a study. */

/** Version of everything the store writes; part of each run's id, so a new one computes anew instead of misreading. */
export const kFormat = 1;

/** What decides a run's result, and nothing else: its SHA-256 is the run's name. */
export interface RunKey {
  format: number;
  /** `untrained`, `untuned`, a tuning method, or a control: `word_rate`. */
  method: string;
  /** SHA-256 of weights, configuration and tokenizer; null for controls that need no model. */
  model: string | null;
  /** SHA-256 of the data set's description and files. */
  data: string;
  /** Options of the method and the tuning, in full; null when nothing is tuned. */
  tune: Record<string, unknown> | null;
  embed: Record<string, unknown> | null;
  align: Record<string, unknown> | null;
  encode: Record<string, unknown>;
  /** Tests and intervals; absent without them. */
  stats?: Record<string, unknown> | undefined;
  /** Absent unless the study asks for them. */
  decode?: Record<string, unknown> | undefined;
  rsa?: Record<string, unknown> | undefined;
  /** What its task quality is measured on, task by task; absent where no task has a test. */
  quality?: Record<string, unknown>[] | undefined;
  /** What is looked into; absent unless the study asks for it. */
  probe?: Record<string, unknown> | undefined;
  /** Options of a control, or the SHA-256 of its file; absent for one as it is. */
  control?: Record<string, unknown> | undefined;
}

/** Names for people; they do not decide the result. */
export interface RunLabels {
  /** The model as the study names it; '' for controls. */
  model: string;
  method: string;
  lr: number | null;
  rank: number | null;
  seed: number | null;
  /** Share of the tuning texts; absent for all of them. */
  fraction?: number | undefined;
  /** The data set, where a study has several. */
  data?: string | undefined;
  /** What a tuned run learnt, where a study has several tasks. */
  task?: string | undefined;
}

export interface DataSummary {
  name: string;
  simulated: boolean;
  citation: string;
  licence: string;
  hash: string;
  rows: number;
  notes: string[];
  /** A sentence on what was read, from where. */
  source: string;
}

export interface ModelSummary {
  name: string;
  source: string;
  hash: string;
  family: string;
  layers: number;
  hiddenSize: number;
  parameters: number;
}

export type Environment = Record<string, string | number | boolean>;

/** run.json */
export interface RunRecord {
  format: number;
  id: string;
  status: 'done' | 'failed';
  /** Why it failed. */
  error?: { code: string; message: string } | undefined;
  labels: RunLabels;
  key: RunKey;
  data: DataSummary;
  model: ModelSummary | null;
  /** Trained parameters; 0 when nothing was tuned. */
  trainable: number;
  /** How its tuning ended: updates behind its final state, its validation loss, why it stopped; absent where nothing was tuned. */
  tuning?:
    | { objective: string; updates: number; validation_loss?: number; stopped?: { updates: number; by: string } }
    | undefined;
  /** What a reader should know of the scores. */
  warnings: string[];
  environment: Environment;
  /** ISO time at which it was complete. */
  created: string;
  /** Wall time of each stage, s, for the whole lane batch the run was in. */
  seconds: Record<string, number>;
}

/** studies/NAME.json */
export interface StudyRecord {
  format: number;
  name: string;
  /** Where the study file was, as it was named. */
  file: string;
  text: string;
  runs: string[];
  /** Its lane batches and the floating-point operations that each is expected to take; absent in older stores. */
  batches?: { runs: string[]; flops: number }[] | undefined;
}

/** scores.json: row-major arrays over layers, folds and targets. */
export interface Scores {
  /** Entries of hidden_states that were scored: 0 the embedding output, then each block. Controls have one, 0. */
  layers: number[];
  targets: { name: string; subject: string; roi: string }[];
  folds: { kind: string; count: number; shuffled: boolean };
  /** `[t]`: the highest r that can be reached; NaN where it cannot be estimated. */
  ceilings: number[];
  ceilingMethod: string;
  /** `[L, t]`: mean over folds of r and R2; alpha: their geometric mean. */
  r: number[];
  r2: number[];
  alpha: number[];
  /** [L, F, t] */
  foldR: number[];
  foldR2: number[];
  foldAlpha: number[];
  /** Absent unless the study asked for tests and intervals. */
  stats?: ScoreStats | undefined;
  /** Absent unless the study has a section `decode` (with `labels`) or `rsa`. */
  decode?: DecodeRow[] | undefined;
  labels?: LabelRow[] | undefined;
  rsa?: RsaRow[] | undefined;
}

/** How well a layer's embeddings are decoded from the responses of a region; see lib/analysis/decode. */
export interface DecodeRow {
  layer: number;
  region: string;
  two_vs_two: number | null;
  rank_accuracy: number | null;
  identification: number | null;
  r: number | null;
  /** Null without permutations. */
  p: number | null;
}

/** How well a linear classifier tells labels by a layer; see lib/analysis/classify. */
export interface LabelRow {
  layer: number;
  accuracy: number | null;
  balanced: number | null;
  /** Balanced accuracy by chance: 1 / classes. */
  chance: number;
  p: number | null;
}

/** How like the RDM of a layer is to those of subjects; see lib/analysis/rsa. */
export interface RsaRow {
  layer: number;
  region: string;
  similarity: number | null;
  lower: number | null;
  upper: number | null;
  p: number | null;
  ceiling_lower: number | null;
  ceiling_upper: number | null;
}

/** What the scores are worth, each [L, t]; see lib/analysis/significance. NaN where nothing was asked for or there is no score. */
export interface ScoreStats {
  p: number[];
  /** Benjamini-Hochberg over the layers and targets of the run. */
  fdr: number[];
  /** Corrected for the layers and targets of the run by the largest r of each permutation. */
  pMax: number[];
  lower: number[];
  upper: number[];
}

/** quality.json: how well a run does a task, on its held-out items. */
export interface QualityRow {
  task: string;
  metric: string;
  /** NaN where it could not be computed. */
  value: number;
  /** Items that it is over; of losses and token accuracy, tokens. */
  items: number;
}

const kStats = ['p', 'fdr', 'pMax', 'lower', 'upper'] as const;
const kNumbers = ['ceilings', 'r', 'r2', 'alpha', 'foldR', 'foldR2', 'foldAlpha'] as const;

/** NaN is null in JSON; every other number comes back exactly. */
export function encodeScores(scores: Scores): string {
  return `${JSON.stringify(scores, noNan)}\n`;
}

function noNan(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

/** One row a line inside a list. */
export function encodeQuality(rows: readonly QualityRow[]): string {
  return `[\n${rows.map((row) => JSON.stringify(row, noNan)).join(',\n')}\n]\n`;
}

/** Throws when the text is no list of rows. */
export function decodeQuality(text: string): QualityRow[] {
  const rows = JSON.parse(text) as (Omit<QualityRow, 'value'> & { value: number | null })[];
  return rows.map((row) => ({ ...row, value: row.value ?? Number.NaN }));
}

/** Throws when the text is not JSON or the arrays do not fit together. */
export function decodeScores(text: string): Scores {
  const scores = JSON.parse(text) as Scores;
  const [layers, targets, folds] = [scores.layers.length, scores.targets.length, scores.folds.count];
  for (const name of kNumbers) {
    scores[name] = scores[name].map((value) => value ?? Number.NaN);
    const size = name === 'ceilings' ? targets : layers * targets * (name.startsWith('fold') ? folds : 1);
    if (scores[name].length !== size) throw new RangeError(`${name}: ${scores[name].length} values instead of ${size}`);
  }
  for (const name of scores.stats ? kStats : []) {
    scores.stats![name] = scores.stats![name].map((value) => value ?? Number.NaN);
    if (scores.stats![name].length !== layers * targets)
      throw new RangeError(`${name}: not one value a layer and target`);
  }
  return scores;
}
