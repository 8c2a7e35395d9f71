/** Lanes of different methods in one batch, how fresh lanes begin, and what stays as it was. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Model } from '../../../lib/model/load.js';
import type { LanesHandle, MethodSpec, TuneArgs } from '../../../lib/native/types.js';
import { baseOf, methodOf, planOf } from '../../../lib/tune/methods.js';
import { expectClose, expectEachClose, float32Tolerance, rms } from '../../helpers/arrays.js';
import { kMethodModels, ourName, partOf } from '../../helpers/method-goldens.js';
import { forward } from '../../helpers/run-model.js';
import { methodRuns, specOf, tensorsOf } from '../../helpers/tune-methods.js';
import { lossesOf } from '../../helpers/tuning.js';

// The bound the project sets for packed against solo.
const kPacked = 1e-4;

describe.each(kMethodModels)('%s', (name) => {
  const runs = methodRuns(name);
  const { golden } = runs;
  const keys = Object.keys(golden.cases);
  let model: Model;
  beforeAll(async () => {
    model = await runs.load();
  });
  const run = (methods: readonly MethodSpec[], part?: Partial<TuneArgs>) => runs.run(model, methods, part);
  async function fresh(key: string, seed = 0): Promise<LanesHandle> {
    const spec = specOf(model, golden, key);
    const lanes = spec.lanes.map((lane) => ({ ...lane, lr: 1e-30, seed, weightDecay: 0 }));
    return (
      await run([{ ...spec, options: { ...spec.options, tinit: 0, tfinal: 0 }, lanes }], {
        steps: 1,
        order: Int32Array.from(golden.data.order[0]!),
        schedule: Float64Array.from([0]),
      })
    ).lanes;
  }

  it('every method in one batch: each lane as if it had run alone', { timeout: 60_000 }, async () => {
    const specs = keys.map((key, i) => specOf(model, golden, key, i % 3 === 0 ? [3e-3, 1e-2] : [3e-3]));
    const packed = await run(specs);
    let lane = 0;
    for (const [i, spec] of specs.entries()) {
      const solo = await run([spec]);
      for (let k = 0; k < spec.lanes.length; k++, lane++)
        expectEachClose(lossesOf(packed, lane), lossesOf(solo, k), kPacked, `${keys[i]}, lane ${k}, loss`);
    }
  });

  it('the base stays as it was, bit for bit', async () => {
    const before = await forward(model, [golden.ids]);
    await run(keys.map((key) => specOf(model, golden, key)));
    const after = await forward(model, [golden.ids]);
    expect(after.hidden.data).toEqual(before.hidden.data);
  });

  it('begins with no effect, where the method does', async () => {
    const base = await forward(model, [golden.ids]);
    for (const key of keys.filter((each) => !/^(prompt|prefix|p-tuning)/.test(each) && each !== 'lora-orthogonal')) {
      const { hidden } = await forward(model, [golden.ids], await fresh(key));
      expectClose(hidden.data, base.hidden.data, float32Tolerance(48, 24), key);
    }
  });

  it('draws as peft does: VeRA’s projections, a prompt’s text', async () => {
    const vera = await tensorsOf(await fresh('vera'));
    for (const part of ['base_model.vera_A', 'base_model.vera_B'])
      expect(vera.get(part)!.data).toEqual(partOf(golden, 'vera', 'saved').get(part)!.data);
    const prompt = await tensorsOf(await fresh('prompt-text'));
    expect(prompt.get('prompt_embeddings')!.data).toEqual(
      partOf(golden, 'prompt-text', 'initial').get('prompt_encoder.embedding.weight')!.data,
    );
  });

  it.each(keys.filter((key) => golden.cases[key]!.config))('%s: fresh tensors are the seed’s', async (key) => {
    const [a, b, c] = [
      await tensorsOf(await fresh(key)),
      await tensorsOf(await fresh(key)),
      await tensorsOf(await fresh(key, 1)),
    ];
    expect([...a.keys()]).toEqual([...b.keys()]);
    for (const [tensor, { data }] of a) expect(b.get(tensor)!.data, tensor).toEqual(data);
    const differ = [...a].some(([tensor, { data }]) => data.some((value, i) => value !== c.get(tensor)!.data[i]));
    // these begin at constants, at a text's words, or at what the base's weights say
    expect(differ).toBe(!/^(ia3|vera|layernorm|prompt-text|lora-pissa|lora-olora)$/.test(key));
  });

  it.each(keys.filter((key) => /gaussian|orthogonal|^prompt$|^prefix|^p-tuning/.test(key)))(
    '%s: fresh tensors are as large as peft’s',
    async (key) => {
      const ours = await tensorsOf(await fresh(key, 3));
      for (const [tensor, { data }] of partOf(golden, key, 'initial')) {
        const own = ours.get(ourName(key, tensor))!.data;
        if (data.every((value) => value === 0)) expect(own, tensor).toEqual(data);
        // The RMS of n numbers drawn independently is off by 1 / sqrt(2 n): 6 % for 128 of them, and both are drawn. Orthogonal factors are
        // products of random matrices with few rows, so less is independent.
        else if (data.length >= 128) expect(Math.abs(Math.log(rms(own) / rms(data))), tensor).toBeLessThan(0.3);
      }
    },
  );

  it.each(keys.filter((key) => /pissa|olora/.test(key)))('%s begins where peft’s does, up to signs', async (key) => {
    const ours = await tensorsOf(await fresh(key));
    for (const [tensor, { data }] of partOf(golden, key, 'initial')) {
      const own = ours.get(ourName(key, tensor))!.data;
      // singular vectors of neighbouring singular values are the less certain the closer these are
      expectClose(own.map(Math.abs), data.map(Math.abs), 1e-3, tensor);
    }
  });

  it('full fine-tuning of chosen layers trains those alone; fresh top layers begin at random, by seed', async () => {
    const start = await tensorsOf(await fresh('full-decay'));
    const changed = async (options: Record<string, unknown>, seed = 0) => {
      const base = baseOf(model);
      // as for the others: the pooler is no part of masked language modelling
      const parameters = base.parameters.filter((each) => !each.name.startsWith('pooler.'));
      const { plan } = planOf({ ...base, parameters }, methodOf('full'), options);
      const lane = { lr: 1e-3, weightDecay: 0, seed, options: {} };
      const still = { ...lane, lr: 1e-30 };
      const spec = { method: 'whole', targets: plan.targets, options: plan.options };
      const once = { steps: 1, order: Int32Array.from(golden.data.order[0]!), schedule: Float64Array.from([0]) };
      const begun = await tensorsOf((await run([{ ...spec, lanes: [still] }], once)).lanes);
      await run([{ ...spec, lanes: [lane] }]);
      return { targets: plan.targets, begun };
    };
    const { targets } = await changed({ layers: [1] });
    expect(targets.length).toBeGreaterThan(0);
    expect(targets.every((target) => /\.(layers|h|layer)\.1\./.test(target))).toBe(true);
    const top = model.config.layers - 1;
    const [{ begun }, { begun: other }] = [await changed({ reinit: 1 }), await changed({ reinit: 1 }, 5)];
    for (const [tensor, { data, shape }] of begun) {
      const inTop = new RegExp(`\\.(layers|h|layer)\\.${top}\\.`).test(tensor);
      if (!inTop) expect(data, tensor).toEqual(start.get(tensor)!.data);
      else if (shape.length === 2) {
        expect(data, tensor).not.toEqual(other.get(tensor)!.data);
        expect(rms(data) / model.config.initializerRange, tensor).toBeLessThan(1.2);
      }
    }
  });

  it('dropout: zeros by seed and step, none outside training, and the same with blocks computed again', async () => {
    const spec = specOf(model, golden, 'lora');
    const drops = {
      ...spec,
      lanes: spec.lanes.map((lane) => ({ ...lane, options: { ...lane.options, dropout: 0.4 } })),
    };
    const [plain, dropped, again, checkpointed] = [
      await run([spec]),
      await run([drops]),
      await run([drops, spec]),
      await run([drops], { checkpointing: true }),
    ];
    expect(lossesOf(dropped)).not.toEqual(lossesOf(plain));
    expectEachClose(lossesOf(again, 0), lossesOf(dropped), kPacked, 'packed');
    expectEachClose(lossesOf(checkpointed), lossesOf(dropped), kPacked, 'computed again');
  });

  it('AdaLoRA takes ranks away down to its target', async () => {
    const spec = specOf(model, golden, 'adalora');
    const { lanes } = await run([spec]);
    const tensors = await tensorsOf(lanes);
    const kept = [...tensors]
      .filter(([tensor]) => tensor.startsWith('rank_pattern.'))
      .map(([, { data }]) => data.reduce((a, b) => a + b, 0));
    expect(kept.reduce((a, b) => a + b, 0)).toBe((spec.options!.target_rank as number) * spec.targets.length);
  });

  it('AdaLoRA refuses a schedule without room to take ranks away', async () => {
    const spec = specOf(model, golden, 'adalora');
    await expect(run([{ ...spec, options: { ...spec.options, tinit: 7, tfinal: 3 } }])).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: expect.stringContaining('`tinit`'),
    });
  });

  it('a prefix that begins as a text holds the keys and values the base has there', async () => {
    const spec = specOf(model, golden, 'prefix');
    const ids = golden.ids.slice(0, 5);
    const lanes = spec.lanes.map((lane) => ({ ...lane, lr: 1e-30, weightDecay: 0 }));
    const { lanes: handle } = await run(
      [{ ...spec, lanes, options: { ...spec.options, init: 'text', ids: Float64Array.from(ids) } }],
      {
        steps: 1,
        order: Int32Array.from(golden.data.order[0]!),
        schedule: Float64Array.from([0]),
      },
    );
    if (name === 'bert')
      return expect(rms((await tensorsOf(handle)).get('prompt_embeddings')!.data)).toBeGreaterThan(0);
    // so words after it are as words after that text
    const rest = golden.ids.slice(5);
    const [after, whole] = [await forward(model, [rest], handle), await forward(model, [golden.ids])];
    const { logits } = whole;
    expectClose(after.logits!.data, logits!.data.slice(-after.logits!.data.length), float32Tolerance(48, 24), 'logits');
  });
});
