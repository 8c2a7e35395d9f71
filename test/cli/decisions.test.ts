/** examples/decisions.yaml in its tiny size: trials made, a model tuned on them, states decoded, heads ablated, attention and map in store and report. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { report } from '../../lib/report/report.js';
import { openStore } from '../../lib/study/open.js';
import type { Probed } from '../../lib/study/probe.js';
import type { RunRecord } from '../../lib/study/records.js';
import { runStudy } from '../../lib/study/run.js';
import { temporaryFolder } from '../helpers/temporary.js';

const kStudy = fileURLToPath(new URL('../../examples/decisions.yaml', import.meta.url));
const kOut = join(temporaryFolder(), 'decisions');

describe('the study of decisions', () => {
  let probes: Probed[];
  beforeAll(async () => {
    await runStudy(kStudy, { out: kOut, size: 'tiny' });
    const store = await openStore(kOut);
    const runs: RunRecord[] = [];
    for await (const run of store.runs()) runs.push(run);
    expect(runs.map(({ status }) => status)).toEqual(['done', 'done']);
    probes = runs.map(({ id }) => JSON.parse(readFileSync(join(kOut, 'runs', id, 'probe.json'), 'utf8')) as Probed);
  });

  it('keeps what it finds in every run, with a checksum', async () => {
    const { problems } = await (await openStore(kOut)).verify();
    expect(problems).toEqual([]);
    for (const { task, ablate, decode, attention, map } of probes) {
      expect(task).toBe('decisions');
      expect(ablate!.ablated.length).toBe(6 * 4);
      expect(decode!.variables.map(({ name }) => name)).toEqual(['context', 'colour', 'motion', 'choice']);
      expect(attention!.weights.length).toBe(6 * 4 * attention!.tokens.length ** 2);
      expect(map!.points.length).toBe(map!.variables.length);
    }
  });

  it('reads the cue from the embedding of its own token, and finds chance in shuffled labels', () => {
    for (const { decode } of probes) {
      const [context] = decode!.variables;
      expect(Math.max(...context!.scores.map(({ mean }) => mean))).toBe(1);
      for (const { chance, scores } of decode!.variables) {
        const shuffled = scores.reduce((sum, score) => sum + score.shuffled, 0) / scores.length;
        // About a dozen items in five folds, five shuffles: 65 labels or more, of which a mean lies within 0.25 at four standard deviations.
        expect(Math.abs(shuffled - chance)).toBeLessThan(0.25);
      }
    }
  });

  it('measures the task, and shows all of it in the report', async () => {
    const { rows } = await (await openStore(kOut)).query(
      "select task, value, items::int as items from quality where metric = 'accuracy' order by run, task",
    );
    // Both runs, on all trials and on either kind of them.
    const tasks = ['decisions', 'decisions, congruent no', 'decisions, congruent yes'];
    expect(rows.map(({ task }) => task)).toEqual([...tasks, ...tasks]);
    for (const at of [0, 3]) {
      const [all, no, yes] = rows.slice(at, at + 3).map(({ value, items }) => [Number(value), Number(items)] as const);
      expect(no![1] + yes![1]).toBe(all![1]);
      expect(no![0] * no![1] + yes![0] * yes![1]).toBeCloseTo(all![0] * all![1], 6);
    }
    const page = readFileSync(await report(kOut), 'utf8');
    for (const said of [
      'Inside the models',
      'Without each head',
      'context, read from hidden states',
      'UMAP of the last token',
    ])
      expect(page).toContain(said);
  });
});
