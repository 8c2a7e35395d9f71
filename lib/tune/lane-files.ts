/** What adapters and tuned models have in common on disk: tensors, and JSON beside them. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { NamedTensors } from '../native/types.js';

/** Writes tensors to `dir`/`file`, making the folder. Throws ERR_IO. */
export async function writeTensors(
  dir: string,
  file: string,
  { names, tensors }: NamedTensors,
  options: JobOptions,
): Promise<void> {
  await mkdir(dir, { recursive: true });
  const path = join(dir, file);
  await runJob(() => native().writeSafetensors({ path, names, tensors, metadata: { format: 'pt' } }), options);
}

/** Writes `dir`/`name` beside and renames it: there whole, or not at all. */
export async function writeJson(dir: string, name: string, value: unknown): Promise<void> {
  await writeFile(join(dir, `.${name}.tmp`), `${JSON.stringify(value, null, 2)}\n`);
  await rename(join(dir, `.${name}.tmp`), join(dir, name));
}
