/** The standard Hugging Face cache: where it is, what it holds, which files make a model. Reads only; downloads are in hub.ts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`, as every Hugging Face library has it. */
export function hubCacheDir(): string {
  const named = process.env.HF_HUB_CACHE || process.env.HUGGINGFACE_HUB_CACHE;
  return named || join(hubHome(), 'hub');
}

function hubHome(): string {
  if (process.env.HF_HOME) return process.env.HF_HOME;
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
}

/** The user's Hub token: `HF_TOKEN`, else the file that `hf auth login` writes. Never shown. */
export function hubToken(): string | undefined {
  const named = process.env.HF_TOKEN || process.env.HUGGING_FACE_HUB_TOKEN;
  if (named) return named.trim();
  const file = process.env.HF_TOKEN_PATH || join(hubHome(), 'token');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() || undefined : undefined;
}

/** Where the Hub is: `$HF_ENDPOINT` names a mirror. */
export function hubUrl(): string {
  return (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
}

export function isOffline(): boolean {
  return /^(1|on|yes|true)$/i.test(process.env.HF_HUB_OFFLINE ?? '');
}

/** A model on the Hub: `org/name`, at a revision, and one GGUF file of it or the whole model. */
export interface HubName {
  id: string;
  revision: string;
  file?: string | undefined;
}

/** Reads `org/name`, `org/name@revision`, `org/name:file.gguf`; undefined when the name has another shape. */
export function parseHubName(name: string): HubName | undefined {
  const found = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?(?::([\w./ -]+\.gguf))?$/.exec(name);
  if (!found || found[1]!.startsWith('.')) return undefined;
  return { id: found[1]!, revision: found[2] ?? 'main', file: found[3] };
}

export function repoDir(id: string): string {
  return join(hubCacheDir(), `models--${id.replace('/', '--')}`);
}

/** The folder of a revision in the cache (branch, tag or commit), or undefined. */
export function snapshotDir(hub: HubName): string | undefined {
  const repo = repoDir(hub.id);
  const ref = join(repo, 'refs', hub.revision);
  const commit = existsSync(ref) ? readFileSync(ref, 'utf8').trim() : hub.revision;
  const dir = join(repo, 'snapshots', commit);
  return existsSync(dir) ? dir : undefined;
}

/** Files beside the weights: small, and taken when the repository has them. */
export const kSmallFiles = [
  'config.json',
  'preprocessor_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.json',
  'merges.txt',
  'vocab.txt',
];

export const kIndexFile = 'model.safetensors.index.json';
export const kWeightsFile = 'model.safetensors';

/** The shards named by an index file, each once. */
export function shardsOf(indexText: string): string[] {
  const index = JSON.parse(indexText) as { weight_map?: Record<string, string> };
  return [...new Set(Object.values(index.weight_map ?? {}))].sort();
}

/** What a model folder lacks to be loaded (names of files); empty when it is whole. */
export function missingFiles(dir: string, options: { weights: boolean }): string[] {
  const lacks = (names: string[]) => names.filter((name) => !existsSync(join(dir, name)));
  const missing = lacks(['config.json']);
  // Models of images have no tokenizer.
  if (
    !['preprocessor_config.json', 'tokenizer.json', 'vocab.txt', 'vocab.json'].some((name) =>
      existsSync(join(dir, name)),
    )
  )
    missing.push('tokenizer.json');
  if (!options.weights) return missing;
  const index = join(dir, kIndexFile);
  if (existsSync(index)) return [...missing, ...lacks(shardsOf(readFileSync(index, 'utf8')))];
  return [...missing, ...lacks([kWeightsFile])];
}

/** Models in the cache: their ids and the snapshot of `main` when there is one. */
export function cachedModels(): { id: string; dir: string; whole: boolean }[] {
  const root = hubCacheDir();
  if (!existsSync(root)) return [];
  const repos = readdirSync(root).filter((name) => name.startsWith('models--'));
  return repos.flatMap((name) => {
    const id = name.slice('models--'.length).replace('--', '/');
    const dir = snapshotDir({ id, revision: 'main' });
    return dir ? [{ id, dir, whole: missingFiles(dir, { weights: true }).length === 0 }] : [];
  });
}
