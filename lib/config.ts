/** Reads a YAML or JSON description against a zod schema; an error names the file, line, key, what was expected and the nearest key. */
import { readFile } from 'node:fs/promises';
import { closest, distance } from 'fastest-levenshtein';
import { isAlias, isMap, isNode, isScalar, Lexer, LineCounter, type Node, Parser, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { CortuneError, show } from './errors.js';

/** A description is written by hand; a larger one is a mistake, or meant to fill the memory. */
const kMaxBytes = 1 << 20;
/** Values that aliases may add before the file is refused (the `yaml` library counts them). */
const kMaxAliases = 100;
/** Open tokens of the parser: some three for each level of nesting. */
const kMaxDepth = 200;
const kMaxKeys = 1000;

/** An object with these keys and no others. `name` is how errors call it: "the study", "a method". */
export function section<Shape extends z.core.$ZodLooseShape>(name: string, shape: Shape) {
  const keys = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? unknownKey(name, issue.keys[0]!, keys) : `a mapping with keys ${list(keys)}`,
  });
}

/** A whole number in a range. */
export function integer(from: number, to: number) {
  const error = `an integer from ${from} to ${to}`;
  return z.int({ error }).min(from, { error }).max(to, { error });
}

/** A finite number in a range, both ends included unless `above` is set, which leaves out the lower end. */
export function real(from: number, to: number, options: { above?: boolean } = {}) {
  const error = options.above ? `a number above ${from}, at most ${to}` : `a number from ${from} to ${to}`;
  const base = z.number({ error }).max(to, { error });
  return options.above ? base.gt(from, { error }) : base.min(from, { error });
}

/** Text with something in it. */
export function text(what = 'text') {
  return z.string({ error: what }).trim().min(1, { error: what });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: (issue) => `one of ${list(words)}${nearest(issue.input, words)}` });
}

/** What may be written for a schema that reads short forms: zod knows only what it becomes. For JSON Schema (lib/study/json-schema.ts). */
const forms = new WeakMap<object, z.ZodType[]>();

/** A schema that reads any of these forms. */
export function written<Schema extends z.ZodType>(schema: Schema, ...as: z.ZodType[]): Schema {
  forms.set(schema._zod.def, as);
  return schema;
}

/** The forms of a schema, where it has several. */
export function formsOf(schema: z.core.$ZodType): z.ZodType[] | undefined {
  return forms.get(schema._zod.def);
}

/** One value or a list of values, read as a list. */
export function listOf<Item extends z.ZodType>(item: Item, what: string, limit = 1000) {
  const list = z
    .array(item, { error: what })
    .min(1, { error: what })
    .max(limit, { error: `${what}, ${limit} at most` });
  const read = z.preprocess((value) => (Array.isArray(value) || value === undefined ? value : [value]), list);
  return written(read, item, list);
}

/** A description with the text it was read from. */
export interface Description<T> {
  value: T;
  text: string;
}

/** Reads and validates a file. Throws ERR_NOT_FOUND, ERR_IO or ERR_CONFIG. */
export async function readDescription<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<Description<z.output<Schema>>> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause as NodeJS.ErrnoException);
  }
  if (content.includes('\0') || content.trim() === '') {
    const got = content.trim() === '' ? 'an empty file' : 'bytes that are no text';
    throw new CortuneError('ERR_CONFIG', `${path}: Expected YAML or JSON, got ${got}.`);
  }
  return { value: parseDescription(content, schema, path), text: content };
}

function unreadable(path: string, cause: NodeJS.ErrnoException): CortuneError {
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
    return new CortuneError('ERR_NOT_FOUND', `Expected a file at ${path}, and there is none. Check the path.`, {
      cause,
    });
  const got = cause.code === 'EISDIR' ? 'a folder. Name the file in it.' : `${cause.message}.`;
  return new CortuneError('ERR_IO', `Expected a file at ${path}, got ${got}`, { cause });
}

/** Parses and validates text; `file` is how errors call it. Throws ERR_CONFIG. */
export function parseDescription<Schema extends z.ZodType>(
  content: string,
  schema: Schema,
  file: string,
): z.output<Schema> {
  if (Buffer.byteLength(content) > kMaxBytes)
    throw new CortuneError('ERR_CONFIG', `${file}: Expected at most ${kMaxBytes} bytes, got ${content.length}.`);
  refuseSize(content, file);
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false });
  const fail = (node: Node | null | undefined, message: string, more = 0): never => {
    const at = lines.linePos(node?.range?.[0] ?? 0);
    const rest = more > 0 ? ` (${more} more after this one)` : '';
    throw new CortuneError('ERR_CONFIG', `${file}:${at.line}:${at.col}: ${message}${rest}`);
  };
  const syntax = document.errors[0];
  if (syntax) {
    const at = lines.linePos(syntax.pos[0]);
    throw new CortuneError('ERR_CONFIG', `${file}:${at.line}:${at.col}: Expected YAML, got: ${syntax.message}`);
  }
  refuseCycles(document.contents, fail);
  const value = toValue(document.toJS.bind(document), file);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  // A misspelt key also leaves the right one missing; the slip is the thing to tell.
  const rank = (issue: Issue) => (issue.code === 'unrecognized_keys' ? 0 : 1);
  const issues = result.error.issues.map(flatten).sort((a, b) => rank(a) - rank(b));
  const issue = issues[0]!;
  const extra = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  return fail(
    nodeAt(document.contents, extra, issue.code === 'unrecognized_keys'),
    sentence(issue, value),
    issues.length - 1,
  );
}

/**
 * What is nested deeper, or has more keys side by side or more aliases, than any description is refused before it is composed: composing recurses with
 * depth, compares every key with every other and looks for the anchor of every alias.
 */
function refuseSize(content: string, file: string): void {
  const parser = new Parser();
  let aliases = 0;
  for (const lexeme of new Lexer().lex(content)) {
    for (const _ of parser.next(lexeme));
    if (lexeme.startsWith('*') && ++aliases > kMaxAliases) throw tooManyAliases(file);
    if (parser.stack.length > kMaxDepth)
      throw new CortuneError(
        'ERR_CONFIG',
        `${file}: Expected values nested at most ${kMaxDepth} deep, got deeper ones.`,
      );
    const top = parser.stack.at(-1);
    const isMapping = top?.type === 'block-map' || (top?.type === 'flow-collection' && top.start.source === '{');
    if (isMapping && top.items.length > kMaxKeys)
      throw new CortuneError('ERR_CONFIG', `${file}: Expected at most ${kMaxKeys} keys in a mapping, got more.`);
  }
}

function toValue(toJS: (options: { maxAliasCount: number }) => unknown, file: string): unknown {
  try {
    return toJS({ maxAliasCount: kMaxAliases });
  } catch (cause) {
    throw tooManyAliases(file, cause);
  }
}

function tooManyAliases(file: string, cause?: unknown): CortuneError {
  const message = `${file}: Expected at most ${kMaxAliases} values repeated through anchors, got more. Write them out.`;
  return new CortuneError('ERR_CONFIG', message, { cause });
}

/** An alias inside the node it stands for would make an endless value. */
function refuseCycles(root: Node | null, fail: (node: Node, message: string) => never): void {
  visit(root, {
    Alias(_, alias, path) {
      const cycle = path.some((parent) => isNode(parent) && 'anchor' in parent && parent.anchor === alias.source);
      if (cycle)
        fail(alias, `Expected \`*${alias.source}\` outside of the value it stands for, got it inside: a cycle.`);
    },
  });
}

type Issue = z.core.$ZodIssue;

/** The issue of the branch that came closest, with its whole path. */
function flatten(issue: Issue): Issue {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const branches = issue.errors.filter((branch) => branch.length > 0);
  const deepest = branches.sort((a, b) => b[0]!.path.length - a[0]!.path.length)[0];
  if (!deepest || deepest[0]!.path.length === 0) return issue;
  return flatten({ ...deepest[0]!, path: [...issue.path, ...deepest[0]!.path] } as Issue);
}

function sentence(issue: Issue, root: unknown): string {
  if (issue.code === 'unrecognized_keys') return issue.message;
  if (issue.code === 'custom' && issue.message.startsWith('Expected')) return issue.message;
  const value = issue.path.reduce<unknown>(
    // A single value may stand for a list or a mapping that holds it.
    (at, key) => (at instanceof Object ? (at as Record<PropertyKey, unknown>)[key] : at),
    root,
  );
  return `Expected \`${keyName(issue.path)}\` to be ${issue.message}, got ${value === undefined ? 'nothing' : show(value)}`;
}

/** `methods[2].rank` */
function keyName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'the file';
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('');
}

/** The node at a path, or the nearest one above it that the text has. */
function nodeAt(root: Node | null, path: readonly PropertyKey[], wantKey: boolean): Node | null {
  let node: Node | null = root;
  for (const [depth, key] of path.entries()) {
    const pair = isMap(node) ? node.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
    if (pair && wantKey && depth === path.length - 1) return pair.key as Node;
    const next: unknown = pair
      ? pair.value
      : node && 'items' in node
        ? (node as { items: unknown[] }).items[key as number]
        : undefined;
    if (!isNode(next) || isAlias(next)) return node;
    node = next;
  }
  return node;
}

function unknownKey(name: string, key: string, keys: string[]): string {
  return `Unknown key \`${key}\` in ${name}${nearest(key, keys)}. Its keys are ${list(keys)}.`;
}

/** `; did you mean \`rank\`?` when a word is near enough to be a slip of the fingers, else nothing. */
function nearest(word: unknown, words: readonly string[]): string {
  if (typeof word !== 'string' || words.length === 0) return '';
  const found = closest(word, words);
  return distance(word, found) <= Math.max(2, found.length / 3) ? ` (did you mean \`${found}\`?)` : '';
}

function list(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(', ');
}
