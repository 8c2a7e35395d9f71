/** Variants of a model in one native call: parts of it put to zero, to their mean, or to what they are for another text. */
import { CortuneError } from '../errors.js';
import type { Model } from '../model/load.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { packIds } from '../native/pack.js';
import { type ItemPlan, type ProbeOptions, probed, type Scores } from './items.js';

/** Places in a block: its input; what each head read; what the attention adds to the residual; what the MLP adds to it. */
export const kPoints = ['residual', 'heads', 'attention', 'mlp'] as const;
export type Point = (typeof kPoints)[number];
export const kValues = ['zero', 'mean', 'other'] as const;

export interface Edit {
  point: Point;
  /** Block, from 0. */
  layer: number;
  /** Of 'heads'; all without. */
  head?: number | undefined;
  /** Token of every item, from 0; all without. */
  position?: number | undefined;
  /** 'other': the value for the other reading of the same item. */
  to: (typeof kValues)[number];
}

// Rows of a pass of one lane: enough for the matrix products where few lanes have joined; and of all lanes together, so that a layer's
// states stay near the core that makes them.
const kRows = 256;
const kTogether = 1024;

export interface VariantInputs {
  plan: ItemPlan;
  /** The other reading of each sequence of the plan, as long. */
  others?: readonly Int32Array[] | undefined;
  /** Whose tokens means are of. */
  reference?: readonly Int32Array[] | undefined;
}

/** Rows: the unchanged model (with `others`: then their reading), then each variant. */
export function scoreVariants(
  model: Model,
  { plan, others, reference }: VariantInputs,
  variants: readonly (readonly Edit[])[],
  options: ProbeOptions,
): Promise<Scores> {
  if (model.config.family === 'bert')
    throw new CortuneError('ERR_CONFIG', 'Expected a causal model to score items, got an encoder (bert).');
  const edits = Int32Array.from(
    variants.flatMap((list, v) =>
      list.flatMap(({ point, layer, head = -1, position = -1, to }) => [
        v,
        kPoints.indexOf(point),
        layer,
        head,
        position,
        kValues.indexOf(to),
      ]),
    ),
  );
  const { signal, onProgress } = options;
  return runJob(
    (progress) =>
      native().variantScores(
        {
          ...probed(model, options),
          ...packIds(plan.sequences),
          others: others && packIds(others),
          reference: reference && packIds(reference),
          scored: Int32Array.from(plan.scored),
          variants: variants.length,
          edits,
          rows: kRows,
          together: kTogether,
        },
        progress,
      ),
    { signal, onProgress },
  );
}
