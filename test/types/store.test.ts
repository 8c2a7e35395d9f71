/** The types of a store as users of the package see them; `npm run typecheck` compiles this file. */
import { expectTypeOf, it } from 'vitest';
import {
  openStore,
  type Query,
  type QueryResult,
  type ResultStore,
  type RunRecord,
  runStudy,
  type ScoreRow,
  type Verification,
} from '../../lib/index.js';

it('a store gives runs and scores one by one, and answers in objects', () => {
  expectTypeOf(openStore).parameters.toEqualTypeOf<[folder: string]>();
  expectTypeOf(openStore).returns.resolves.toEqualTypeOf<ResultStore>();
  expectTypeOf<ReturnType<ResultStore['runs']>>().toExtend<AsyncIterable<RunRecord>>();
  expectTypeOf<ReturnType<ResultStore['scores']>>().toExtend<AsyncIterable<ScoreRow>>();
  expectTypeOf<ResultStore['query']>().returns.resolves.toEqualTypeOf<QueryResult>();
  expectTypeOf<ResultStore['stream']>().returns.resolves.toEqualTypeOf<Query>();
  expectTypeOf<ResultStore['verify']>().returns.resolves.toEqualTypeOf<Verification>();
});

it('wrong calls do not compile', async () => {
  const wrong = async (store: ResultStore) => {
    // @ts-expect-error SQL is a text
    await store.query(1);
    // @ts-expect-error there is no such state
    for await (const _ of store.runs({ status: 'broken' })) return;
    // @ts-expect-error a rule is a word
    await store.gc({ keep: 3 });
    // @ts-expect-error results need a place
    await runStudy('study.yaml', {});
  };
  expectTypeOf(wrong).returns.resolves.toBeVoid();
});

it('records say what they may lack', () => {
  expectTypeOf<RunRecord['status']>().toEqualTypeOf<'done' | 'failed'>();
  expectTypeOf<RunRecord['labels']['lr']>().toEqualTypeOf<number | null>();
  expectTypeOf<QueryResult['rows'][number][string]>().not.toBeAny();
});
