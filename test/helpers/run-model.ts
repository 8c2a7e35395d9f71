/** Small native calls on a loaded model, with results as plain arrays. */
import type { Model } from '../../lib/model/load.js';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import type { LanesHandle, Packed, TensorHandle } from '../../lib/native/types.js';
import { nextTokens } from '../../lib/tune/examples.js';
import type { PlainTensor, PlainTensors } from './safetensors.js';

/** Sequences one after the other, without padding. */
export function pack(sequences: readonly (readonly number[])[]): Packed {
  return {
    ids: Int32Array.from(sequences.flat()),
    lengths: Int32Array.from(sequences, (sequence) => sequence.length),
  };
}

/** A copy of a native tensor, which is then freed. */
export function take(handle: TensorHandle): PlainTensor {
  const plain = { shape: [...handle.shape], data: native().tensorRead(handle) };
  handle.dispose();
  return plain;
}

/** Hidden states [L + 1, N, C] and, for causal models, logits [N, V]. */
export async function forward(
  model: Model,
  sequences: readonly (readonly number[])[],
  lanes?: LanesHandle,
  lane = 0,
): Promise<{ hidden: PlainTensor; logits: PlainTensor | undefined }> {
  const { hidden, logits } = await runJob(() =>
    native().modelForward({ model: model.handle, ...pack(sequences), lanes, lane }),
  );
  return { hidden: take(hidden), logits: logits ? take(logits) : undefined };
}

/** Mean next-token loss of each lane. */
export async function loss(
  model: Model,
  sequences: readonly (readonly number[])[],
  lanes?: LanesHandle,
): Promise<Float64Array> {
  const labels = Float32Array.from(sequences.flatMap((ids) => [...nextTokens(Int32Array.from(ids), 1)]));
  const args = { model: model.handle, objective: 'causal' as const, ...pack(sequences), labels, lanes };
  return runJob(() => native().modelLoss(args));
}

/** The trained tensors of one lane by name. */
export async function laneTensors(lanes: LanesHandle, lane: number): Promise<PlainTensors> {
  const { names, tensors } = await runJob(() => native().laneTensors({ lanes, lane, whole: true }));
  return new Map(names.map((name, i) => [name, take(tensors[i]!)]));
}
