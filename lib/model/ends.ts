/** Which tokens end what a model writes. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One id, or several. */
function idsOf(value: unknown): number[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((id): id is number => Number.isInteger(id) && (id as number) >= 0);
}

/** As transformers: `eos_token_id` of generation_config.json, else of config.json. */
export async function endsOfFolder(folder: string): Promise<number[]> {
  for (const name of ['generation_config.json', 'config.json']) {
    const path = join(folder, name);
    if (!existsSync(path)) continue;
    const ids = idsOf((parsed(await readFile(path, 'utf8')) as { eos_token_id?: unknown } | null)?.eos_token_id);
    if (ids.length > 0) return ids;
  }
  return [];
}

/** A file that is no JSON names no tokens; who needs it for more says what is wrong with it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function endsOfGguf(metadata: Record<string, unknown>): number[] {
  return idsOf(metadata['tokenizer.ggml.eos_token_id']);
}
