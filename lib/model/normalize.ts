/** Text normalisation that remembers where each character came from, as the reference tokenizers do it. */
import { CortuneError, show } from '../errors.js';

/** One code point after normalisation, and the range of the original text it stands for (UTF-16 units, end exclusive). */
export interface Unit {
  text: string;
  start: number;
  end: number;
}

export type Normalizer = (units: Unit[]) => Unit[];

/** A normaliser's description in tokenizer.json. */
export interface NormalizerJson {
  type: string;
  normalizers?: NormalizerJson[];
  pattern?: { String?: string; Regex?: string };
  content?: string;
  prepend?: string;
  strip_left?: boolean;
  strip_right?: boolean;
  clean_text?: boolean;
  handle_chinese_chars?: boolean;
  strip_accents?: boolean | null;
  lowercase?: boolean;
}

/** The code points of `text`; `base` is where it starts in the original. */
export function unitsOf(text: string, base = 0): Unit[] {
  const units: Unit[] = [];
  let at = base;
  for (const point of text) {
    units.push({ text: point, start: at, end: at + point.length });
    at += point.length;
  }
  return units;
}

export function textOf(units: Unit[]): string {
  let text = '';
  for (const unit of units) text += unit.text;
  return text;
}

// Composition never crosses these: a base with its marks, and Hangul syllables spelled as jamo.
const kCluster = /[\u1100-\u115f][\u1160-\u11a7][\u11a8-\u11ff]?|[\s\S]\p{M}*/gu;

/** The normalised code points `after` of the units `before`: each keeps the place of the one it came from. */
function place(before: Unit[], after: string[]): Unit[] {
  if (after.length === before.length) return after.map((text, i) => ({ ...before[i]!, text }));
  // Decomposed: what one code point becomes has its place. Composed: the result has the place of the base.
  const grown = after.length > before.length;
  const shift = before.length - after.length;
  return after.map((text, i) => {
    const from = grown ? 0 : i === 0 ? 0 : i + shift;
    const origin = before[Math.min(grown ? Math.max(0, i + shift) : from, before.length - 1)]!;
    return { ...origin, text };
  });
}

function unicode(form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD'): Normalizer {
  return (units) => {
    const text = textOf(units);
    const whole = text.normalize(form);
    if (whole === text) return units;
    const out: Unit[] = [];
    let at = 0;
    for (const cluster of text.match(kCluster) ?? []) {
      const size = [...cluster].length;
      const before = units.slice(at, at + size);
      at += size;
      const after = cluster.normalize(form);
      if (after === cluster) out.push(...before);
      else out.push(...place(before, [...after]));
    }
    return textOf(out) === whole ? out : place(units, [...whole]);
  };
}

/** Each code point becomes those of `change(point)`, all in its place. */
function each(change: (point: string) => string): Normalizer {
  return (units) => {
    if (!units.some((unit) => change(unit.text) !== unit.text)) return units;
    return units.flatMap((unit) => [...change(unit.text)].map((text) => ({ ...unit, text })));
  };
}

const lowercase = each((point) => point.toLowerCase());
const decompose = unicode('NFD');

// Point by point, as the reference: text that was decomposed before loses its accents too.
const stripMarks: Normalizer = (units) => decompose(units).filter((unit) => !/\p{Mn}/u.test(unit.text));

const kCjk: [number, number][] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

function isCjk(point: string): boolean {
  const code = point.codePointAt(0)!;
  return kCjk.some(([first, last]) => code >= first && code <= last);
}

const cleanText = each((point) => {
  if (/[\t\n\r]/.test(point)) return ' ';
  if (point === '\0' || point === '\ufffd' || /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u.test(point)) return '';
  return /\p{White_Space}/u.test(point) ? ' ' : point;
});

function bert(json: NormalizerJson): Normalizer {
  const steps: Normalizer[] = [];
  if (json.clean_text ?? true) steps.push(cleanText);
  if (json.handle_chinese_chars ?? true) steps.push(each((point) => (isCjk(point) ? ` ${point} ` : point)));
  if (json.strip_accents ?? json.lowercase ?? true) steps.push(stripMarks);
  if (json.lowercase ?? true) steps.push(lowercase);
  return sequence(steps);
}

function sequence(steps: Normalizer[]): Normalizer {
  return (units) => steps.reduce((current, step) => step(current), units);
}

function replace(json: NormalizerJson): Normalizer {
  const { String: literal, Regex: pattern } = json.pattern ?? {};
  const source = literal?.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') ?? pattern ?? '(?!)';
  const regex = new RegExp(source, 'gu');
  const content = [...(json.content ?? '')];
  return (units) => {
    const text = textOf(units);
    const starts = new Map<number, number>(); // unit that starts at an index of `text`
    let at = 0;
    for (const [i, unit] of units.entries()) {
      starts.set(at, i);
      at += unit.text.length;
    }
    starts.set(at, units.length);
    const out: Unit[] = [];
    let done = 0;
    for (const match of text.matchAll(regex)) {
      const [first, last] = [starts.get(match.index), starts.get(match.index + match[0].length)];
      if (first === undefined || last === undefined || last <= first) continue;
      out.push(...units.slice(done, first));
      const range = { start: units[first]!.start, end: units[last - 1]!.end };
      out.push(...content.map((point) => ({ ...range, text: point })));
      done = last;
    }
    return done === 0 ? units : [...out, ...units.slice(done)];
  };
}

/** Units of `text` put before the first unit, in its place. */
export function prepend(text: string, units: Unit[]): Unit[] {
  const first = units[0];
  return first ? [...[...text].map((point) => ({ ...first, text: point })), ...units] : units;
}

function strip(json: NormalizerJson): Normalizer {
  const isSpace = (unit: Unit) => /\p{White_Space}/u.test(unit.text);
  return (units) => {
    let [first, last] = [0, units.length];
    if (json.strip_left) while (first < last && isSpace(units[first]!)) first++;
    if (json.strip_right) while (last > first && isSpace(units[last - 1]!)) last--;
    return units.slice(first, last);
  };
}

/** The normaliser a tokenizer.json describes. Throws ERR_FORMAT for a kind that is not supported. */
export function buildNormalizer(json: NormalizerJson | null | undefined): Normalizer {
  if (!json) return (units) => units;
  switch (json.type) {
    case 'Sequence':
      return sequence((json.normalizers ?? []).map(buildNormalizer));
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return unicode(json.type);
    case 'Lowercase':
      return lowercase;
    case 'StripAccents':
      return (units) => units.filter((unit) => !/\p{M}/u.test(unit.text));
    case 'BertNormalizer':
      return bert(json);
    case 'Replace':
      return replace(json);
    case 'Prepend':
      return (units) => prepend(json.prepend ?? '', units);
    case 'Strip':
      return strip(json);
    default:
      throw new CortuneError(
        'ERR_FORMAT',
        `Expected the tokenizer to normalise by Unicode forms, case, accents, BERT's rules or replacement, got ${show(json.type)}.`,
      );
  }
}
