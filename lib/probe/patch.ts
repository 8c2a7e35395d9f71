/** Activation patching: where in a model the difference between two readings of an item lies. */
import { CortuneError, expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { choiceScores, type ProbeItem, type ProbeOptions, planItems } from './items.js';
import { type Edit, kPoints, type Point, scoreVariants } from './variants.js';

/** An item and its other reading, of as many tokens; their right completions differ. */
export interface PatchPair {
  clean: Pick<ProbeItem, 'prompt' | 'completion'>;
  other: Pick<ProbeItem, 'prompt' | 'completion'>;
}

export interface PatchOptions extends ProbeOptions {
  /** 'residual' (default): the input of a block; 'heads': what one head read; 'attention', 'mlp': what they add to the residual. */
  point?: Point | undefined;
  /** Blocks, from 0; default all. */
  layers?: readonly number[] | undefined;
  /** Tokens of the prompts, from 0; default each one at which some pair differs or that comes after; 'all' is all at once. */
  positions?: readonly number[] | 'all' | undefined;
}

export interface Patched {
  layer: number;
  /** Of 'heads'. */
  head?: number | undefined;
  /** Undefined for all. */
  position?: number | undefined;
  /** Mean log probability of the clean completion less that of the other, in nats. */
  difference: number;
  /** Share of the way from the clean model's difference (0) to that of the other reading (1). */
  effect: number;
}

export interface Patching {
  point: Point;
  pairs: number;
  /** The difference for the clean items, and for their other readings. */
  clean: number;
  other: number;
  patched: Patched[];
}

const firstDifference = (a: Int32Array, b: Int32Array) => a.findIndex((id, t) => id !== b[t]);

/**
 * Runs each clean item with a part of the model put to what it is for the other reading, at one token of one layer at a time (all as lanes
 * of one batch, the other reading beside them), and says how far the preference between the two completions moves. Vig et al. 2020,
 * arXiv:2004.12265; Meng et al. 2022, arXiv:2202.05262.
 *
 * @throws ERR_DATA for a pair whose prompts differ in their number of tokens, or do not differ; ERR_ARGUMENT for options.
 */
export async function patch(model: Model, pairs: readonly PatchPair[], options: PatchOptions = {}): Promise<Patching> {
  const { point = 'residual' } = options;
  if (!kPoints.includes(point)) throw expected('point', `one of ${kPoints.join(', ')}`, point);
  const items = pairs.map(({ clean, other }) => ({ ...clean, choices: [clean.completion, other.completion] }));
  const plan = planItems(model, items);
  const others = planItems(
    model,
    pairs.map(({ clean, other }) => ({
      ...other,
      completion: clean.completion,
      choices: [clean.completion, other.completion],
    })),
  );
  checkPairs(pairs, plan.sequences, others.sequences);
  const places = placesOf(model, plan.sequences, others.sequences, point, options);
  const variants = places.map((place): Edit[] => [{ point, ...place, to: 'other' }]);
  const scores = await scoreVariants(model, { plan, others: others.sequences }, variants, options);
  const mean = (row: number) =>
    plan.items.reduce((sum, _, i) => {
      const [own, against] = choiceScores(plan, scores, row, i);
      return sum + own! - against!;
    }, 0) / plan.items.length;
  const [clean, other] = [mean(0), mean(1)];
  return {
    point,
    pairs: pairs.length,
    clean,
    other,
    patched: places.map((place, v) => {
      const difference = mean(v + 2);
      return { ...place, difference, effect: (difference - clean) / (other - clean) };
    }),
  };
}

function checkPairs(pairs: readonly PatchPair[], clean: Int32Array[], other: Int32Array[]): void {
  const wrong = (i: number, what: string) =>
    new CortuneError('ERR_DATA', `Expected the prompts of pair ${i + 1} to ${what}.`);
  if (clean.length !== pairs.length || other.length !== pairs.length)
    throw new CortuneError('ERR_DATA', 'Expected completions of one token each after every prompt, got longer ones.');
  for (const [i, { clean: own, other: against }] of pairs.entries()) {
    if (own.completion === against.completion)
      throw wrong(i, `have different completions, got ${own.completion} twice`);
    if (clean[i]!.length !== other[i]!.length)
      throw wrong(i, `have as many tokens, got ${clean[i]!.length} and ${other[i]!.length}`);
    if (firstDifference(clean[i]!, other[i]!) < 0) throw wrong(i, 'differ');
  }
}

function placesOf(
  model: Model,
  clean: readonly Int32Array[],
  other: readonly Int32Array[],
  point: Point,
  options: PatchOptions,
): { layer: number; head?: number; position?: number }[] {
  const { layers: count, heads } = model.config;
  const layers = options.layers ?? Array.from({ length: count }, (_, layer) => layer);
  for (const layer of layers)
    if (!Number.isInteger(layer) || layer < 0 || layer >= count)
      throw expected('layers', `numbers from 0 to ${count - 1}`, layer);
  const end = Math.max(...clean.map(({ length }) => length));
  const first = Math.min(...clean.map((ids, i) => firstDifference(ids, other[i]!)));
  const given = options.positions ?? Array.from({ length: end - first }, (_, t) => first + t);
  const positions: (number | undefined)[] = given === 'all' ? [undefined] : [...given];
  for (const position of positions)
    if (position !== undefined && (!Number.isInteger(position) || position < 0 || position >= end))
      throw expected('positions', `'all' or numbers from 0 to ${end - 1}`, position);
  return layers.flatMap((layer) =>
    positions.flatMap((position) => {
      const place = { layer, ...(position === undefined ? {} : { position }) };
      return point === 'heads' ? Array.from({ length: heads }, (_, head) => ({ ...place, head })) : [place];
    }),
  );
}
