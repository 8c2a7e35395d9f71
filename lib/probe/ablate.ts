/** What a model loses without its parts: every head, layer or pair of heads ablated, items scored each time. */
import { expected } from '../errors.js';
import type { Model } from '../model/load.js';
import { type ItemScores, itemScores, type ProbeItem, type ProbeOptions, planItems, type Scores } from './items.js';
import { type Edit, scoreVariants } from './variants.js';

export const kAblations = ['zero', 'mean'] as const;
export const kAblatedParts = ['heads', 'layers', 'attention', 'mlp', 'pairs'] as const;

export interface AblateOptions extends ProbeOptions {
  /**
   * 'heads' (default): each head of each layer alone. 'layers': attention and MLP of each layer. 'attention', 'mlp': one of the two.
   * 'pairs': every two of `heads`.
   */
  parts?: (typeof kAblatedParts)[number] | undefined;
  /** 'zero' (default), or 'mean': over all tokens of the reference. */
  kind?: (typeof kAblations)[number] | undefined;
  /** For means; default: the prompts of the items. */
  reference?: readonly string[] | undefined;
  /** Of which heads; default all: [layer, head]. */
  heads?: readonly (readonly [layer: number, head: number])[] | undefined;
  /** Layers to ablate in, from 0; default all. */
  layers?: readonly number[] | undefined;
}

/** One part, or two heads, gone. */
export interface AblatedPart extends ItemScores {
  layer: number;
  /** Of heads. */
  head?: number | undefined;
  /** The second head of a pair. */
  other?: { layer: number; head: number } | undefined;
}

export interface Ablation {
  parts: (typeof kAblatedParts)[number];
  kind: (typeof kAblations)[number];
  items: number;
  layers: number;
  heads: number;
  /** Of the model as it is. */
  intact: ItemScores;
  ablated: AblatedPart[];
}

type Ablated = Pick<AblatedPart, 'layer' | 'head' | 'other'>;

function headsOf(model: Model, options: AblateOptions): (readonly [number, number])[] {
  const { layers, heads } = model.config;
  if (options.heads) {
    for (const pair of options.heads)
      if (!Array.isArray(pair) || !inside(pair[0], layers) || !inside(pair[1], heads))
        throw expected('heads', `pairs [layer, head] below [${layers}, ${heads}]`, pair);
    return [...options.heads];
  }
  return layersOf(model, options).flatMap((layer) =>
    Array.from({ length: heads }, (_, head) => [layer, head] as const),
  );
}

const inside = (value: unknown, end: number) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;

function layersOf(model: Model, options: AblateOptions): number[] {
  const { layers } = model.config;
  const chosen = options.layers ?? Array.from({ length: layers }, (_, layer) => layer);
  for (const layer of chosen)
    if (!inside(layer, layers)) throw expected('layers', `numbers from 0 to ${layers - 1}`, layer);
  return [...chosen];
}

function ablatedParts(model: Model, options: AblateOptions): Ablated[] {
  const { parts = 'heads' } = options;
  if (!kAblatedParts.includes(parts)) throw expected('parts', `one of ${kAblatedParts.join(', ')}`, parts);
  if (parts !== 'heads' && parts !== 'pairs') return layersOf(model, options).map((layer) => ({ layer }));
  const heads = headsOf(model, options).map(([layer, head]) => ({ layer, head }));
  if (parts === 'heads') return heads;
  return heads.flatMap((one, i) => heads.slice(i + 1).map((other) => ({ ...one, other })));
}

function editsOf(part: Ablated, parts: AblateOptions['parts'], to: 'zero' | 'mean'): Edit[] {
  const { layer, head, other } = part;
  if (head !== undefined)
    return [{ layer, head }, ...(other ? [other] : [])].map((each) => ({ point: 'heads', ...each, to }));
  const points = parts === 'layers' ? (['attention', 'mlp'] as const) : [parts as 'attention' | 'mlp'];
  return points.map((point) => ({ point, layer, to }));
}

/** Sequences of reference texts, cut to the model's context. */
export function referenceOf(model: Model, texts: readonly string[]): Int32Array[] {
  if (texts.length === 0) throw expected('reference', 'at least one text', texts);
  return texts.map((text) => model.tokenizer.encode(text).ids.slice(0, model.config.maxPositions));
}

/**
 * Scores items with parts of the model ablated, each variant as a lane of one batch that joins where it first differs: what lies below is
 * computed once, and what the items begin with in common once for all of them.
 *
 * A head is put to zero (or to its mean over the tokens of the reference) where the output projection reads it, at every token; a layer
 * where its attention and its MLP are added to the residual. Michel, Levy & Neubig 2019, arXiv:1905.10650; means as in Wang et al. 2023,
 * arXiv:2211.00593.
 *
 * @throws ERR_DATA naming the item that is wrong; ERR_ARGUMENT for options; ERR_CONFIG for an encoder.
 */
export async function ablate(
  model: Model,
  items: readonly ProbeItem[],
  options: AblateOptions = {},
): Promise<Ablation> {
  const { parts = 'heads', kind = 'zero' } = options;
  if (!kAblations.includes(kind)) throw expected('kind', `one of ${kAblations.join(', ')}`, kind);
  const ablated = ablatedParts(model, options);
  const plan = planItems(model, items);
  const reference =
    kind === 'mean' ? referenceOf(model, options.reference ?? items.map(({ prompt }) => prompt)) : undefined;
  const variants = ablated.map((part) => editsOf(part, parts, kind));
  const scores: Scores = await scoreVariants(model, { plan, reference }, variants, options);
  return {
    parts,
    kind,
    items: items.length,
    layers: model.config.layers,
    heads: model.config.heads,
    intact: itemScores(plan, scores, 0),
    ablated: ablated.map((part, v) => ({ ...part, ...itemScores(plan, scores, v + 1) })),
  };
}

/** How items fare with the model as it is. @throws as `ablate`. */
export async function scoreItems(
  model: Model,
  items: readonly ProbeItem[],
  options: ProbeOptions = {},
): Promise<ItemScores> {
  const plan = planItems(model, items);
  return itemScores(plan, await scoreVariants(model, { plan }, [], options), 0);
}
