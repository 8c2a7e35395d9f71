/** Downloads models from the Hugging Face Hub into the standard cache: resumed, checked, visible only when whole. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { CortuneError } from '../errors.js';
import { withLock } from '../native/cache.js';
import type { JobOptions } from '../native/jobs.js';
import {
  type HubName,
  hubToken,
  hubUrl,
  isOffline,
  kIndexFile,
  kSmallFiles,
  kWeightsFile,
  repoDir,
  shardsOf,
} from './hub-cache.js';

const kAnswerWithin = 8_000; // ms for the Hub to begin an answer
const kStall = 30_000; // ms without a byte after which a download is begun again where it stopped
const kTries = 4;

/** What is to be fetched: the name, its size, and the hash that names its blob. */
interface RemoteFile {
  path: string;
  size: number;
  etag: string;
  /** LFS files are named by SHA-256, others by git's SHA-1 of header and content. */
  hash: 'sha256' | 'git';
}

/** `fetch` that gives up when no answer begins in time, and stops with the caller's signal. */
function timedFetch(signal: AbortSignal | undefined): typeof fetch {
  return async (input, init) => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error('no answer')), kAnswerWithin);
    try {
      return await fetch(input, { ...init, signal: AbortSignal.any([late.signal, ...(signal ? [signal] : [])]) });
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Common parameters of every call of @huggingface/hub. */
function access(hub: HubName, signal: AbortSignal | undefined) {
  const token = hubToken();
  return {
    repo: { type: 'model' as const, name: hub.id },
    revision: hub.revision,
    hubUrl: hubUrl(),
    fetch: timedFetch(signal),
    ...(token ? { accessToken: token } : {}),
  };
}

/** Turns what @huggingface/hub and fetch throw into our codes and sentences. */
function hubError(hub: HubName, error: unknown, signal: AbortSignal | undefined): CortuneError {
  if (error instanceof CortuneError) return error;
  if (signal?.aborted) return new CortuneError('ERR_CANCELLED', 'Cancelled.', { cause: error });
  const status = (error as { statusCode?: number }).statusCode;
  const options = { cause: error };
  if (status === 401 || status === 403)
    return new CortuneError(
      'ERR_NETWORK',
      `The Hub does not give ${hub.id} (${status}): it is private, gated or misspelt. Accept its licence at ${hubUrl()}/${hub.id} and set HF_TOKEN.`,
      options,
    );
  if (status === 404)
    return new CortuneError(
      'ERR_NOT_FOUND',
      `The Hub has no model ${hub.id} at revision ${hub.revision}. Check the spelling at ${hubUrl()}/${hub.id}.`,
      options,
    );
  if (status !== undefined)
    return new CortuneError('ERR_NETWORK', `The Hub answered ${status} for ${hub.id}. Try again later.`, options);
  const code = (error as { code?: string }).code;
  if (code === 'ENOSPC')
    return new CortuneError(
      'ERR_IO',
      `The disk is full: ${hub.id} could not be downloaded. Free some space, or set HF_HOME to a larger disk.`,
      options,
    );
  if (code === 'EACCES' || code === 'EROFS')
    return new CortuneError(
      'ERR_IO',
      `The Hugging Face cache ${repoDir(hub.id)} cannot be written. Set HF_HOME to a folder of yours.`,
      options,
    );
  return new CortuneError(
    'ERR_NETWORK',
    `The Hub (${hubUrl()}) could not be reached for ${hub.id}. Check the network, or put the model into a folder and name that.`,
    options,
  );
}

/**
 * Downloads what is missing of a model and returns the folder of its snapshot (or, for a GGUF name, still that folder).
 * Without `weights` only the configuration and tokenizer. Throws ERR_NETWORK within 15 s when the Hub cannot be reached.
 */
export async function downloadModel(hub: HubName, options: JobOptions & { weights: boolean }): Promise<string> {
  if (isOffline())
    throw new CortuneError(
      'ERR_NETWORK',
      `${hub.id} is not in the Hugging Face cache and HF_HUB_OFFLINE is set. Unset it, or download the model first.`,
    );
  try {
    const { modelInfo } = await import('@huggingface/hub');
    const info = await modelInfo({
      ...access(hub, options.signal),
      name: hub.id,
      additionalFields: ['sha', 'filePaths'],
    });
    const at = { ...hub, revision: info.sha };
    const snapshot = join(repoDir(hub.id), 'snapshots', info.sha);
    for (const files of fetchPlan(hub, info.filePaths, options.weights))
      await fetchAll(at, await files(snapshot), snapshot, options);
    const ref = join(repoDir(hub.id), 'refs', hub.revision);
    if (hub.revision !== info.sha) {
      await mkdir(dirname(ref), { recursive: true });
      await writeFile(ref, info.sha);
    }
    return snapshot;
  } catch (error) {
    throw hubError(hub, error, options.signal);
  }
}

/** Groups of files to fetch, in order; a group may read what an earlier one brought (the index names the shards). */
function fetchPlan(hub: HubName, there: string[], weights: boolean): ((dir: string) => Promise<string[]>)[] {
  const plain = (names: string[]) => async () => names;
  if (hub.file !== undefined) {
    if (there.includes(hub.file)) return [plain([hub.file])];
    const others = there.filter((name) => name.endsWith('.gguf'));
    throw new CortuneError(
      'ERR_NOT_FOUND',
      `${hub.id} has no file ${hub.file}. It has: ${others.join(', ') || 'no GGUF files'}.`,
    );
  }
  const small = plain(kSmallFiles.filter((name) => there.includes(name)));
  if (!weights) return [small];
  if (there.includes(kIndexFile))
    return [small, plain([kIndexFile]), async (dir) => shardsOf(await readFile(join(dir, kIndexFile), 'utf8'))];
  if (there.includes(kWeightsFile)) return [small, plain([kWeightsFile])];
  const gguf = there.find((name) => name.endsWith('.gguf'));
  const hint = gguf
    ? `Name one of its GGUF files, for example ${hub.id}:${gguf}`
    : 'Choose a model with safetensors weights.';
  throw new CortuneError('ERR_NOT_FOUND', `${hub.id} has no ${kWeightsFile}. ${hint}`);
}

async function fetchAll(hub: HubName, paths: string[], snapshot: string, options: JobOptions): Promise<void> {
  const wanted = paths.filter((path) => !existsSync(join(snapshot, path)));
  if (wanted.length === 0) return;
  const { pathsInfo } = await import('@huggingface/hub');
  const infos = await pathsInfo({ ...access(hub, options.signal), paths: wanted });
  const files = infos.map(({ path, size, lfs, oid }): RemoteFile => {
    if (!lfs && !oid) throw new Error(`the Hub tells no hash of ${path}`);
    return lfs ? { path, size: lfs.size, etag: lfs.oid, hash: 'sha256' } : { path, size, etag: oid!, hash: 'git' };
  });
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of files) {
    const onBytes = (bytes: number) =>
      options.onProgress?.({ done: before + bytes, total, stage: `downloading ${hub.id}` });
    const blob = join(repoDir(hub.id), 'blobs', file.etag);
    await mkdir(dirname(blob), { recursive: true });
    await withLock(`${blob}.lock`, () => fetchBlob(hub, file, blob, onBytes, options.signal), {
      signal: options.signal,
    });
    await link(blob, join(snapshot, file.path));
    before += file.size;
  }
}

/** A relative link from the snapshot to the blob, as Hugging Face's libraries make it. */
async function link(blob: string, pointer: string): Promise<void> {
  await mkdir(dirname(pointer), { recursive: true });
  await rm(pointer, { force: true });
  await symlink(relative(dirname(pointer), blob), pointer);
}

/** Fetches one blob, from where an earlier attempt stopped, and renames it into place once its hash is right. */
async function fetchBlob(
  hub: HubName,
  file: RemoteFile,
  blob: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (existsSync(blob)) return;
  const partial = `${blob}.incomplete`;
  for (let attempt = 1; ; attempt++) {
    try {
      await fetchRest(hub, file, partial, onBytes, signal);
      break;
    } catch (error) {
      const status = (error as { statusCode?: number }).statusCode;
      const final = signal?.aborted || attempt === kTries || (status !== undefined && status < 500 && status !== 429);
      const local = /^(ENOSPC|EACCES|EROFS|EDQUOT)$/.test((error as { code?: string }).code ?? '');
      if (final || local) throw error;
      await sleep(500 * 2 ** attempt, undefined, signal ? { signal } : {});
    }
  }
  if ((await hashOf(partial, file)) !== file.etag) {
    await rm(partial, { force: true });
    throw new CortuneError(
      'ERR_NETWORK',
      `${file.path} of ${hub.id} arrived damaged: its hash is not the one the Hub tells. Run the command again.`,
    );
  }
  await rename(partial, blob);
}

async function fetchRest(
  hub: HubName,
  file: RemoteFile,
  partial: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { downloadFile } = await import('@huggingface/hub');
  const have = await stat(partial).then(
    ({ size }) => size,
    () => 0,
  );
  const from = have > file.size ? 0 : have;
  if (have > file.size) await truncate(partial, 0);
  if (from === file.size && from > 0) return;
  // Plain ranges rather than xet: a partial file can then be gone on with.
  const whole = await downloadFile({ ...access(hub, signal), path: file.path, xet: false });
  if (!whole) throw new CortuneError('ERR_NOT_FOUND', `The Hub has no file ${file.path} in ${hub.id}.`);
  const stream = Readable.fromWeb(whole.slice(from, file.size).stream() as ReadableStream);
  let done = from;
  let timer: NodeJS.Timeout | undefined;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stream.destroy(new Error('stalled')), kStall);
  };
  watch();
  stream.on('data', (chunk: Buffer) => {
    watch();
    done += chunk.length;
    onBytes(done);
  });
  try {
    await pipeline(stream, createWriteStream(partial, { flags: 'a' }), signal ? { signal } : {});
  } finally {
    clearTimeout(timer);
  }
  if (done !== file.size) throw new Error(`${file.path} ended after ${done} of ${file.size} bytes`);
}

async function hashOf(path: string, file: RemoteFile): Promise<string> {
  const hash = createHash(file.hash === 'sha256' ? 'sha256' : 'sha1');
  if (file.hash === 'git') hash.update(`blob ${file.size}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
