/** Porter's stemmer (Porter 1980, An algorithm for suffix stripping) with the extensions of NLTK, which rouge-score uses. */

/** Words with stems of their own. */
const kIrregular: Readonly<Record<string, string>> = {
  skies: 'sky',
  dying: 'die',
  lying: 'lie',
  tying: 'tie',
  ...Object.fromEntries(['sky', 'news', 'howe', 'proceed', 'exceed', 'succeed'].map((word) => [word, word])),
  ...Object.fromEntries(
    ['inning', 'outing', 'canning'].flatMap((word) => [
      [word, word],
      [`${word}s`, word],
    ]),
  ),
};

function isConsonant(word: string, i: number): boolean {
  if ('aeiou'.includes(word[i]!)) return false;
  return word[i] !== 'y' || i === 0 || !isConsonant(word, i - 1);
}

/** m: how often a vowel is followed by a consonant. */
function measure(stem: string): number {
  let count = 0;
  for (let i = 1; i < stem.length; i++) if (isConsonant(stem, i) && !isConsonant(stem, i - 1)) count++;
  return count;
}

function hasVowel(stem: string): boolean {
  return Array.from(stem, (_, i) => i).some((i) => !isConsonant(stem, i));
}
function endsDouble(word: string): boolean {
  const last = word.length - 1;
  return last >= 1 && word[last] === word[last - 1] && isConsonant(word, last);
}
function endsCvc(word: string): boolean {
  const n = word.length;
  if (n === 2) return !isConsonant(word, 0) && isConsonant(word, 1);
  if (n < 3 || 'wxy'.includes(word[n - 1]!)) return false;
  return isConsonant(word, n - 3) && !isConsonant(word, n - 2) && isConsonant(word, n - 1);
}

type Rule = readonly [suffix: string, replacement: string, holds?: (stem: string) => boolean];

/** The first rule whose suffix fits decides. */
function apply(word: string, rules: readonly Rule[]): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix));
  if (!rule) return word;
  const [suffix, replacement, holds] = rule;
  const stem = word.slice(0, word.length - suffix.length);
  return !holds || holds(stem) ? stem + replacement : word;
}

const positive = (stem: string) => measure(stem) > 0;
const long = (stem: string) => measure(stem) > 1;

/** `a b, c d` as rules. */
function rulesOf(text: string, holds: (stem: string) => boolean): Rule[] {
  return text.split(', ').map((pair) => {
    const [suffix, replacement = ''] = pair.split(' ');
    return [suffix!, replacement, holds];
  });
}

const kFirst: Rule[] = [
  ['sses', 'ss'],
  ['ies', 'i'],
  ['ss', 'ss'],
  ['s', ''],
];
const kSecond: Rule[] = [
  ...rulesOf(
    'ational ate, tional tion, enci ence, anci ance, izer ize, bli ble, alli al, entli ent, eli e, ousli ous, ization ize, ation ate, ' +
      'ator ate, alism al, iveness ive, fulness ful, ousness ous, aliti al, iviti ive, biliti ble, fulli ful',
    positive,
  ),
  ['logi', 'log', (stem) => positive(`${stem}l`)],
];
const kThird = rulesOf('icate ic, ative, alize al, iciti ic, ical ic, ful, ness', positive);
const kFourth: Rule[] = [
  ...rulesOf('al, ance, ence, er, ic, able, ible, ant, ement, ment, ent', long),
  ['ion', '', (stem) => long(stem) && /[st]$/.test(stem)],
  ...rulesOf('ou, ism, ate, iti, ous, ive, ize', long),
];

function plural(word: string): string {
  return word.length === 4 && word.endsWith('ies') ? word.slice(0, -1) : apply(word, kFirst);
}

function past(word: string): string {
  if (word.endsWith('ied')) return word.length === 4 ? word.slice(0, -1) : word.slice(0, -2);
  if (word.endsWith('eed')) return positive(word.slice(0, -3)) ? word.slice(0, -1) : word;
  const suffix = ['ed', 'ing'].find((end) => word.endsWith(end) && hasVowel(word.slice(0, -end.length)));
  if (suffix === undefined) return word;
  const stem = word.slice(0, -suffix.length);
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsDouble(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsCvc(stem) ? `${stem}e` : stem;
}

function finalY(word: string): string {
  return apply(word, [['y', 'i', (stem) => stem.length > 1 && isConsonant(stem, stem.length - 1)]]);
}

function second(word: string): string {
  const stem = word.slice(0, -4);
  return word.endsWith('alli') && positive(stem) ? second(`${stem}al`) : apply(word, kSecond);
}

function finalE(word: string): string {
  if (!word.endsWith('e')) return word;
  const stem = word.slice(0, -1);
  return long(stem) || (measure(stem) === 1 && !endsCvc(stem)) ? stem : word;
}

/** The stem of a word in lower case. */
export function porterStem(word: string): string {
  if (Object.hasOwn(kIrregular, word)) return kIrregular[word]!;
  if (word.length <= 2) return word;
  const stem = finalE(apply(apply(second(finalY(past(plural(word)))), kThird), kFourth));
  return stem.endsWith('ll') && long(stem.slice(0, -1)) ? stem.slice(0, -1) : stem;
}
