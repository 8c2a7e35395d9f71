/** Tables of an atlas: which number stands for which region (.tsv and .csv with or without header, or columns between blanks). */
import { basename, extname } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { CortuneError } from '../../errors.js';
import { decodeText, readBytes } from './bytes.js';
import { parseDelimited } from './table.js';

const kNumbers = ['index', 'value', 'number', 'label', 'id'];
const kNames = ['name', 'region', 'roi', 'label', 'abbreviation'];

/**
 * Numbers and names of an atlas's regions. With a header (as BIDS's `*_dseg.tsv`), the columns `index` and `name`; without one (FreeSurfer's and
 * FSL's tables), the first cell of a row that is a whole number and the first that is none.
 * @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT; ERR_DATA when it holds no region.
 */
export async function readLabels(path: string): Promise<Map<number, string>> {
  const name = basename(path);
  const rows = cells(decodeText(await readBytes(path)), name);
  const header = rows[0]?.map((cell) => cell.toLowerCase()) ?? [];
  const at = kNumbers.map((one) => header.indexOf(one)).find((place) => place >= 0) ?? -1;
  const to = kNames.map((one) => header.indexOf(one)).find((place) => place >= 0 && place !== at) ?? -1;
  const labels = new Map<number, string>();
  for (const row of at >= 0 && to >= 0 ? rows.slice(1) : rows) {
    const number = at >= 0 && to >= 0 ? row[at] : row.find((cell) => /^\d+$/.test(cell));
    const region = at >= 0 && to >= 0 ? row[to] : row.find((cell) => Number.isNaN(Number(cell)));
    if (number !== undefined && /^\d+$/.test(number) && region) labels.set(Number(number), region);
  }
  if (labels.size === 0)
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected the numbers and names of regions, in columns \`index\` and \`name\` or in rows like \`12 Heschl\`, got none.`,
    );
  return labels;
}

function cells(text: string, name: string): string[][] {
  const kind = extname(name).toLowerCase();
  if (kind === '.csv') return parseDelimited(text, name, ',').rows;
  if (kind === '.tsv') return parseDelimited(text, name, '\t').rows;
  // Rows differ in length where names are followed by notes.
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      if (line.includes('\t')) return line.split('\t').map((cell) => cell.trim());
      // `12 Heschl's Gyrus 20 30 40 0`: a name may have blanks, and colours may follow it.
      const [, number, name] = /^(\d+)[\s,:]+(\S.*?)(?:[\s,]+\d+)*$/.exec(line) ?? [];
      return number === undefined ? line.split(/\s*,\s*|\s+/) : [number, name!];
    });
}

/**
 * The numbers that regions, given by name or number, have in an atlas; all of `there` when none are given.
 * @param there numbers that the atlas holds. @throws ERR_DATA naming the nearest regions.
 */
export function regionNumbers(
  wanted: readonly (string | number)[] | undefined,
  labels: ReadonlyMap<number, string>,
  there: ReadonlySet<number>,
  name: string,
): { name: string; number: number }[] {
  const nameOf = (number: number) => labels.get(number) ?? String(number);
  if (wanted === undefined) return [...there].sort((a, b) => a - b).map((number) => ({ name: nameOf(number), number }));
  const byName = new Map([...labels].map(([number, region]) => [region, number]));
  return wanted.map((region) => {
    const number =
      byName.get(String(region).trim()) ?? (/^\d+$/.test(String(region).trim()) ? Number(region) : undefined);
    if (number !== undefined && there.has(number)) return { name: nameOf(number), number };
    const known = [...there].map(nameOf);
    const why = number === undefined ? '' : ' No voxel has its number.';
    throw new CortuneError(
      'ERR_DATA',
      `${name}: Expected a region \`${region}\` (${nearestOf(String(region), known)}), it has ${known.length}.${why} Give names of the table of labels, or numbers.`,
    );
  });
}

/** `nearest: a, b, c` */
function nearestOf(word: string, known: readonly string[]): string {
  const left = new Set(known);
  const found: string[] = [];
  while (found.length < 3 && left.size > 0) {
    const best = closest(word, [...left]);
    found.push(`\`${best}\``);
    left.delete(best);
  }
  return found.length > 0 ? `nearest: ${found.join(', ')}` : 'it holds no region';
}
