/** Numbers of layers as a command is given them. */
import { expected } from '../errors.js';

/** `all`, or numbers and ranges: `0,6,10-12`. */
export function parseLayers(text: string): 'all' | number[] {
  if (text === 'all') return 'all';
  return text.split(',').flatMap((part) => {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (first === undefined) throw expected('layers', '`all`, or numbers and ranges such as `0,6,10-12`', text);
    const end = Number(last ?? first);
    return Array.from({ length: Math.max(0, end - Number(first) + 1) }, (_, i) => Number(first) + i);
  });
}
