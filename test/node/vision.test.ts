/** examples/vision-tuning.yaml in a reduced size: real weights and digits, the 92 objects, the stand-in for BOLD5000. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { openStore, report, runStudy } from '../../lib/index.js';
import { temporaryFolder } from '../helpers/temporary.js';

const kRoot = fileURLToPath(new URL('../../', import.meta.url));
const kExamples = join(kRoot, 'examples');
const kData = [process.env.CORTUNE_DATA, join(kRoot, '../shared/data'), join(kRoot, '../data')];
const kOut = join(temporaryFolder(), 'results');

interface Vision {
  tune: Record<string, unknown>;
  embed: Record<string, unknown>;
}

/** Paths from anywhere, fewer updates, smaller pictures. */
function reduced(): Record<string, unknown> {
  const text = readFileSync(join(kExamples, 'vision-tuning.yaml'), 'utf8');
  const study = parse(text.replaceAll('./vision/', `${kExamples}/vision-reduced/`)) as Vision;
  return {
    ...study,
    tune: { ...study.tune, steps: 6, batch: 8, warmup: 1 },
    embed: { ...study.embed, image_size: 56 },
  };
}

// The 92 objects are not part of the repository; datasets/objects92.yaml says where they are.
const there = kData.some((root) => root && existsSync(join(root, 'objects92', '92_brainRDMs.mat')));
it.skipIf(!there)('finds the planted layers and compares geometry with ceilings', { timeout: 240_000 }, async () => {
  await promisify(execFile)(process.execPath, [join(kRoot, 'bin/prepare-vision.mjs'), '--reduced']);
  await runStudy(reduced(), { out: kOut });
  const store = await openStore(kOut);
  const { rows: runs } = await store.query('select status, count(*)::int as n from runs group by status');
  expect(runs).toEqual([{ status: 'done', n: 12 }]);
  const { rows: rsa } = await store.query(
    'select max(similarity) as best, max(ceiling_upper) as upper, count(*)::int as n from rsa where region = ? group by run',
    { parameters: ['IT'] },
  );
  // Six runs of 13 layers; 40 of the 92 objects, four people.
  expect(rsa).toHaveLength(6);
  for (const { best, upper, n } of rsa as { best: number; upper: number; n: number }[]) {
    expect(n).toBe(13);
    expect(upper).toBeGreaterThan(0.3);
    expect(best).toBeLessThan(upper);
  }
  const page = await report(kOut, { format: 'md' });
  expect(readFileSync(page, 'utf8')).toContain(
    'SIMULATED responses in the files of a data set, no measurement: bold5000 stand-in',
  );
});
