/** Models from the Hub: cache layout, resume, damage, offline, refusals; against a Hub on localhost. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { missingFiles, parseHubName, repoDir } from '../../lib/model/hub-cache.js';
import { resolveModel } from '../../lib/model/resolve.js';
import { type FakeHub, fakeHub, gitHash, kCommit, sha256 } from '../helpers/fake-hub.js';

const kId = 'tiny/model';
const weights = Buffer.alloc(3_000_000, 7);
const files = {
  'config.json': Buffer.from('{"model_type":"llama"}'),
  'tokenizer.json': Buffer.from('{}'),
  'model.safetensors': weights,
  'README.md': Buffer.from('not needed'),
  'pytorch_model.bin': Buffer.from('not needed'),
  'tiny.Q8_0.gguf': Buffer.from('GGUF'),
};

let hub: FakeHub;
let home: string;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'cortune-hub-'));
  hub = await fakeHub(kId, files);
  vi.stubEnv('HF_HOME', home);
  vi.stubEnv('HF_HUB_CACHE', '');
  vi.stubEnv('HUGGINGFACE_HUB_CACHE', '');
  vi.stubEnv('HF_ENDPOINT', hub.url);
  vi.stubEnv('HF_HUB_OFFLINE', '');
  vi.stubEnv('HF_TOKEN', '');
});

afterEach(async () => {
  await hub.close();
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('downloading', () => {
  it('brings only what is needed, in the layout of the Hugging Face cache', async () => {
    const stages = new Set<string>();
    const found = await resolveModel(kId, { onProgress: (progress) => stages.add(progress.stage) });
    expect(found).toMatchObject({ kind: 'folder', random: false, source: 'tiny/model from the Hugging Face Hub' });
    expect(found.path).toBe(join(repoDir(kId), 'snapshots', kCommit));
    expect(readFileSync(join(repoDir(kId), 'refs', 'main'), 'utf8')).toBe(kCommit);
    const pointer = join(found.path, 'model.safetensors');
    expect(lstatSync(pointer).isSymbolicLink()).toBe(true);
    expect(readlinkSync(pointer)).toBe(`../../blobs/${sha256(weights)}`);
    expect(existsSync(join(repoDir(kId), 'blobs', gitHash(files['config.json'])))).toBe(true);
    expect(existsSync(join(found.path, 'README.md'))).toBe(false);
    expect(existsSync(join(found.path, 'pytorch_model.bin'))).toBe(false);
    expect([...stages]).toEqual(['downloading tiny/model']);
  });

  it('asks nothing of the network the second time', async () => {
    await resolveModel(kId);
    const asked = hub.requests.length;
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    const again = await resolveModel(kId);
    expect(again.source).toBe('tiny/model from the Hugging Face cache');
    expect(hub.requests.length).toBe(asked);
  });

  it('goes on where an earlier download stopped', async () => {
    const blob = join(repoDir(kId), 'blobs', sha256(weights));
    mkdirSync(dirname(blob), { recursive: true });
    writeFileSync(`${blob}.incomplete`, weights.subarray(0, 1_000_000));
    await resolveModel(kId);
    expect(readFileSync(blob).equals(weights)).toBe(true);
    expect(hub.requests.some((request) => request.includes('model.safetensors bytes=1000000-'))).toBe(true);
  });

  it('takes up a connection that breaks in the middle', async () => {
    let broken = 0;
    hub.intercept = (path, response, content) => {
      if (path !== 'model.safetensors' || broken++ > 0) return false;
      response.writeHead(206, { 'content-range': `bytes 0-${content.length - 1}/${content.length}` });
      response.write(content.subarray(0, 500_000), () => response.destroy());
      return true;
    };
    const found = await resolveModel(kId);
    expect(broken).toBe(2);
    expect(readFileSync(join(found.path, 'model.safetensors')).equals(weights)).toBe(true);
  });

  it('refuses bytes whose hash is not the one told, and leaves nothing that looks whole', async () => {
    hub.intercept = (path, response, content) => {
      if (path !== 'model.safetensors') return false;
      response.writeHead(206, { 'content-range': `bytes 0-${content.length - 1}/${content.length}` });
      response.end(Buffer.alloc(content.length, 8));
      return true;
    };
    await expect(resolveModel(kId)).rejects.toEqual(code('ERR_NETWORK'));
    expect(existsSync(join(repoDir(kId), 'blobs', sha256(weights)))).toBe(false);
    expect(existsSync(join(repoDir(kId), 'refs', 'main'))).toBe(false);
  });

  it('stops when told to, and goes on later', async () => {
    const stop = new AbortController();
    hub.intercept = (path, response, content) => {
      if (path !== 'model.safetensors') return false;
      response.writeHead(206, { 'content-range': `bytes 0-${content.length - 1}/${content.length}` });
      response.write(content.subarray(0, 100_000), () => setTimeout(() => stop.abort(), 50));
      return true;
    };
    await expect(resolveModel(kId, { signal: stop.signal })).rejects.toEqual(code('ERR_CANCELLED'));
    hub.intercept = undefined;
    await expect(resolveModel(kId)).resolves.toMatchObject({ kind: 'folder' });
  });

  it('needs no weights for random initialisation', async () => {
    const found = await resolveModel(`untrained:${kId}`);
    expect(found).toMatchObject({ random: true, kind: 'folder' });
    expect(existsSync(join(found.path, 'model.safetensors'))).toBe(false);
    expect(missingFiles(found.path, { weights: false })).toEqual([]);
    expect(missingFiles(found.path, { weights: true })).toEqual(['model.safetensors']);
  });

  it('takes one GGUF file when it is named', async () => {
    const found = await resolveModel(`${kId}:tiny.Q8_0.gguf`);
    expect(found.kind).toBe('gguf');
    expect(readFileSync(found.path, 'utf8')).toBe('GGUF');
    await expect(resolveModel(`${kId}:other.gguf`)).rejects.toThrow(/It has: tiny\.Q8_0\.gguf/);
  });
});

describe('refusals', () => {
  it('says what is missing offline', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(resolveModel(kId)).rejects.toThrow(/HF_HUB_OFFLINE is set/);
    expect(hub.requests).toEqual([]);
  });

  it('says that the Hub is out of reach, quickly', async () => {
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
    const start = Date.now();
    await expect(resolveModel(kId)).rejects.toEqual(code('ERR_NETWORK'));
    expect(Date.now() - start).toBeLessThan(15_000);
  });

  it('says that there is no such model', async () => {
    await expect(resolveModel('tiny/other')).rejects.toEqual(code('ERR_NOT_FOUND'));
  });
});

it('reads names of the Hub', () => {
  expect(parseHubName('a/b')).toEqual({ id: 'a/b', revision: 'main', file: undefined });
  expect(parseHubName('a/b@v1.0')).toEqual({ id: 'a/b', revision: 'v1.0', file: undefined });
  expect(parseHubName('a/b@abc:x.gguf')).toEqual({ id: 'a/b', revision: 'abc', file: 'x.gguf' });
  for (const name of ['a', './a/b', '../a', 'a/b/c', '/a/b', 'a/b:x.bin']) expect(parseHubName(name)).toBeUndefined();
});
