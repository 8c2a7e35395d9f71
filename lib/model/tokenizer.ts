/** Text to token ids and back, with the place of every token in the text. */
import { Tokenizer } from '@huggingface/tokenizers';
import { CortuneError, expected } from '../errors.js';
import { buildNormalizer, type Normalizer, textOf, unitsOf } from './normalize.js';
import { type AlignOptions, alignTokens, kByteLetters, type Span, trimSpaces } from './offsets.js';
import type { TokenizerParts } from './tokenizer-files.js';
import type { PartJson, TokenizerConfigJson, TokenizerJson } from './tokenizer-json.js';

/** A text's tokens. */
export interface Encoded {
  ids: Int32Array;
  /** Two numbers a token: start and end in the text (UTF-16 units, end exclusive); -1, -1 for tokens the tokenizer put around it. */
  offsets: Int32Array;
}

/** All parts of one kind, those inside sequences too. */
function partsOf(part: PartJson | null, inner: string): PartJson[] {
  if (!part) return [];
  const nested = part[inner];
  return [part, ...(Array.isArray(nested) ? nested.flatMap((each: PartJson) => partsOf(each, inner)) : [])];
}

const kGpt2Split = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

function split(Regex: string): PartJson {
  return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
}

/**
 * The library's own patterns of `Digits` and `ByteLevel` take JavaScript's word for what a digit or a space is; those given to `Split` it
 * translates to the reference's.
 */
function mendPatterns(part: PartJson | null): PartJson | null {
  if (!part) return part;
  if (part.type === 'Digits') return split(part.individual_digits ? '\\p{N}' : '\\p{N}+');
  if (part.type === 'ByteLevel' && part.use_regex !== false && !part.add_prefix_space)
    return { type: 'Sequence', pretokenizers: [split(kGpt2Split), { ...part, use_regex: false }] };
  const inner = part.pretokenizers;
  return Array.isArray(inner) ? { ...part, pretokenizers: inner.map(mendPatterns) } : part;
}

/** The library's byte decoders drop a byte order mark, which is text like any other. */
function mendDecoders(decoder: unknown): void {
  const { decoders, text_decoder } = (decoder ?? {}) as { decoders?: unknown[]; text_decoder?: unknown };
  if (text_decoder) Object.assign(decoder as object, { text_decoder: new TextDecoder('utf-8', { ignoreBOM: true }) });
  for (const inner of decoders ?? []) mendDecoders(inner);
}

const kSentinel = '\uFFFC';

/** A token as tokenizer_config.json names it: a text, or an object that holds it. */
function tokenText(token: unknown): string | undefined {
  const text = typeof token === 'string' ? token : (token as { content?: unknown } | null | undefined)?.content;
  return typeof text === 'string' ? text : undefined;
}

/** The special tokens that tokenizer_config.json names, as texts. */
function specialNames(config: TokenizerConfigJson): string[] {
  const tokens = [config.bos_token, config.eos_token, config.cls_token, config.sep_token];
  const texts = tokens.map(tokenText);
  return [...new Set(texts.filter((text): text is string => text !== undefined && text !== ''))];
}

const kLetterBytes = new Map(Array.from(kByteLetters, (letter, byte) => [letter, byte]));

/** The bytes that a token of byte-level BPE spells; undefined when it is no such spelling. */
function bytesOfLetters(token: string): Uint8Array | undefined {
  const bytes = [...token].map((letter) => kLetterBytes.get(letter));
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[]);
}
function bytesOfMetaspace(token: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
  return byte ? Uint8Array.of(Number.parseInt(byte[1]!, 16)) : new TextEncoder().encode(token.replaceAll('▁', ' '));
}

export class TextTokenizer {
  /** One more than the largest id of the vocabulary. */
  readonly vocabSize: number;
  private readonly tokenizer: Tokenizer;
  private readonly normalize: Normalizer;
  private readonly align: AlignOptions;
  private readonly firstOnly: boolean;
  private readonly literals: RegExp | undefined;
  private readonly trim: { prefixSpace: boolean } | undefined;
  private readonly before: number[];
  private readonly after: number[];
  private readonly byContent: Map<string, number>;
  private readonly specialIds: Set<number>;
  private readonly maskName: string | undefined;
  private readonly cleanUp: boolean;
  private readonly limit: number;
  private readonly path: string;
  private readonly pieces: () => Iterable<readonly [string, number]>;

  /** `embeddingRows` is the model's vocabulary. Throws ERR_CONFIG when the tokenizer has more tokens than the model knows. */
  constructor(parts: TokenizerParts, embeddingRows: number = Number.POSITIVE_INFINITY) {
    const { json, config, path } = parts;
    this.path = path;
    this.limit = embeddingRows;
    const { model } = json;
    this.pieces = () =>
      Array.isArray(model.vocab) ? model.vocab.map(([token], id) => [token, id] as const) : Object.entries(model.vocab);
    const ids = Array.isArray(model.vocab) ? model.vocab.map((_, id) => id) : Object.values(model.vocab);
    this.vocabSize = ids.reduce((most, id) => Math.max(most, id + 1), 0);
    if (this.vocabSize > embeddingRows)
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected the tokenizer of the model, with at most ${embeddingRows} tokens, got one with ${this.vocabSize} in ${path}: a wrong tokenizer. Put the model's own there.`,
      );
    this.checkFit(json, config);
    this.normalize = buildNormalizer(json.normalizer);
    this.tokenizer = this.build(json, config);
    this.cleanUp = config.clean_up_tokenization_spaces ?? false;
    this.byContent = new Map(json.added_tokens.map(({ content, id }) => [content, id]));
    this.specialIds = new Set(json.added_tokens.filter((token) => token.special).map((token) => token.id));
    this.maskName = tokenText(config.mask_token);
    this.align = this.alignOptions(json);
    this.firstOnly = partsOf(json.pre_tokenizer, 'pretokenizers').some((part) => part.prepend_scheme === 'first');
    const raw = json.added_tokens.filter((token) => !token.normalized).map((token) => token.content);
    const longestFirst = raw
      .sort((a, b) => b.length - a.length)
      .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    this.literals = longestFirst.length > 0 ? new RegExp(longestFirst.join('|'), 'g') : undefined;
    const trimming = partsOf(json.post_processor, 'processors').find(
      (part) => (part.type === 'ByteLevel' || part.type === 'RobertaProcessing') && part.trim_offsets !== false,
    );
    this.trim = trimming && { prefixSpace: trimming.add_prefix_space !== false };
    [this.before, this.after] = this.around();
  }

  /**
   * A sign of another model's tokenizer: it knows none of the special tokens it should have. (A vocabulary smaller than the model's is none:
   * embeddings are padded, and small models are made with the tables of large ones.)
   */
  private checkFit(json: TokenizerJson, config: TokenizerConfigJson): void {
    const special = specialNames(config);
    const { vocab } = json.model;
    const known = new Set([
      ...(Array.isArray(vocab) ? vocab.map(([token]) => token) : Object.keys(vocab)),
      ...json.added_tokens.map(({ content }) => content),
    ]);
    if (special.length > 0 && !special.some((name) => known.has(name)))
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected the tokenizer of the model, got one in ${this.path} that knows none of ${special.map((name) => `\`${name}\``).join(', ')}, ` +
          "which tokenizer_config.json names: a wrong tokenizer. Put the model's own there.",
      );
  }

  private build(json: TokenizerJson, config: TokenizerConfigJson): Tokenizer {
    try {
      const tokenizer = new Tokenizer(
        { ...json, normalizer: null, pre_tokenizer: mendPatterns(json.pre_tokenizer) },
        config,
      );
      // Ours gives the same text with the places of its characters, so that both see one normalised text.
      const normalize = (text: string) => textOf(this.normalize(unitsOf(text)));
      if (json.normalizer) Object.assign(tokenizer, { normalizer: normalize });
      mendDecoders(tokenizer.decoder);
      return tokenizer;
    } catch (error) {
      throw new CortuneError('ERR_FORMAT', `Expected a tokenizer in ${this.path}, but ${(error as Error).message}.`, {
        cause: error,
      });
    }
  }

  private alignOptions(json: TokenizerJson): AlignOptions {
    const before = partsOf(json.pre_tokenizer, 'pretokenizers');
    const bytes = before.find((part) => part.type === 'ByteLevel');
    const metaspace = before.find((part) => part.type === 'Metaspace');
    const isWordPiece =
      json.model.type === 'WordPiece' || (!json.model.type && 'max_input_chars_per_word' in json.model);
    const isPrefixed = metaspace && metaspace.prepend_scheme !== 'never' && metaspace.add_prefix_space !== false;
    return {
      spelling: isWordPiece ? 'wordpiece' : bytes ? 'bytes' : 'metaspace',
      prefix: bytes?.add_prefix_space ? ' ' : isPrefixed ? '▁' : '',
      isLiteral: (token) => this.byContent.has(token),
      unknown: json.model.unk_token ?? undefined,
      fuseUnknown: json.model.fuse_unk === true,
      continuing: String(json.model.continuing_subword_prefix ?? ''),
    };
  }

  /** The id that hides a token in masked language modelling (`mask_token`, else `[MASK]` or `<mask>`); undefined when there is none. */
  get maskId(): number | undefined {
    for (const name of [this.maskName, '[MASK]', '<mask>'])
      if (name !== undefined && this.byContent.has(name)) return this.byContent.get(name);
    return undefined;
  }

  /** Is `id` a token that stands for no text, as `[CLS]`? */
  isSpecial(id: number): boolean {
    return this.specialIds.has(id);
  }

  /** Ids that the tokenizer puts before and after every text. */
  private around(): [number[], number[]] {
    const processed = this.tokenizer.post_processor?.([kSentinel], null, true) as { tokens: string[] } | undefined;
    const tokens = processed?.tokens ?? [kSentinel];
    const ids = tokens.map((token) => (token === kSentinel ? -1 : this.idOf(token)));
    const at = ids.indexOf(-1);
    return [ids.slice(0, at), ids.slice(at + 1)];
  }

  private idOf(token: string): number {
    const id = this.byContent.get(token) ?? this.tokenizer.token_to_id(token);
    if (id === undefined)
      throw new CortuneError(
        'ERR_FORMAT',
        `Expected the tokenizer in ${this.path} to know its own token \`${token}\`.`,
      );
    return id;
  }

  /**
   * The tokens of `text`. `special` (default true) adds what the tokenizer puts around every text, as `<s>` or `[CLS]` and `[SEP]`.
   * Throws ERR_CONFIG when a token is none of the model's.
   */
  encode(text: string, options: { special?: boolean } = {}): Encoded {
    if (typeof text !== 'string') throw expected('text', 'a string', text, 'type');
    const { ids, tokens } = this.tokenizer.encode(text, { add_special_tokens: false });
    const unknown = ids.findIndex((id: number | undefined) => id === undefined || id >= this.limit);
    if (unknown >= 0)
      throw new CortuneError(
        'ERR_CONFIG',
        `Expected tokens of the model's ${this.limit}, got \`${tokens[unknown]}\` with id ${ids[unknown]}. The tokenizer in ${this.path} does not fit the model, or the text holds a token it was not made for.`,
      );
    const spans = this.spans(text, tokens);
    const special = options.special ?? true;
    const before = special ? this.before : [];
    const after = special ? this.after : [];
    const none = (count: number) => new Array<number>(2 * count).fill(-1);
    return {
      ids: Int32Array.from([...before, ...ids, ...after]),
      offsets: Int32Array.from([...none(before.length), ...spans.flat(), ...none(after.length)]),
    };
  }

  private spans(text: string, tokens: string[]): Span[] {
    const spans: Span[] = [];
    const sections = this.sections(text);
    for (const [i, section] of sections.entries()) {
      if (section.literal) {
        spans.push([section.start, section.start + section.text.length]);
        continue;
      }
      const [units, stop] = [this.sectionUnits(section), sections[i + 1]?.text];
      spans.push(...alignTokens(units, tokens, spans.length, stop, this.sectionAlign(i)));
    }
    if (this.trim) trimSpaces(text, tokens, spans, this.trim.prefixSpace);
    return spans;
  }

  private sectionUnits(section: { text: string; start: number }) {
    const units = this.normalize(unitsOf(section.text, section.start));
    return this.align.spelling === 'metaspace'
      ? units.map((unit) => (unit.text === ' ' ? { ...unit, text: '▁' } : unit))
      : units;
  }

  /** A Metaspace prefix of scheme `first` stands before the first section only. */
  private sectionAlign(index: number): AlignOptions {
    return index > 0 && this.align.prefix === '▁' && this.firstOnly ? { ...this.align, prefix: '' } : this.align;
  }
  /** Text parted at tokens that stand for themselves. */
  private sections(text: string): { text: string; start: number; literal: boolean }[] {
    const out: { text: string; start: number; literal: boolean }[] = [];
    let at = 0;
    const rest = (end: number) => {
      if (end > at) out.push({ text: text.slice(at, end), start: at, literal: false });
    };
    for (const match of this.literals ? text.matchAll(this.literals) : []) {
      rest(match.index);
      out.push({ text: match[0], start: match.index, literal: true });
      at = match.index + match[0].length;
    }
    rest(text.length);
    return out;
  }

  /** What each token adds to a text, as bytes of UTF-8; nothing for special tokens. Of decoders: SentencePiece writes no space first of all. */
  tokenBytes(): Uint8Array[] {
    const encoder = new TextEncoder();
    const spelled = this.align.spelling === 'bytes' ? bytesOfLetters : bytesOfMetaspace;
    const all = Array.from({ length: this.vocabSize }, (): Uint8Array => new Uint8Array());
    for (const [token, id] of this.pieces()) all[id] = spelled(token) ?? encoder.encode(token);
    for (const [token, id] of this.byContent)
      all[id] = this.specialIds.has(id) ? new Uint8Array() : encoder.encode(token);
    return all;
  }

  /** The text of `ids`; `special` (default false) keeps special tokens in it. */
  decode(ids: ArrayLike<number>, options: { special?: boolean } = {}): string {
    const kept = Array.from(ids).filter((id) => options.special || !this.specialIds.has(id));
    return kept.length === 0 ? '' : this.tokenizer.decode(kept, { clean_up_tokenization_spaces: this.cleanUp });
  }
}
