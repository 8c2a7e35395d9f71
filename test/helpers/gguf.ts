/** A plain writer of GGUF files, so that tests can make any, whole or lying; and tiny models as llama.cpp's converter stores them. */
import type { PlainTensor, PlainTensors } from './safetensors.js';

const kTypes = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};
type Scalar = Exclude<keyof typeof kTypes, 'array'>;

/** A metadata value with its type. */
export type GgufValue =
  | { type: Scalar; value: number | string | boolean | bigint }
  | { type: 'array'; of: Scalar; value: (number | string | boolean | bigint)[] };

export interface GgufTensor {
  name: string;
  /** Outermost first, as torch has it. */
  shape: (number | bigint)[];
  /** ggml's number of the type; 0 is float32. */
  type: number;
  data: Uint8Array;
  /** Instead of the place the tensor has. */
  offset?: bigint;
}

export interface GgufFile {
  version?: number;
  metadata: Record<string, GgufValue>;
  tensors: GgufTensor[];
  /** Instead of the true counts. */
  tensorCount?: bigint;
  metadataCount?: bigint;
}

const kWriters: Record<Scalar, [number, (bytes: DataView, value: number | bigint) => void]> = {
  u8: [1, (bytes, value) => bytes.setUint8(0, Number(value))],
  i8: [1, (bytes, value) => bytes.setInt8(0, Number(value))],
  bool: [1, (bytes, value) => bytes.setUint8(0, Number(value))],
  u16: [2, (bytes, value) => bytes.setUint16(0, Number(value), true)],
  i16: [2, (bytes, value) => bytes.setInt16(0, Number(value), true)],
  u32: [4, (bytes, value) => bytes.setUint32(0, Number(value), true)],
  i32: [4, (bytes, value) => bytes.setInt32(0, Number(value), true)],
  f32: [4, (bytes, value) => bytes.setFloat32(0, Number(value), true)],
  u64: [8, (bytes, value) => bytes.setBigUint64(0, BigInt(value), true)],
  i64: [8, (bytes, value) => bytes.setBigInt64(0, BigInt(value), true)],
  f64: [8, (bytes, value) => bytes.setFloat64(0, Number(value), true)],
  string: [0, () => {}],
};

function scalar(type: Scalar, value: number | string | boolean | bigint): Buffer {
  if (type === 'string') return text(String(value));
  const [size, write] = kWriters[type];
  const bytes = Buffer.alloc(size);
  write(new DataView(bytes.buffer, bytes.byteOffset, size), typeof value === 'bigint' ? value : Number(value));
  return bytes;
}

function u32(value: number): Buffer {
  return scalar('u32', value);
}
function u64(value: number | bigint): Buffer {
  return scalar('u64', value);
}
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}
function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);
}

function pair(key: string, entry: GgufValue): Buffer {
  if (entry.type !== 'array')
    return Buffer.concat([text(key), u32(kTypes[entry.type]), scalar(entry.type, entry.value)]);
  const items = entry.value.map((item) => scalar(entry.of, item));
  return Buffer.concat([text(key), u32(kTypes.array), u32(kTypes[entry.of]), u64(items.length), ...items]);
}

/** The bytes of a GGUF file. */
export function ggufBytes(file: GgufFile): Buffer {
  let offset = 0n;
  const infos = file.tensors.map((tensor) => {
    const dims = [...tensor.shape].reverse().map(u64);
    const info = Buffer.concat([
      text(tensor.name),
      u32(dims.length),
      ...dims,
      u32(tensor.type),
      u64(tensor.offset ?? offset),
    ]);
    offset += BigInt(padded(tensor.data).length);
    return info;
  });
  const pairs = Object.entries(file.metadata).map(([key, value]) => pair(key, value));
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(file.version ?? 3),
    u64(file.tensorCount ?? file.tensors.length),
    u64(file.metadataCount ?? pairs.length),
    ...pairs,
    ...infos,
  ]);
  return Buffer.concat([padded(header), ...file.tensors.map((tensor) => padded(tensor.data))]);
}

export function float32Tensor(name: string, { shape, data }: PlainTensor): GgufTensor {
  return { name, shape, type: 0, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** Rows of `tensor` in another order: row i of the result is row `from(i)`. */
function reordered({ shape, data }: PlainTensor, from: (row: number) => number): PlainTensor {
  const rows = shape[0]!;
  const width = data.length / rows;
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) out.set(data.subarray(from(row) * width, (from(row) + 1) * width), row * width);
  return { shape, data: out };
}

/** What llama.cpp does to q and k of the llama architecture: the halves of each head interleaved. */
export function interleaved(tensor: PlainTensor, heads: number): PlainTensor {
  const d = tensor.shape[0]! / heads;
  return reordered(tensor, (row) => {
    const [head, place] = [Math.floor(row / d), row % d];
    return head * d + (place % 2) * (d / 2) + Math.floor(place / 2);
  });
}

/** What llama.cpp does to NeoX's q, k and v of each head: all q, then all k, then all v. */
export function ungrouped(tensor: PlainTensor, heads: number): PlainTensor {
  const d = tensor.shape[0]! / heads / 3;
  return reordered(tensor, (row) => {
    const [part, rest] = [Math.floor(row / (heads * d)), row % (heads * d)];
    return (Math.floor(rest / d) * 3 + part) * d + (rest % d);
  });
}

export function transposed({ shape, data }: PlainTensor): PlainTensor {
  const [rows, columns] = shape as [number, number];
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]!;
  return { shape: [columns, rows], data: out };
}

const u = (value: number): GgufValue => ({ type: 'u32', value });
const f = (value: number): GgufValue => ({ type: 'f32', value });

/** A tiny Hugging Face model as a GGUF file of architecture `llama`, `qwen2`, `gpt2`, `gptneox` or `bert`. */
export function asGguf(architecture: string, config: Record<string, number | boolean>, weights: PlainTensors): Buffer {
  const heads = Number(config.num_attention_heads ?? config.n_head);
  const keyHeads = Number(config.num_key_value_heads ?? heads);
  const size = Number(config.hidden_size ?? config.n_embd);
  const metadata: Record<string, GgufValue> = { 'general.architecture': { type: 'string', value: architecture } };
  const say = (key: string, value: GgufValue) => {
    metadata[`${architecture}.${key}`] = value;
  };
  say('vocab_size', u(Number(config.vocab_size)));
  say('block_count', u(Number(config.num_hidden_layers ?? config.n_layer)));
  say('context_length', u(Number(config.max_position_embeddings ?? config.n_positions)));
  say('embedding_length', u(size));
  say('feed_forward_length', u(Number(config.intermediate_size ?? config.n_inner ?? 4 * size)));
  say('attention.head_count', u(heads));
  say('attention.head_count_kv', u(keyHeads));
  const eps = Number(config.rms_norm_eps ?? config.layer_norm_eps ?? config.layer_norm_epsilon);
  say(config.rms_norm_eps ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon', f(eps));
  if (config.rope_theta) say('rope.freq_base', f(Number(config.rope_theta)));
  if (architecture === 'gptneox') {
    say('rope.dimension_count', u((size / heads) * Number(config.rotary_pct)));
    say('use_parallel_residual', { type: 'bool', value: Boolean(config.use_parallel_residual ?? true) });
  }
  const tensors = [...weights].map(([name, tensor]) => {
    const stored = ggufName(name);
    if (architecture === 'llama' && /attn_q/.test(stored)) return float32Tensor(stored, interleaved(tensor, heads));
    if (architecture === 'llama' && /attn_k/.test(stored)) return float32Tensor(stored, interleaved(tensor, keyHeads));
    if (/attn_qkv/.test(stored) && architecture === 'gptneox') return float32Tensor(stored, ungrouped(tensor, heads));
    if (architecture === 'gpt2' && /(c_attn|c_proj|c_fc)\.weight/.test(name))
      return float32Tensor(stored, transposed(tensor));
    return float32Tensor(stored, tensor);
  });
  return ggufBytes({ metadata, tensors });
}

// In this order: what comes first is taken.
const kRenames: [RegExp, string][] = [
  [/^(model|transformer|gpt_neox|bert)\./, ''],
  [/^(layers|h|encoder\.layer)\./, 'blk.'],
  [/^embed_tokens|^wte|^embed_in|^embeddings\.word_embeddings/, 'token_embd'],
  [/^wpe|^embeddings\.position_embeddings/, 'position_embd'],
  [/^embeddings\.token_type_embeddings/, 'token_types'],
  [/^embeddings\.LayerNorm/, 'token_embd_norm'],
  [/^norm|^ln_f|^final_layer_norm/, 'output_norm'],
  [/^lm_head|^embed_out/, 'output'],
  [/attention\.output\.LayerNorm/, 'attn_output_norm'],
  [/attention\.output\.dense/, 'attn_output'],
  [/output\.LayerNorm/, 'layer_output_norm'],
  [/intermediate\.dense|mlp\.up_proj|mlp\.c_fc|mlp\.dense_h_to_4h/, 'ffn_up'],
  [/output\.dense|mlp\.down_proj|mlp\.c_proj|mlp\.dense_4h_to_h/, 'ffn_down'],
  [/mlp\.gate_proj/, 'ffn_gate'],
  [/attn\.c_attn|attention\.query_key_value/, 'attn_qkv'],
  [/self_attn\.q_proj|attention\.self\.query/, 'attn_q'],
  [/self_attn\.k_proj|attention\.self\.key/, 'attn_k'],
  [/self_attn\.v_proj|attention\.self\.value/, 'attn_v'],
  [/self_attn\.o_proj|attn\.c_proj|attention\.dense/, 'attn_output'],
  [/input_layernorm|ln_1/, 'attn_norm'],
  [/post_attention_layernorm|ln_2/, 'ffn_norm'],
];

function ggufName(name: string): string {
  return kRenames.reduce((current, [pattern, replacement]) => current.replace(pattern, replacement), name);
}
