/**
 * Useful floating-point operations of a LoRA step, 2 a multiply-add: forward and gradient of the input for each lane, gradient of the weight
 * where it is trained; real tokens only, and labelled rows only for the vocabulary projection. What lanes have in common (the
 * projections of the first layer's input) counts once, and their input, below which nothing is trained, needs no gradient.
 */
import { native } from '../../dist/native/load.js';

const kFirstInputs = /\.(0)\.(self_attn\.(q|k|v)_proj|attn\.c_attn)\.weight$/;

/** @param batch sequences of ids. @param rank of LoRA on every linear module. */
export function loraFlops(model, batch, lanes, rank) {
  const { hiddenSize, vocabSize, layers, heads, headDim } = model.config;
  const tokens = batch.reduce((sum, { length }) => sum + length, 0);
  const labelled = batch.reduce((sum, { length }) => sum + length - 1, 0);
  let flops = 0;
  for (const { name, shape, linear } of native().modelParameters(model.handle)) {
    if (!linear) continue;
    const product = 2 * tokens * shape[0] * shape[1];
    flops += kFirstInputs.test(name) ? product : 2 * lanes * product;
    // x A^T, (x A^T) B^T, and for each the gradients of input and weight.
    flops += lanes * 3 * 2 * tokens * rank * (shape[0] + shape[1]);
  }
  // Scores and their product with the values: 2 products forward, 4 backward, each over pairs of a token and one not after it.
  const pairs = batch.reduce((sum, { length }) => sum + (length * (length + 1)) / 2, 0);
  flops += lanes * layers * 6 * 2 * pairs * heads * headDim;
  flops += lanes * 2 * 2 * labelled * hiddenSize * vocabSize;
  return flops;
}
