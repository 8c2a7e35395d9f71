/** A map of states: hidden states of items in two dimensions, neighbours kept near each other. */
import { UMAP } from 'umap-js';
import { embedLanes } from '../embed/embed.js';
import { CortuneError, expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { Random } from '../random.js';
import type { ProbeItem, ProbeOptions } from './items.js';

export interface MapOptions extends ProbeOptions {
  /** Entry of hidden_states; default the last. */
  layer?: number | undefined;
  /** Neighbours that each item keeps near; default 15, at most items - 1. */
  neighbors?: number | undefined;
  /** Least distance of points in the map; default 0.1. */
  minDistance?: number | undefined;
  /** Default 0: the same seed gives the same map. */
  seed?: number | undefined;
}

export interface StateMap {
  layer: number;
  neighbors: number;
  minDistance: number;
  seed: number;
  /** [n][2] */
  points: [number, number][];
}

/**
 * UMAP (McInnes, Healy & Melville 2018, arXiv:1802.03426) of the states of the last token of each item's prompt at one layer. Distances
 * between far groups and the sizes of groups mean little; see decodeStates for what is there linearly.
 * @throws ERR_DATA for fewer than 4 items; ERR_ARGUMENT for options.
 */
export async function mapStates(
  model: Model,
  items: readonly Pick<ProbeItem, 'prompt'>[],
  options: MapOptions = {},
): Promise<StateMap> {
  const { layer = model.config.layers, minDistance = 0.1, seed = 0, lanes, lane = 0, precision, signal } = options;
  if (items.length < 4) throw new CortuneError('ERR_DATA', `Expected at least 4 items to map, got ${items.length}.`);
  const neighbors = Math.min(options.neighbors ?? 15, items.length - 1);
  if (!Number.isInteger(neighbors) || neighbors < 2) throw expected('neighbors', 'an integer of at least 2', neighbors);
  if (!(minDistance >= 0 && minDistance <= 1)) throw expected('minDistance', 'a number from 0 to 1', minDistance);
  if (!Number.isInteger(layer) || layer < 0 || layer > model.config.layers)
    throw expected('layer', `an integer from 0 to ${model.config.layers}`, layer);
  const tensors = await embedLanes(
    model,
    items.map(({ prompt }) => prompt),
    { layers: [layer], lanes, signal, ...(precision && { precision }) },
  );
  const values = tensors[lane]!.toArray();
  for (const tensor of tensors) tensor.dispose();
  const width = model.config.hiddenSize;
  const random = new Random(seed);
  const umap = new UMAP({
    nComponents: 2,
    nNeighbors: neighbors,
    minDist: minDistance,
    random: () => random.uniform(),
  });
  const rows = items.map((_, i) => Array.from(values.subarray(i * width, (i + 1) * width)));
  const points = umap.fit(rows) as [number, number][];
  return { layer, neighbors, minDistance, seed, points };
}
