/** Models: from a name to weights in native memory, a configuration and a tokenizer. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CortuneError, expected } from '../errors.js';
import { type ImageProcessing, readProcessing } from '../images/processing.js';
import { type JobOptions, runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import type { FileHeader, ModelConfig, ModelHandle } from '../native/types.js';
import { configFromJson, readsImages } from './config.js';
import { endsOfFolder, endsOfGguf } from './ends.js';
import { configFromGguf } from './gguf.js';
import { contentHash } from './identity.js';
import { type ModelShape, type ResolvedModel, resolveModel } from './resolve.js';
import { shapedConfig } from './shape.js';
import { TextTokenizer } from './tokenizer.js';
import { readTokenizerParts, type TokenizerParts } from './tokenizer-files.js';
import { tokenizerFromGguf } from './tokenizer-gguf.js';
import { findWeightFiles, planWeights, type WeightPlan } from './weights.js';

export interface LoadOptions extends JobOptions {
  /** Of the random weights of an `untrained:` model. Default 0. */
  seed?: number | undefined;
  /** A line for people: which source of the model failed and which is tried. */
  note?: ((line: string) => void) | undefined;
}

/** What the files of a model say, before any weight is read. */
interface Description {
  config: ModelConfig;
  plan: WeightPlan;
  /** Files whose content decides what the model computes; the configuration is hashed as read. */
  hashed: string[];
  tokenizer: () => TokenizerParts | undefined;
  /** Tokens that end a text. */
  ends: number[];
  /** Of models of images. */
  processing?: ImageProcessing | undefined;
}

/** A model in native memory. Free it with `dispose()` or `using`; garbage collection is the fallback. */
export class Model implements Disposable {
  /** As it was asked for. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly handle: ModelHandle;
  /**
   * SHA-256 over the configuration, the tokenizer's files and the bytes of all weight files (or the seed of random weights). The same for the
   * same content at any path.
   */
  readonly hash: string;
  /** Where the weights come from, as a sentence for people. */
  readonly source: string;
  /** What the tokenizer is made of, to save it beside tuned weights; undefined when the model has none. */
  readonly tokenizerParts: () => TokenizerParts | undefined;
  /** Ids of the tokens that end what the model writes; none where its files name none. */
  readonly ends: readonly number[];
  /** What is done to pictures before the model reads them; undefined for models of texts. */
  readonly processing: ImageProcessing | undefined;
  private readonly makeTokenizer: () => TextTokenizer;
  private cached: TextTokenizer | undefined;

  constructor(
    fields: Pick<Model, 'name' | 'config' | 'handle' | 'hash' | 'source' | 'tokenizerParts' | 'ends' | 'processing'>,
    makeTokenizer: () => TextTokenizer,
  ) {
    this.tokenizerParts = fields.tokenizerParts;
    this.name = fields.name;
    this.config = fields.config;
    this.handle = fields.handle;
    this.hash = fields.hash;
    this.source = fields.source;
    this.ends = fields.ends;
    this.processing = fields.processing;
    this.makeTokenizer = makeTokenizer;
  }

  /** Built on first use. Throws ERR_NOT_FOUND when the model has none, ERR_CONFIG when it belongs to another model. */
  get tokenizer(): TextTokenizer {
    this.cached ??= this.makeTokenizer();
    return this.cached;
  }

  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

async function readConfig(path: string): Promise<ModelConfig> {
  if (!existsSync(path))
    throw new CortuneError(
      'ERR_NOT_FOUND',
      `Expected a model's configuration at ${path}. Check the folder, or download it again.`,
    );
  let raw: unknown;
  try {
    raw = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CortuneError('ERR_FORMAT', `Expected ${path} to be JSON, but ${error.message}. Download it again.`);
  }
  return configFromJson(raw, path);
}

function inspect(path: string, options: JobOptions): Promise<FileHeader> {
  return runJob(() => native().inspectFile({ path }), { signal: options.signal });
}

const kTokenizerFiles = ['tokenizer.json', 'tokenizer_config.json', 'vocab.json', 'merges.txt', 'vocab.txt'];
const kNoWeights: WeightPlan = { files: [], weights: [] };

async function describeFolder(found: ResolvedModel, options: JobOptions): Promise<Description> {
  const { path: folder, random } = found;
  const config = (await shapedConfig(found, options)) ?? (await readConfig(join(folder, 'config.json')));
  if (readsImages(config)) return describeImages(folder, config, random, options);
  const parts = await readTokenizerParts(folder);
  const tokenizerFiles = kTokenizerFiles.map((name) => join(folder, name)).filter((path) => existsSync(path));
  const ends = await endsOfFolder(folder);
  if (random) return { config, plan: kNoWeights, hashed: tokenizerFiles, tokenizer: () => parts, ends };
  const plan = await planFolder(folder, config, options);
  return { config, plan, hashed: [...tokenizerFiles, ...plan.files], tokenizer: () => parts, ends };
}

/** A model of images has no tokenizer; the configuration of its processor decides what it sees. */
async function describeImages(
  folder: string,
  config: ModelConfig,
  random: boolean,
  options: JobOptions,
): Promise<Description> {
  const processing = await readProcessing(folder, config);
  const path = join(folder, 'preprocessor_config.json');
  const processor = existsSync(path) ? [path] : [];
  const plan = random ? kNoWeights : await planFolder(folder, config, options);
  return { config, plan, hashed: [...processor, ...plan.files], tokenizer: () => undefined, ends: [], processing };
}

async function planFolder(folder: string, config: ModelConfig, options: JobOptions): Promise<WeightPlan> {
  const files = [];
  for (const path of await findWeightFiles(folder)) files.push({ path, header: await inspect(path, options) });
  return planWeights(config, files);
}

async function describeGguf(found: ResolvedModel, options: JobOptions): Promise<Description> {
  const { path, random } = found;
  const header = await inspect(path, options);
  const shaped = await shapedConfig(found, options);
  const config = shaped ?? configFromGguf(header, path, await ropeFactors(header, path, options));
  const plan = random ? kNoWeights : planWeights(config, [{ path, header }]);
  const hasTokenizer = 'tokenizer.ggml.model' in header.metadata;
  const tokenizer = () =>
    hasTokenizer ? { json: tokenizerFromGguf(header.metadata, path), config: {}, path } : undefined;
  return { config, plan, hashed: [path], tokenizer, ends: endsOfGguf(header.metadata) };
}

/** Llama 3's rotary divisors, which GGUF keeps as a tensor. */
async function ropeFactors(header: FileHeader, path: string, options: JobOptions): Promise<Float32Array | undefined> {
  const name = 'rope_freqs.weight';
  if (!header.tensors.some((tensor) => tensor.name === name)) return undefined;
  const [handle] = await runJob(() => native().readTensors({ path, names: [name] }), { signal: options.signal });
  const values = native().tensorRead(handle!);
  handle!.dispose();
  return values;
}

function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw expected('seed', 'an integer from 0', seed, typeof seed === 'number' ? 'range' : 'type');
}

function tokenizerMaker(description: Description, resolved: ResolvedModel): () => TextTokenizer {
  return () => {
    if (description.processing)
      throw new CortuneError('ERR_CONFIG', `Expected a model of texts, got ${resolved.path}, which reads images.`);
    const parts = description.tokenizer();
    if (parts) return new TextTokenizer(parts, description.config.vocabSize);
    throw new CortuneError(
      'ERR_NOT_FOUND',
      `Expected a tokenizer in ${resolved.path} (tokenizer.json, or vocab.json with merges.txt, or vocab.txt). Put the model's own there.`,
    );
  };
}

/**
 * Loads a model. `source` is a folder, a GGUF file, a Hub id (`org/name`), a known short name, or any of them after `untrained:` for random
 * weights in its shape, or a shape of its own, as transformers initialises them. float32 weights of safetensors stay mapped, all others become float32.
 *
 * Throws ERR_NOT_FOUND (no such model, file or weight), ERR_FORMAT (a file that is not what it says), ERR_CONFIG (a model that is not
 * supported), ERR_NETWORK, ERR_IO, ERR_MEMORY or ERR_CANCELLED.
 */
export async function loadModel(source: string | ModelShape, options: LoadOptions = {}): Promise<Model> {
  const seed = options.seed ?? 0;
  checkSeed(seed);
  const resolved = await resolveModel(source, options);
  const describe = resolved.kind === 'gguf' ? describeGguf : describeFolder;
  const description = await describe(resolved, options);
  const { config, plan, hashed, ends } = description;
  const weights = resolved.random ? { untrained: seed } : 'trained';
  // The content is hashed while the compute thread reads it.
  const hashing = contentHash([config, weights], hashed, options.signal);
  hashing.catch(() => {}); // awaited below; a failed load comes first
  const handle = await runJob((report) => native().createModel({ config, ...plan, seed }, report), options);
  try {
    const hash = await hashing;
    const name = typeof source === 'string' ? source : source.name;
    const { tokenizer: tokenizerParts, processing } = description;
    const fields = { name, config, handle, hash, source: resolved.source, tokenizerParts, ends, processing };
    return new Model(fields, tokenizerMaker(description, resolved));
  } catch (error) {
    handle.dispose();
    throw options.signal?.aborted ? new CortuneError('ERR_CANCELLED', 'Cancelled.', { cause: error }) : error;
  }
}
