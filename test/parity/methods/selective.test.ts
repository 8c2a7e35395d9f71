/** Selective tuning: what is frozen stays, what is chosen is chosen by the rule. */
import { beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model } from '../../../lib/model/load.js';
import type { MethodSpec, TuneArgs } from '../../../lib/native/types.js';
import { tune } from '../../../lib/tune/tune.js';
import { kMethodModels } from '../../helpers/method-goldens.js';
import type { PlainTensors } from '../../helpers/safetensors.js';
import { tinyModel } from '../../helpers/tiny-models.js';
import { methodRuns, specOf, tensorsOf } from '../../helpers/tune-methods.js';

describe.each(kMethodModels)('%s', (name) => {
  const runs = methodRuns(name);
  const { golden } = runs;
  let model: Model;
  beforeAll(async () => {
    model = await runs.load();
  });
  const run = (methods: readonly MethodSpec[], part?: Partial<TuneArgs>) => runs.run(model, methods, part);
  /** The base's own values, as whole-weight tuning begins. */
  async function base(): Promise<PlainTensors> {
    const spec = specOf(model, golden, 'full-decay');
    const lanes = spec.lanes.map((lane) => ({ ...lane, lr: 1e-30, weightDecay: 0 }));
    const once = { steps: 1, order: Int32Array.from(golden.data.order[0]!), schedule: Float64Array.from([0]) };
    return tensorsOf((await run([{ ...spec, lanes }], once)).lanes);
  }

  it('a frozen half stays as it was, bit for bit, and the other half changes', async () => {
    const spec = specOf(model, golden, 'hft');
    const rounds = (spec.options!.rounds as Float64Array).slice(0, spec.targets.length);
    const start = await base();
    const { lanes } = await run([{ ...spec, options: { ...spec.options, rounds } }]);
    const end = await tensorsOf(lanes);
    for (const [i, target] of spec.targets.entries()) {
      const [before, after] = [start.get(target)!.data, end.get(target)!.data];
      if (rounds[i]) expect(after, target).not.toEqual(before);
      else expect(after, target).toEqual(before);
    }
  });

  it('half fine-tuning draws half of every kind in a block, anew each round', async () => {
    const { options, ...spec } = specOf(model, golden, 'hft');
    const { rounds: _, ...rule } = options!;
    const start = await base();
    const changed = async (seed: number) => {
      const lanes = spec.lanes.map((lane) => ({ ...lane, seed }));
      const { lanes: handle } = await run([{ ...spec, lanes, options: { ...rule, every: 0 } }]);
      const end = await tensorsOf(handle);
      return spec.targets.filter((target) =>
        end.get(target)!.data.some((value, i) => value !== start.get(target)!.data[i]),
      );
    };
    const [first, second] = [await changed(0), await changed(7)];
    expect(first).not.toEqual(second);
    const modules = (targets: readonly string[]) =>
      new Set(
        targets
          .filter((target) => /\.(layers|h|layer)\.\d+\./.test(target))
          .map((target) => target.replace(/\.(weight|bias)$/, '')),
      );
    const all = modules(spec.targets).size;
    expect(Math.abs(modules(first).size - all / 2)).toBeLessThanOrEqual(1.5); // a half module for each odd kind
  });

  it.each([
    ['weight', 'magnitude'],
    ['row', 'random'],
    ['weight', 'sensitivity'],
  ])('selects a share of every matrix by %s and %s', async (grain, rule) => {
    const { options, ...spec } = specOf(model, golden, 'hft');
    const { rounds: _, ...common } = options!;
    const start = await base();
    const { lanes } = await run([{ ...spec, options: { ...common, grain, rule, share: 0.25, every: 0 } }]);
    const end = await tensorsOf(lanes);
    for (const target of spec.targets.filter((each) => /\.(layers|h|layer)\.\d+\..*weight/.test(each))) {
      const [before, { data, shape }] = [start.get(target)!.data, end.get(target)!];
      if (shape.length < 2) continue;
      const moved = data.filter((value, i) => value !== before[i]).length / data.length;
      // a gradient may be exactly zero
      expect(moved, target).toBeLessThanOrEqual(0.25 + 1 / Math.min(...shape));
      expect(moved, target).toBeGreaterThan(0.15);
    }
  });
});

describe('half fine-tuning where some modules have biases and others have none (Qwen2)', () => {
  it('gives every module its turn, two of four in the attention', async () => {
    using model = await loadModel(tinyModel('qwen2'));
    const turns = new Map<string, number>();
    for (let seed = 0; seed < 8; seed++) {
      const [before, after] = [await halfTuned(model, seed, 1e-30), await halfTuned(model, seed, 1e-2)];
      const changed = [...after].filter(([name, { data }]) =>
        data.some((value, i) => value !== before.get(name)!.data[i]),
      );
      const parts = new Set(changed.flatMap(([name]) => /layers\.0\.self_attn\.(\w+)\./.exec(name)?.[1] ?? []));
      expect(parts.size).toBe(2);
      for (const part of parts) turns.set(part, (turns.get(part) ?? 0) + 1);
    }
    expect([...turns.keys()].sort()).toEqual(['k_proj', 'o_proj', 'q_proj', 'v_proj']);
  });
});

async function halfTuned(model: Model, seed: number, lr: number): Promise<PlainTensors> {
  const { lanes } = await tune(model, ['the rabbit ran over a small hill'], {
    method: 'hft',
    seeds: seed,
    lr: [lr],
    steps: 2,
  });
  const tensors = await tensorsOf(lanes.handle);
  lanes.dispose();
  return tensors;
}
