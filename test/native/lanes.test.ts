/** Lanes: packed ones equal solo ones, a diverging one disturbs no other, seeds decide all. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../lib/model/load.js';
import type { TuneResult } from '../../lib/native/types.js';
import { expectClose, expectEachClose } from '../helpers/arrays.js';
import { forward, laneTensors, loss } from '../helpers/run-model.js';
import { tinyModel, tuneGoldenOf } from '../helpers/tiny-models.js';
import { type LoraLane, loraLanes, lossesOf, runTune, tuneArgs } from '../helpers/tuning.js';

// The project's bound for packed against solo; the same sums in another order, so the difference is rounding only.
const kTolerance = 1e-4;
const kNames = ['llama', 'gpt2', 'neox-parallel', 'opt-post-norm'];

describe.each(kNames)('lanes on %s', (name) => {
  let model: Model;
  let open: { dispose(): void }[] = [];
  const golden = tuneGoldenOf(name);

  beforeEach(async () => {
    model = await loadModel(tinyModel(name));
    open = [model];
  });
  afterEach(() => {
    for (const thing of open) thing.dispose();
  });

  async function lora(lanes: readonly LoraLane[]): Promise<TuneResult> {
    const args = tuneArgs(model, golden, {
      method: 'lora',
      targets: golden.lora.modules,
      lanes: loraLanes(golden, lanes),
    });
    const result = await runTune(args);
    open.push(result.lanes);
    return result;
  }

  it('that differ in rate, decay, seed, rank and alpha equal the same runs alone', async () => {
    const specs = [
      { lr: 1e-2, seed: 1 },
      { lr: 3e-3, seed: 1, weightDecay: 0.2 },
      { lr: 1e-2, seed: 2, rank: 2, alpha: 16 },
      { lr: 5e-2, seed: 3, rank: 6, alpha: 6 },
    ];
    const packed = await lora(specs);
    for (const [k, spec] of specs.entries()) {
      const solo = await lora([spec]);
      expectEachClose(lossesOf(packed, k), lossesOf(solo), kTolerance, `lane ${k}`);
      const [ours, theirs] = [await laneTensors(packed.lanes, k), await laneTensors(solo.lanes, 0)];
      expect([...ours.keys()]).toEqual([...theirs.keys()]);
      for (const [tensor, { shape, data }] of theirs) {
        expect(ours.get(tensor)!.shape).toEqual(shape);
        // rounding in a small gradient moves a weight by a share of the rate (AdamW): wider than the losses' bound
        expectClose(ours.get(tensor)!.data, data, 1e-2, `lane ${k}, ${tensor}`);
      }
      const alone = await forward(model, [golden.sequences[0]!], solo.lanes);
      const together = await forward(model, [golden.sequences[0]!], packed.lanes, k);
      expectClose(together.hidden.data, alone.hidden.data, 1e-3, `lane ${k}, hidden states`);
    }
  });

  it('begin as the base model: B is zero', async () => {
    const [base] = await loss(model, golden.sequences);
    const result = await runTune(
      tuneArgs(model, golden, {
        method: 'lora',
        targets: golden.lora.modules,
        lanes: loraLanes(golden, [{ seed: 1 }, { seed: 2 }]),
        schedule: new Float64Array(2 * golden.order.length),
      }),
    );
    open.push(result.lanes);
    expectEachClose(await loss(model, golden.sequences, result.lanes), [base!, base!], 1e-6, 'loss');
    const a = [await laneTensors(result.lanes, 0), await laneTensors(result.lanes, 1)];
    const key = [...a[0]!.keys()].find((tensor) => tensor.includes('lora_A'))!;
    expect(a[0]!.get(key)!.data).not.toEqual(a[1]!.get(key)!.data);
  });

  it('give the same numbers again', async () => {
    const [first, second] = [await lora([{ seed: 7 }, { seed: 8 }]), await lora([{ seed: 7 }, { seed: 8 }])];
    expect(second.losses).toEqual(first.losses);
  });

  it('go on when one diverges', async () => {
    const specs = [{ lr: 1e-2 }, { lr: 1e30 }, { lr: 3e-3 }];
    const packed = await lora(specs);
    expect(packed.failedAt[0]).toBe(-1);
    expect(packed.failedAt[1]).toBeGreaterThan(0);
    expect(packed.failedAt[2]).toBe(-1);
    const failed = lossesOf(packed, 1);
    // Of the step itself, loss or gradient was not finite.
    for (const [step, value] of failed.entries())
      if (step !== packed.failedAt[1]) expect(Number.isFinite(value)).toBe(step < packed.failedAt[1]!);
    for (const k of [0, 2])
      expectEachClose(lossesOf(packed, k), lossesOf(await lora([specs[k]!])), kTolerance, `lane ${k}`);
  });
});
