/** Useful floating-point operations, 2 a multiply-add: what a pass cannot do without, whatever the way. */
import { native } from '../../dist/native/load.js';

const kFirstInputs = /\.(0)\.(self_attn\.(q|k|v)_proj|attn\.c_attn)\.weight$/;

const tokensOf = (batch) => batch.reduce((sum, { length }) => sum + length, 0);

/** Pairs of a token and one not after it: the scores of causal attention. */
const pairsOf = (batch) => batch.reduce((sum, { length }) => sum + (length * (length + 1)) / 2, 0);

/** Of hidden states at every layer: the linear modules, and two products of attention. `batch`: sequences of ids. */
export function forwardFlops(model, batch) {
  const { layers, heads, headDim } = model.config;
  const weights = native()
    .modelParameters(model.handle)
    .filter(({ linear }) => linear)
    .reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);
  return 2 * tokensOf(batch) * weights + layers * 2 * 2 * pairsOf(batch) * heads * headDim;
}

/**
 * Of a LoRA step of `rank` on every linear module: forward and gradient of the input for each lane, gradient of the weight where it is trained;
 * real tokens only, and labelled rows only for the vocabulary projection. What lanes have in common (the projections of the first
 * layer's input) counts once, and their input, below which nothing is trained, needs no gradient.
 */
export function loraFlops(model, batch, lanes, rank) {
  const { hiddenSize, vocabSize, layers, heads, headDim } = model.config;
  const tokens = tokensOf(batch);
  const labelled = batch.reduce((sum, { length }) => sum + length - 1, 0);
  let flops = 0;
  for (const { name, shape, linear } of native().modelParameters(model.handle)) {
    if (!linear) continue;
    const product = 2 * tokens * shape[0] * shape[1];
    flops += kFirstInputs.test(name) ? product : 2 * lanes * product;
    // x A^T, (x A^T) B^T, and for each the gradients of input and weight.
    flops += lanes * 3 * 2 * tokens * rank * (shape[0] + shape[1]);
  }
  // Scores and their product with the values: 2 products forward, 4 backward.
  flops += lanes * layers * 6 * 2 * pairsOf(batch) * heads * headDim;
  flops += lanes * 2 * 2 * labelled * hiddenSize * vocabSize;
  return flops;
}

/** Modules that read a block's input, which an ablated head of that block leaves as it is. */
const kInputs = /\.(q_proj|k_proj|v_proj|c_attn)\.weight$/;

/**
 * Multiply-adds of the linear modules of all blocks with each head ablated in turn, per variant: of whole passes over every token, and of what
 * differs from the model as it is, over tokens that differ in what is before them (the last block's output for scored tokens is left out).
 */
export function ablationProducts(model, batch) {
  const { layers } = model.config;
  const beginnings = new Set(batch.flatMap((ids) => ids.map((_, i) => ids.slice(0, i + 1).join())));
  let [whole, needed] = [0, 0];
  for (const { name, shape, linear } of native().modelParameters(model.handle)) {
    const layer = Number(/\.(\d+)\./.exec(name)?.[1]);
    if (!linear || Number.isNaN(layer)) continue;
    const product = shape[0] * shape[1];
    whole += product;
    if (kInputs.test(name)) needed += (layer / layers) * product;
    else if (layer < layers - 1) needed += ((layer + 1) / layers) * product;
  }
  return { whole: whole * tokensOf(batch), needed: needed * beginnings.size };
}
