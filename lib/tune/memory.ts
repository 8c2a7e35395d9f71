/** How much memory tuning will take, and how large lane batches may be for it. */
import { CortuneError, expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { Footprint, MethodSpec, ObjectiveName } from '../native/types.js';
import type { TrainingData } from './training-data.js';

/** Logits of one chunk of the vocabulary projection at most, as native/train/loss.cc has it. */
const kChunkLogits = 2 ** 24;
const kFloat = 4;

/** The largest pass of a run. */
export interface PassSize {
  tokens: number;
  /** Rows whose loss is taken; 0 for objectives of sequences, which take a row a sequence. */
  scored: number;
}

/** Rows of a pass from which on more lanes in it no longer make a thread faster (measured: they meet below 200). */
const kRowsPerThread = 256;

/** Lanes of one pass, where a pass of one has so many tokens: as few as keep the processor busy, for each takes memory. */
export function lanesTogether(tokens: number): number {
  return Math.ceil((kRowsPerThread * native().info().threads) / tokens);
}

/** Lanes of one kind. */
export interface LanePart {
  footprint: Footprint;
  lanes: number;
}

const kUnits: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes of `8GB`, `500 MB`, `1.5G` or a number of bytes; units are powers of 1024. @throws RangeError. */
export function parseMemory(text: string | number): number {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*$/i.exec(String(text)) ?? [];
  const bytes = Number(number) * (kUnits[(unit ?? '?').toUpperCase()] ?? Number.NaN);
  if (!(bytes > 0)) throw expected('memory', 'a size such as `8GB` or `500MB`', text);
  return bytes;
}

/** Bytes for people. */
export function showBytes(bytes: number): string {
  const unit = bytes >= 2 ** 30 ? 'GB' : 'MB';
  return `${(bytes / (unit === 'GB' ? 2 ** 30 : 2 ** 20)).toFixed(1)} ${unit}`;
}

/** The largest pass of a run of `passes` passes an update: most tokens, most scored rows. */
export function largestPass(data: TrainingData, batch: number): PassSize {
  const { lengths, labels } = data.train;
  const ofTokens = data.outputs === 0;
  const scored: number[] = [];
  let at = 0;
  for (const length of lengths) {
    scored.push(ofTokens ? labels.subarray(at, at + length).filter((label) => label >= 0).length : 0);
    at += length;
  }
  const most = { tokens: 0, scored: 0 };
  for (let start = 0; start < data.order.length; start += batch) {
    const numbers = data.order.subarray(start, start + batch).filter((number) => number >= 0);
    most.tokens = Math.max(
      most.tokens,
      numbers.reduce((sum, number) => sum + lengths[number]!, 0),
    );
    most.scored = Math.max(
      most.scored,
      numbers.reduce((sum, number) => sum + scored[number]!, 0),
    );
  }
  return most;
}

/** What one lane of `method` (which has one) takes on a model, from small passes. */
export async function measureLane(
  model: Model,
  method: MethodSpec,
  what: { objective: ObjectiveName; outputs: number; checkpointing: boolean; alone: boolean },
  options: JobOptions = {},
): Promise<Footprint> {
  return runJob(() => native().tuneFootprint({ model: model.handle, method, ...what }), { signal: options.signal });
}

/** What of a footprint all lanes share, and what each takes, at each moment of a pass of `tokens` tokens. */
function atMoments({ tokens: small, live }: Footprint, tokens: number): { shared: Float64Array; lane: Float64Array } {
  const moments = live.length / 4;
  const [shared, lane] = [new Float64Array(moments), new Float64Array(moments)];
  // Linear in tokens: what there is at N, and what N more add.
  const more = tokens / small - 1;
  for (let m = 0; m < moments; m++) {
    const [one, two, oneLonger, twoLonger] = [0, 1, 2, 3].map((i) => live[i * moments + m]!) as [
      number,
      number,
      number,
      number,
    ];
    const [each, eachLonger] = [two - one, twoLonger - oneLonger];
    lane[m] = each + more * (eachLonger - each);
    shared[m] = one - each + more * (oneLonger - eachLonger - (one - each));
  }
  return { shared, lane };
}

/**
 * Bytes that a lane batch takes beyond the model: its lanes' values, and what the most costly turn of them takes (see TuneArgs.together).
 * @param bestStates lanes keep a copy of their best state (early stopping).
 * @param together lanes of a turn at most.
 */
export function laneBytes(
  model: Model,
  parts: readonly LanePart[],
  pass: PassSize,
  { bestStates = false, together = lanesTogether(pass.tokens) }: { bestStates?: boolean; together?: number } = {},
): number {
  const lanes = parts.flatMap(({ footprint, lanes }) => Array.from({ length: lanes }, () => footprint));
  const turns = Math.ceil(lanes.length / together);
  const takes = Array.from({ length: turns }, (_, turn) => {
    const own = lanes.slice(Math.floor((turn * lanes.length) / turns), Math.floor(((turn + 1) * lanes.length) / turns));
    return turnBytes(model, own, pass, bestStates);
  });
  // With turns the lanes of one are copies.
  const values = turns === 1 ? 0 : lanes.reduce((sum, { state }) => sum + state, 0);
  return values + Math.max(...takes);
}

/** Values, gradients and moments of lanes of one pass, what forward and backward pass hold at their worst moment, and the logits. */
function turnBytes(model: Model, lanes: readonly Footprint[], pass: PassSize, bestStates: boolean): number {
  const { vocabSize, hiddenSize } = model.config;
  const state = lanes.reduce((sum, { state, trained }) => sum + state + (bestStates ? 3 : 2) * trained, 0);
  const each = lanes.map((footprint) => atMoments(footprint, pass.tokens));
  const moments = each[0]!.shared.map((shared, m) => each.reduce((sum, { lane }) => sum + lane[m]!, shared));
  // The rows' states and their gradients, and one chunk of logits.
  const scored = lanes.length * pass.scored;
  const rows = Math.min(scored, Math.max(16, Math.floor(kChunkLogits / vocabSize)));
  return state + Math.max(...moments) + kFloat * (2 * scored * hiddenSize + rows * vocabSize);
}

/** Of each trained number: its value, gradient and two moments. */
const kTrainedBytes = 4 * kFloat;

/** What a run cannot do without is refused before a small pass of it would take as much. @throws ERR_MEMORY. */
export function checkLeast(name: string, trainable: number, tokens: number, limit: number): void {
  const least = process.memoryUsage().rss + kTrainedBytes * trainable;
  if (least > limit) throw noRoom(name, least, tokens, limit);
}

function noRoom(name: string, bytes: number, tokens: number, limit: number): CortuneError {
  return new CortuneError(
    'ERR_MEMORY',
    `Expected at least ${showBytes(bytes)} of memory for one run of ${name} with ${tokens} tokens in a pass, got ${showBytes(limit)}. Use shorter blocks, a smaller batch with --accumulate, or --checkpointing.`,
  );
}

/**
 * How runs are divided into lane batches: as many neighbours together as fit into `limit` bytes, those that do not stack by themselves.
 * @param used bytes in use before: the model, the program.
 * @throws ERR_MEMORY when a run does not fit even alone.
 */
export function divideLanes(
  model: Model,
  lanes: readonly { name: string; stackable: boolean; footprint: Footprint }[],
  pass: PassSize,
  { limit, used, ...how }: { limit: number; used: number; bestStates?: boolean; together?: number },
): number[][] {
  const takes = (batch: readonly number[]) => {
    const parts = batch.map((k) => ({ footprint: lanes[k]!.footprint, lanes: 1 }));
    return used + laneBytes(model, parts, pass, how);
  };
  const batches: number[][] = [];
  for (const [k, lane] of lanes.entries()) {
    const last = batches.at(-1);
    const joins = last && lane.stackable && lanes[last[0]!]!.stackable && takes([...last, k]) <= limit;
    if (joins) last.push(k);
    else if (takes([k]) <= limit) batches.push([k]);
    else throw noRoom(lane.name, takes([k]), pass.tokens, limit);
  }
  return batches;
}
