/** Descriptions of tokenizers in the form of tokenizer.json: their parts, and those made of the older vocabulary files. */
import type { NormalizerJson } from './normalize.js';

export interface AddedTokenJson {
  id: number;
  content: string;
  special: boolean;
  normalized: boolean;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
}

/** The parts of tokenizer.json that are read here; the library reads the rest. */
export interface TokenizerJson {
  added_tokens: AddedTokenJson[];
  normalizer: NormalizerJson | null;
  pre_tokenizer: PartJson | null;
  post_processor: PartJson | null;
  decoder: PartJson | null;
  model: {
    type?: string;
    vocab: Record<string, number> | [string, number][];
    unk_token?: string | null;
    [key: string]: unknown;
  };
}
export interface PartJson {
  type: string;
  [key: string]: unknown;
}

/** tokenizer_config.json, as far as it is read. */
export interface TokenizerConfigJson {
  clean_up_tokenization_spaces?: boolean;
  [key: string]: unknown;
}

export function added(id: number, content: string, special: boolean): AddedTokenJson {
  return { id, content, special, normalized: false, single_word: false, lstrip: false, rstrip: false };
}

/** Puts `before` and `after` around every text. */
export function template(before: [string, number][], after: [string, number][]): PartJson {
  const piece = ([content]: [string, number]) => ({ SpecialToken: { id: content, type_id: 0 } });
  const single = [...before.map(piece), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(piece)];
  const special_tokens = Object.fromEntries(
    [...before, ...after].map(([content, id]) => [content, { id: content, ids: [id], tokens: [content] }]),
  );
  return { type: 'TemplateProcessing', single, pair: single, special_tokens };
}

export function byteLevel(
  split: string,
  trim: boolean,
): Pick<TokenizerJson, 'normalizer' | 'pre_tokenizer' | 'decoder'> {
  const bytes = (use_regex: boolean) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: trim, use_regex });
  const pre_tokenizer = split
    ? {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: split }, behavior: 'Isolated', invert: false },
          bytes(false),
        ],
      }
    : bytes(true);
  return { normalizer: null, pre_tokenizer, decoder: bytes(true) };
}

export const kWordPiece = {
  pre_tokenizer: { type: 'BertPreTokenizer' },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
};
export function bertNormalizer(lowercase: boolean): NormalizerJson {
  return { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase };
}
export function wordPieceModel(vocab: Record<string, number>) {
  return {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab,
  };
}

function specialName(config: TokenizerConfigJson, key: string): string | undefined {
  const value = config[key];
  const content = typeof value === 'object' && value !== null ? (value as { content?: unknown }).content : value;
  return typeof content === 'string' ? content : undefined;
}

/** Byte-level BPE from GPT-2's `vocab.json` and `merges.txt` (OPT has no tokenizer.json). */
export function tokenizerFromBpeFiles(
  vocab: Record<string, number>,
  merges: string,
  config: TokenizerConfigJson,
): TokenizerJson {
  const lines = merges.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#version'));
  const named = ['bos_token', 'eos_token', 'unk_token', 'pad_token'].map((key) => specialName(config, key));
  const specials = [...new Set(named)].filter((name): name is string => name !== undefined && name in vocab);
  const first = config.add_bos_token === true ? specialName(config, 'bos_token') : undefined;
  return {
    ...byteLevel('', true),
    added_tokens: specials.map((name) => added(vocab[name]!, name, true)),
    post_processor: template(first !== undefined && first in vocab ? [[first, vocab[first]!]] : [], []),
    model: { type: 'BPE', unk_token: null, vocab, merges: lines.map((line) => line.trim().split(' ')) },
  };
}

/** WordPiece from BERT's `vocab.txt`, a token a line. */
export function tokenizerFromVocabText(text: string, config: TokenizerConfigJson): TokenizerJson {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  const vocab = Object.fromEntries(lines.map((token, id) => [token, id]));
  const marks = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].filter((mark) => mark in vocab);
  const around = (mark: string): [string, number][] => (mark in vocab ? [[mark, vocab[mark]!]] : []);
  return {
    ...kWordPiece,
    normalizer: bertNormalizer(config.do_lower_case !== false),
    added_tokens: marks.map((mark) => added(vocab[mark]!, mark, true)),
    post_processor: template(around('[CLS]'), around('[SEP]')),
    model: wordPieceModel(vocab),
  };
}
