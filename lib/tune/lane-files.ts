/** What adapters and tuned models have in common on disk: one lane's tensors, and JSON beside them. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { Lanes } from './lanes.js';

/** Writes the tensors of one lane to `dir`/`file`, making the folder; matrices named in `transposed` as [in, out], under the names that
 * `rename` makes. Throws ERR_IO. */
export async function writeLaneTensors(
  lanes: Lanes,
  lane: number,
  dir: string,
  file: string,
  transposed: string[],
  rename: (name: string) => string,
  options: JobOptions,
): Promise<void> {
  await mkdir(dir, { recursive: true });
  const { names, tensors } = await runJob(
    () => native().laneTensors({ lanes: lanes.handle, lane, transposed }),
    options,
  );
  try {
    const path = join(dir, file);
    await runJob(
      () => native().writeSafetensors({ path, names: names.map(rename), tensors, metadata: { format: 'pt' } }),
      options,
    );
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Writes `dir`/`name` beside and renames it: there whole, or not at all. */
export async function writeJson(dir: string, name: string, value: unknown): Promise<void> {
  await writeFile(join(dir, `.${name}.tmp`), `${JSON.stringify(value, null, 2)}\n`);
  await rename(join(dir, `.${name}.tmp`), join(dir, name));
}
