/** What a metric of task quality is: a file in lib/tasks/metrics, and a row in lib/tasks/metrics.ts. */
import type { Example } from '../tune/examples.js';

/** What the items of a task are. */
export const kTaskKinds = ['texts', 'completions', 'classes', 'values'] as const;
export type TaskKind = (typeof kTaskKinds)[number];

/** What one lane says of each item. */
export interface Likelihood {
  /** Sum over the tokens that are to be predicted (labels: of the one answer), nats (values: squared error). */
  losses: Float64Array;
  /** How many tokens or answers those are. */
  counts: Float64Array;
  /** Of them, those where the most likely token or class is the right one. */
  correct: Float64Array;
}

/** What metrics are computed from, of one lane. Each is collected once for all lanes and metrics that need it. */
export interface Evidence {
  /** Of the right answers. */
  likelihood: Likelihood;
  /** Per item: the loss of each of its choices, and which of them is right. */
  choices: { losses: number[]; right: number }[];
  /** What is written after each prompt, and the answers that count as right. */
  texts: { texts: string[]; references: string[][] };
}

export interface MetricScore {
  value: number;
  /** Items, or tokens of texts that were cut into blocks, that the value is over. */
  items: number;
}

export interface Metric<Needs extends keyof Evidence = keyof Evidence> {
  name: string;
  /** For people, in lower case. */
  title: string;
  better: 'lower' | 'higher';
  needs: Needs;
  /** Kinds of tasks that it measures; with `byDefault`, those that are measured by it without being asked. */
  fits: readonly TaskKind[];
  byDefault: readonly TaskKind[];
  score(evidence: Evidence[Needs], examples: readonly Example[]): MetricScore;
}
