/** The types of the Node API as users of the package see them; `npm run typecheck` compiles this file. */
import { expectTypeOf, it } from 'vitest';
import {
  type CortuneError,
  decode,
  embed,
  encode,
  type Followed,
  follow,
  type JobOptions,
  loadModel,
  type Model,
  type Progress,
  type Results,
  report,
  runStudy,
  type Tensor,
  tune,
} from '../../lib/index.js';

it('each stage takes what the one before gives', () => {
  expectTypeOf(loadModel).returns.resolves.toEqualTypeOf<Model>();
  expectTypeOf(tune).parameter(0).toEqualTypeOf<Model>();
  expectTypeOf(embed).parameter(0).toEqualTypeOf<Model>();
  expectTypeOf(embed).returns.resolves.toEqualTypeOf<Tensor>();
  expectTypeOf(encode).parameter(0).toEqualTypeOf<Tensor>();
  expectTypeOf<Awaited<ReturnType<typeof encode>>['layers']>().toExtend<readonly unknown[]>();
  expectTypeOf(decode).parameter(1).toEqualTypeOf<Tensor>();
  expectTypeOf(runStudy).returns.resolves.toEqualTypeOf<Results>();
  expectTypeOf(report).returns.resolves.toBeString();
});

it('lanes of tune are those of embed, and every handle is disposable', () => {
  type Lanes = Awaited<ReturnType<typeof tune>>['lanes'];
  expectTypeOf<Lanes>().toExtend<NonNullable<NonNullable<Parameters<typeof embed>[2]>['lanes']>>();
  expectTypeOf<Lanes>().toExtend<Disposable>();
  expectTypeOf<Model>().toExtend<Disposable>();
  expectTypeOf<Tensor>().toExtend<Disposable>();
});

it('long calls take a signal and report progress', () => {
  expectTypeOf<NonNullable<Parameters<typeof tune>[2]>>().toExtend<JobOptions>();
  expectTypeOf<NonNullable<Parameters<typeof embed>[2]>>().toExtend<JobOptions>();
  expectTypeOf<NonNullable<Parameters<typeof encode>[2]>>().toExtend<JobOptions>();
  expectTypeOf<Parameters<typeof runStudy>[1]>().toExtend<JobOptions>();
  expectTypeOf<Followed<number>>().toExtend<AsyncIterable<Progress>>();
  expectTypeOf(follow<number>).returns.toEqualTypeOf<Followed<number>>();
  expectTypeOf<CortuneError['code']>().toExtend<string>();
});

it('wrong calls do not compile', () => {
  const wrong = async (model: Model) => {
    // @ts-expect-error a rate is a number
    await tune(model, ['text'], { lr: ['fast'] });
    // @ts-expect-error there is no such method option
    await tune(model, ['text'], { rnak: 8 });
    // @ts-expect-error texts are a list
    await embed(model, 'text');
    // @ts-expect-error features are a tensor
    await encode([1, 2, 3], { data: new Float32Array(), rows: 0, columns: 0 });
    // @ts-expect-error there is no such format
    await report('results', { format: 'pdf' });
  };
  expectTypeOf(wrong).returns.resolves.toBeVoid();
});
