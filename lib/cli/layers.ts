/** Numbers of layers as a command is given them. */
import { expected } from '../errors.js';

/** More layers than any model has: a slip such as `0-1000000000` is answered before it is counted out. */
const kMost = 10_000;

/** `all`, or numbers and ranges: `0,6,10-12`. Throws a RangeError for anything else. */
export function parseLayers(text: string): 'all' | number[] {
  if (text === 'all') return 'all';
  return text.split(',').flatMap((part) => {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    const [from, to] = [Number(first), Number(last ?? first)];
    if (!(from <= to && to < kMost)) throw expected('layers', '`all`, or numbers and ranges such as `0,6,10-12`', text);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
