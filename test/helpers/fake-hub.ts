/** A small Hugging Face Hub on localhost: model info, path info and ranged downloads of files given as bytes. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const kCommit = 'c0ffee0000000000000000000000000000000000';

export interface FakeHub {
  url: string;
  /** `METHOD path [range]` of every request so far. */
  requests: string[];
  /** Called before each download is answered; may take the response over by returning true. */
  intercept?: ((path: string, response: ServerResponse, content: Buffer) => boolean) | undefined;
  close(): Promise<void>;
}

/** Files ending in .safetensors or .gguf are told as LFS (SHA-256), the others as git blobs. */
export async function fakeHub(id: string, files: Record<string, Buffer>): Promise<FakeHub> {
  const hub: FakeHub = { url: '', requests: [], close: async () => {} };
  const server = createServer((request, response) => {
    void answer(hub, id, files, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  hub.close = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return hub;
}

export function gitHash(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

async function answer(
  hub: FakeHub,
  id: string,
  files: Record<string, Buffer>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = decodeURIComponent(new URL(request.url!, 'http://hub').pathname);
  hub.requests.push(`${request.method} ${path} ${request.headers.range ?? ''}`.trim());
  const json = (value: unknown) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };
  if (path.startsWith(`/api/models/${id}/revision/`)) {
    const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
    return json({ _id: '1', id, sha: kCommit, siblings, lastModified: '2026-01-01T00:00:00.000Z' });
  }
  if (path === `/api/models/${id}/paths-info/${kCommit}`) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { paths } = JSON.parse(Buffer.concat(chunks).toString()) as { paths: string[] };
    return json(paths.map((name) => pathInfo(name, files[name]!)));
  }
  const name = path.slice(`/${id}/resolve/${kCommit}/`.length);
  const content = files[name];
  if (!content) {
    response.statusCode = 404;
    return json({ error: 'Repository not found' });
  }
  const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '');
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]) + 1, content.length) : content.length;
  const isProbe = range !== null && end - start === 1;
  if (!isProbe && hub.intercept?.(name, response, content)) return;
  response.statusCode = range ? 206 : 200;
  response.setHeader('etag', `"${sha256(content)}"`);
  response.setHeader('content-range', `bytes ${start}-${end - 1}/${content.length}`);
  response.end(content.subarray(start, end));
}

function pathInfo(path: string, content: Buffer): unknown {
  const base = { path, type: 'file', size: content.length, oid: gitHash(content) };
  if (!/\.(safetensors|gguf)$/.test(path)) return base;
  return { ...base, lfs: { oid: sha256(content), size: content.length, pointerSize: 134 } };
}
