/** The tokenizer that a GGUF file's metadata describes, in the form of tokenizer.json. */
import { CortuneError, show } from '../errors.js';
import { kByteLetters } from './offsets.js';
import {
  type AddedTokenJson,
  added,
  bertNormalizer,
  byteLevel,
  kWordPiece,
  type PartJson,
  type TokenizerJson,
  template,
  wordPieceModel,
} from './tokenizer-json.js';

const kLlama3Split =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const kQwen2Split = kLlama3Split.replace('\\p{N}{1,3}', '\\p{N}');

/**
 * How each `tokenizer.ggml.pre` splits text before merging; '' is GPT-2's own way. `smollm` is read as transformers reads it; llama.cpp
 * also parts every digit, which only tells where white space runs into a digit.
 */
const kSplits: Record<string, string> = {
  default: '',
  'gpt-2': '',
  mpt: '',
  olmo: '',
  smollm: '',
  'llama-bpe': kLlama3Split,
  'llama-v3': kLlama3Split,
  llama3: kLlama3Split,
  'smaug-bpe': kLlama3Split,
  qwen2: kQwen2Split,
  'deepseek-r1-qwen': kQwen2Split,
};

/** llama.cpp's kinds of token. */
const kControl = 3;
const kUserDefined = 4;

/** The tokenizer part of a GGUF file's metadata, with types checked. */
class Ggml {
  private readonly metadata: Record<string, unknown>;
  private readonly path: string;
  readonly tokens: string[];
  readonly kinds: number[];

  constructor(metadata: Record<string, unknown>, path: string) {
    this.metadata = metadata;
    this.path = path;
    this.tokens = this.list('tokens', 'string') as string[];
    if (this.tokens.length === 0) throw this.wrong('hold a tokenizer (`tokenizer.ggml.tokens`)');
    if (new Set(this.tokens).size !== this.tokens.length) throw this.wrong('hold each token once');
    this.kinds = this.list('token_type', 'number') as number[];
  }

  wrong(what: string): CortuneError {
    return new CortuneError('ERR_FORMAT', `Expected ${this.path} to ${what}.`);
  }
  value(key: string): unknown {
    return this.metadata[`tokenizer.ggml.${key}`];
  }
  list(key: string, type: 'string' | 'number'): unknown[] {
    const value = this.value(key) ?? [];
    if (!Array.isArray(value) || value.some((item) => typeof item !== type))
      throw this.wrong(`hold \`tokenizer.ggml.${key}\` as a list of ${type}s`);
    return value;
  }
  text(key: string, otherwise: string): string {
    const value = this.value(key) ?? otherwise;
    if (typeof value !== 'string') throw this.wrong(`say \`tokenizer.ggml.${key}\` as a text`);
    return value;
  }
  flag(key: string, otherwise: boolean): boolean {
    return Boolean(this.value(key) ?? otherwise);
  }
  /** A special token by the key of its id. */
  special(key: string): [string, number] | undefined {
    const id = this.value(`${key}_token_id`);
    if (id === undefined) return undefined;
    const token = typeof id === 'number' ? this.tokens[id] : undefined;
    if (token === undefined)
      throw this.wrong(`name a token of its own by \`tokenizer.ggml.${key}_token_id\`, got ${show(id)}`);
    return [token, id as number];
  }
  merges(): [string, string][] {
    return (this.list('merges', 'string') as string[]).map((merge) => {
      const space = merge.indexOf(' ', 1);
      if (space < 0) throw this.wrong(`hold merges of two parts, got ${show(merge)}`);
      return [merge.slice(0, space), merge.slice(space + 1)];
    });
  }
  template(addFirst: boolean): PartJson {
    const first = this.flag('add_bos_token', addFirst) ? this.special('bos') : undefined;
    const last = this.flag('add_eos_token', false) ? this.special('eos') : undefined;
    return template(first ? [first] : [], last ? [last] : []);
  }
  /** Control tokens are special, user-defined ones stand for their own text. */
  addedTokens(keep: (token: string, kind: number) => boolean): AddedTokenJson[] {
    const named = new Set(['bos', 'eos', 'unknown', 'padding'].map((key) => this.special(key)?.[1]));
    return this.tokens.flatMap((token, id) => {
      const kind = this.kinds[id] ?? 1;
      const special = kind === kControl || named.has(id);
      if (!special && kind !== kUserDefined) return [];
      return named.has(id) || keep(token, kind) ? [added(id, token, special)] : [];
    });
  }
}

function byteLevelGguf(ggml: Ggml): TokenizerJson {
  const pre = ggml.text('pre', 'default');
  const split = Object.hasOwn(kSplits, pre) ? kSplits[pre] : undefined;
  if (split === undefined)
    throw ggml.wrong(
      `split text in a way of ${Object.keys(kSplits).join(', ')}, got \`tokenizer.ggml.pre\` ${show(pre)}`,
    );
  const alphabet = new Set(kByteLetters);
  const isSpelled = (token: string) => [...token].every((letter) => alphabet.has(letter));
  const spell = (token: string) => Array.from(new TextEncoder().encode(token), (byte) => kByteLetters[byte]).join('');
  const vocab = Object.fromEntries(ggml.tokens.map((token, id) => [isSpelled(token) ? token : spell(token), id]));
  return {
    ...byteLevel(split, true),
    added_tokens: ggml.addedTokens((token, kind) => (kind === kControl ? isSpelled(token) : token in vocab)),
    post_processor: ggml.template(false),
    model: { type: 'BPE', unk_token: null, vocab, merges: ggml.merges() },
  };
}

/** Every way to part a token in two tokens is a merge; better scores first (SentencePiece files hold no merges). */
function impliedMerges(tokens: string[], scores: number[]): [string, string][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const found = tokens.flatMap((token, id) => {
    const letters = [...token];
    const ways = [];
    for (let cut = 1; cut < letters.length; cut++) {
      const [left, right] = [letters.slice(0, cut).join(''), letters.slice(cut).join('')];
      const [leftId, rightId] = [ids.get(left), ids.get(right)];
      if (leftId !== undefined && rightId !== undefined)
        ways.push({ left, right, leftId, rightId, cut, rest: letters.length - cut, score: scores[id] ?? 0 });
    }
    return ways.sort((a, b) => a.leftId - b.leftId || a.rightId - b.rightId);
  });
  found.sort((a, b) => b.score - a.score || b.cut - a.cut || b.rest - a.rest);
  return found.map(({ left, right }) => [left, right]);
}

function sentencePieceGguf(ggml: Ggml): TokenizerJson {
  const merges = ggml.merges();
  const prefix = ggml.flag('add_space_prefix', true);
  const metaspace = { replacement: '▁', prepend_scheme: prefix ? 'first' : 'never' };
  const decoders: PartJson[] = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  if (prefix) decoders.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  return {
    added_tokens: ggml.addedTokens(() => true),
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', ...metaspace, split: false },
    decoder: { type: 'Sequence', decoders },
    post_processor: ggml.template(true),
    model: {
      type: 'BPE',
      unk_token: ggml.special('unknown')?.[0] ?? null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(ggml.tokens.map((token, id) => [token, id])),
      merges: merges.length > 0 ? merges : impliedMerges(ggml.tokens, ggml.list('scores', 'number') as number[]),
    },
  };
}

/** llama.cpp writes words with ▁ before them and their continuations bare; BERT's files the other way round. */
function wordPieceGguf(ggml: Ggml): TokenizerJson {
  const isMarked = (token: string) => token.startsWith('[') && token.endsWith(']');
  const words = ggml.tokens.map((token) =>
    isMarked(token) ? token : token.startsWith('▁') ? token.slice(1) : `##${token}`,
  );
  const ids = new Map(words.map((token, id) => [token, id]));
  const special = (key: string, name: string): [string, number] => {
    const id = ggml.special(key)?.[1] ?? ids.get(name);
    if (id === undefined) throw ggml.wrong(`hold the token ${name}`);
    return [words[id]!, id];
  };
  const marks = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].filter((mark) => ids.has(mark));
  // The file does not say whether case matters: a vocabulary without capitals says it.
  const lowercase = !words.some((token) => !isMarked(token) && /\p{Lu}/u.test(token));
  return {
    ...kWordPiece,
    normalizer: bertNormalizer(lowercase),
    added_tokens: marks.map((mark) => added(ids.get(mark)!, mark, true)),
    post_processor: template([special('cls', '[CLS]')], [special('seperator', '[SEP]')]), // GGUF's own spelling
    model: wordPieceModel(Object.fromEntries(ids)),
  };
}

const kGgufModels: Record<string, (ggml: Ggml) => TokenizerJson> = {
  gpt2: byteLevelGguf,
  llama: sentencePieceGguf,
  bert: wordPieceGguf,
};

/** The tokenizer a GGUF file's metadata describes. `path` names the file in messages. Throws ERR_FORMAT. */
export function tokenizerFromGguf(metadata: Record<string, unknown>, path: string): TokenizerJson {
  const ggml = new Ggml(metadata, path);
  const kind = ggml.text('model', '');
  const build = Object.hasOwn(kGgufModels, kind) ? kGgufModels[kind] : undefined;
  if (!build) throw ggml.wrong(`hold a tokenizer of ${Object.keys(kGgufModels).join(', ')}, got ${show(kind)}`);
  return build(ggml);
}
