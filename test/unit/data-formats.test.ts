/** Readers of .npy, .npz, tables, texts and TextGrids, against files that NumPy wrote, and against broken ones. */

import { readFileSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText } from '../../lib/data/formats/bytes.js';
import { parseMatrix, parseTexts, readMatrix, readTexts } from '../../lib/data/formats/index.js';
import { parseNpy } from '../../lib/data/formats/npy.js';
import { parseTextGrid, tierNamed } from '../../lib/data/formats/textgrid.js';
import { CortuneError } from '../../lib/errors.js';

type Arrays = Record<string, { base64: string; values: (number | string)[] | null }>;
const arrays: Arrays = JSON.parse(readFileSync(new URL('../fixtures/data/arrays.json', import.meta.url), 'utf8'));
const bytesOf = (name: string) => new Uint8Array(Buffer.from(arrays[name]!.base64, 'base64'));
const valuesOf = (name: string) =>
  Float32Array.from(arrays[name]!.values!.map((v) => (v === 'inf' ? Infinity : v === '-inf' ? -Infinity : Number(v))));
const utf8 = (text: string) => new TextEncoder().encode(text);

/** The error of a call, which must be ours. */
function failure(call: () => unknown): CortuneError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(CortuneError);
    return error as CortuneError;
  }
  throw new Error('Expected a failure');
}

describe('.npy', () => {
  const grids = Object.keys(arrays).filter((name) => / [CF]\.npy$/.test(name));

  it('covers every type in both orders', () => expect(grids).toHaveLength(42));

  it.each(grids)('%s equals NumPy', (name) => {
    const matrix = parseNpy(bytesOf(name), name);
    expect([matrix.rows, matrix.columns]).toEqual([2, 3]);
    expect(matrix.data).toEqual(valuesOf(name));
  });

  it('reads half precision with subnormals, infinities and NaN; one axis is one column', () => {
    const matrix = parseNpy(bytesOf('half.npy'), 'half.npy');
    expect([matrix.rows, matrix.columns]).toEqual([10, 1]);
    expect(matrix.data).toEqual(valuesOf('half.npy'));
  });

  it.each([1, 2, 3])('reads version %i', (version) => {
    expect(parseNpy(bytesOf(`version ${version}.npy`), 'v').data).toEqual(valuesOf(`version ${version}.npy`));
  });

  it('refuses what is no matrix of real numbers', () => {
    expect(failure(() => parseNpy(bytesOf('cube.npy'), 'cube.npy'))).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('2 axes'),
    });
    expect(failure(() => parseNpy(bytesOf('complex.npy'), 'c'))).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('<c8'),
    });
    expect(failure(() => parseNpy(bytesOf('structured.npy'), 's'))).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('structured'),
    });
  });

  it('refuses every truncation', () => {
    const whole = bytesOf('<f4 C.npy');
    for (let length = 0; length < whole.length; length++)
      expect(failure(() => parseNpy(whole.subarray(0, length), 'x')).code).toBe('ERR_FORMAT');
  });

  it('refuses a header that lies about its length or the shape', () => {
    const long = bytesOf('<f4 C.npy');
    long[8] = 0xff;
    long[9] = 0x20;
    expect(failure(() => parseNpy(long, 'x'))).toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('header'),
    });
    const huge = Buffer.from(bytesOf('<f4 C.npy'));
    huge.write('(99999999999, 3), ', huge.indexOf('(2, 3)'));
    expect(failure(() => parseNpy(huge, 'x'))).toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('bytes for shape'),
    });
  });

  it('answers any mutation with a matrix or one of our errors', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 127 }), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const bytes = bytesOf('>i4 F.npy');
        bytes[at] = value;
        try {
          const matrix = parseNpy(bytes, 'x');
          expect(matrix.data).toHaveLength(matrix.rows * matrix.columns);
        } catch (error) {
          expect(error).toBeInstanceOf(CortuneError);
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
  });
});

describe('.npz', () => {
  it('reads one array, packed or not', () => {
    expect(parseMatrix(bytesOf('deflated.npz'), 'a.npz').matrix.data).toEqual(valuesOf('deflated.npz'));
    expect(parseMatrix(bytesOf('stored.npz'), 'a.npz', { key: 'second' }).matrix.data).toEqual(valuesOf('stored.npz'));
  });

  it('names the arrays there are', () => {
    expect(failure(() => parseMatrix(bytesOf('stored.npz'), 'a.npz')).message).toContain('`first`, `second`');
    expect(failure(() => parseMatrix(bytesOf('stored.npz'), 'a.npz', { key: 'secnd' })).message).toContain(
      'nearest is `second`',
    );
  });

  it('refuses an array that claims to unpack to gigabytes', () => {
    // Sizes of 64 bits: both stand as fillers in the place of the old ones.
    const filled = Buffer.from(bytesOf('deflated.npz'));
    const directory = filled.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    filled.writeUInt32LE(0xffffffff, directory + 20);
    filled.writeUInt32LE(0xffffffff, directory + 24);
    expect(failure(() => parseMatrix(filled, 'a.npz'))).toMatchObject({ code: 'ERR_DATA' });
    const bomb = Buffer.from(bytesOf('deflated.npz'));
    const central = bomb.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    bomb.writeUInt32LE(0xfffffff0, central + 24);
    expect(failure(() => parseMatrix(bomb, 'a.npz'))).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('unpack'),
    });
  });

  it('does not unpack beyond the size an array declares', () => {
    const lying = Buffer.from(bytesOf('deflated.npz'));
    const central = lying.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    lying.writeUInt32LE(20, central + 24);
    expect(failure(() => parseMatrix(lying, 'a.npz')).code).toBe('ERR_FORMAT');
  });

  it('refuses truncations and files that are no zip', () => {
    const whole = bytesOf('deflated.npz');
    for (let length = 0; length < whole.length; length += 7)
      expect(failure(() => parseMatrix(whole.subarray(0, length), 'a.npz')).code).toBe('ERR_FORMAT');
    expect(failure(() => parseMatrix(utf8('no zip'), 'a.npz')).message).toContain('zip archive');
  });
});

describe('tables of numbers', () => {
  it('reads what numpy.savetxt writes', () => {
    expect(parseMatrix(bytesOf('savetxt.txt'), 'a.txt')).toEqual({
      matrix: { data: valuesOf('savetxt.txt'), rows: 2, columns: 3 },
      columns: ['0', '1', '2'],
    });
  });

  it('finds a header, and columns by name or number', () => {
    const csv = utf8('\ufeffLATL,"R,ATL",10\r\n1,2,3\r\n4,,nan\r\n');
    expect(parseMatrix(csv, 'a.csv').columns).toEqual(['LATL', 'R,ATL', '10']);
    expect([...parseMatrix(csv, 'a.csv', { columns: ['10', 0] }).matrix.data]).toEqual([3, 1, Number.NaN, 4]);
    expect([...parseMatrix(csv, 'a.csv', { columns: [1] }).matrix.data]).toEqual([2, Number.NaN]);
    expect(parseMatrix(utf8('1\t-inf\n2\t.5e1\n'), 'a.tsv').matrix.data).toEqual(Float32Array.of(1, -Infinity, 2, 5));
  });

  it('names row and column of what is no number', () => {
    const error = failure(() => parseMatrix(utf8('a,b\n1,2\n\n3,x4\n'), 'a.csv'));
    expect(error).toMatchObject({ code: 'ERR_DATA', message: expect.stringContaining('line 4, column `b`, got `x4`') });
    expect(failure(() => parseMatrix(utf8('1,2\n3,4\n'), 'a.txt')).code).toBe('ERR_DATA');
  });

  it('names a missing column and the nearest', () => {
    expect(failure(() => parseMatrix(utf8('LATL,RATL\n1,2\n'), 'a.csv', { columns: ['LATI'] })).message).toContain(
      'did you mean `LATL`',
    );
    expect(failure(() => parseMatrix(utf8('LATL,RATL\n1,2\n'), 'a.csv', { columns: [2] })).message).toContain(
      'column `2`',
    );
  });

  it('refuses ragged rows, open quotes and emptiness', () => {
    expect(failure(() => parseMatrix(utf8('1,2\n3\n'), 'a.csv'))).toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('line 2'),
    });
    expect(failure(() => parseMatrix(utf8('1 2\n\n3\n'), 'a.txt'))).toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('line 3'),
    });
    expect(failure(() => parseMatrix(utf8('"1,2\n'), 'a.csv')).code).toBe('ERR_FORMAT');
    expect(failure(() => parseMatrix(utf8(''), 'a.csv')).code).toBe('ERR_DATA');
    expect(failure(() => parseMatrix(utf8('a,b\n'), 'a.csv')).code).toBe('ERR_DATA');
  });

  it('says which files it reads', async () => {
    expect(failure(() => parseMatrix(utf8(''), 'a.xlsx')).message).toContain('.npy, .npz');
    await expect(readMatrix('/nowhere/a.npy')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await expect(readMatrix(tmpdir())).rejects.toMatchObject({ code: 'ERR_IO' });
  });
});

describe('texts', () => {
  it('refuses a .csv whose columns are separated by another sign', () => {
    const bytes = new TextEncoder().encode('id;sentence\n1;One.\n');
    expect(() => parseTexts(bytes, 'semi.csv')).toThrow(
      expect.objectContaining({ code: 'ERR_FORMAT', message: expect.stringMatching(/separated .* `id;sentence`/) }),
    );
  });

  it('reads lines, columns and fields', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cortune-texts-'));
    const write = async (name: string, text: string) => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    expect(await readTexts(await write('a.txt', 'One.\r\nTwo, three.\n\n'))).toEqual(['One.', 'Two, three.']);
    expect(await readTexts(await write('a.csv', 'id,sentence\n1,"A, b"\n2,"C ""d"""\n'))).toEqual(['A, b', 'C "d"']);
    expect(await readTexts(await write('b.csv', 'id,words\n1,x\n'), { column: 'words' })).toEqual(['x']);
    expect(await readTexts(await write('a.jsonl', '{"text": "x"}\n\n"y"\n'))).toEqual(['x', 'y']);
    expect(await readTexts(await write('b.jsonl', '{"q": "x"}\n'), { column: 'q' })).toEqual(['x']);
  });

  it('names the line of an empty stimulus', () => {
    expect(failure(() => parseTexts(utf8('One.\n\nThree.\n'), 'a.txt')).message).toContain('line 2');
    // A quoted cell over two lines comes first.
    expect(failure(() => parseTexts(utf8('text,b\n"x\ny",1\n,2\n'), 'a.csv')).message).toContain('line 4');
    expect(failure(() => parseTexts(utf8('{"text": "x"}\n{"text": " "}\n'), 'a.jsonl')).message).toContain('line 2');
    expect(failure(() => parseTexts(utf8('\n'), 'a.txt')).code).toBe('ERR_DATA');
  });

  it('names what is missing', () => {
    expect(failure(() => parseTexts(utf8('id,word\n1,x\n'), 'a.csv')).message).toContain('column `text`');
    expect(failure(() => parseTexts(utf8('{"q": 1}\n'), 'a.jsonl')).message).toContain('it has `q`');
    expect(failure(() => parseTexts(utf8('{"q"\n'), 'a.jsonl'))).toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('line 1'),
    });
    expect(failure(() => parseTexts(utf8('x'), 'a.docx')).message).toContain('.jsonl');
  });
});

describe('TextGrid', () => {
  const short = `File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
2
"IntervalTier"
"word"
0
2.5
2
0
1.25
"she said ""no"" = 3"
1.25
2.5
""
"TextTier"
"clicks"
0
2.5
1
0.5
"x"
`;
  const long = `File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "word"
        xmin = 0
        xmax = 2.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.25 ! "a comment" 7
            text = "she said ""no"" = 3"
        intervals [2]:
            xmin = 1.25
            xmax = 2.5
            text = ""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 0.5
            mark = "x"
`;
  const tiers = [
    {
      name: 'word',
      kind: 'IntervalTier',
      intervals: [
        { start: 0, end: 1.25, text: 'she said "no" = 3' },
        { start: 1.25, end: 2.5, text: '' },
      ],
    },
    { name: 'clicks', kind: 'TextTier', intervals: [{ start: 0.5, end: 0.5, text: 'x' }] },
  ];

  it('reads the long and the short form alike', () => {
    expect(parseTextGrid(long, 'a')).toEqual(tiers);
    expect(parseTextGrid(short, 'a')).toEqual(tiers);
  });

  it('reads UTF-8, UTF-16 of both orders, and Windows-1252', () => {
    const text = short.replace('"x"', '"naïve – né"');
    const little = Buffer.from(`\ufeff${text}`, 'utf16le');
    const encodings = [utf8(text), utf8(`\ufeff${text}`), little, Buffer.from(little).swap16()];
    for (const bytes of encodings)
      expect(parseTextGrid(decodeText(bytes), 'a')[1]!.intervals[0]!.text).toBe('naïve – né');
    expect(decodeText(Uint8Array.of(0x6e, 0xe9))).toBe('né');
  });

  it('names the line of what is wrong', () => {
    expect(failure(() => parseTextGrid(short.replace('\n1.25\n"she', '\n"oops"\n"she'), 'a'))).toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining('end of item 1 of tier `word`, got `oops` in line 14'),
    });
    expect(failure(() => parseTextGrid(short.replace('2.5\n""', '0.5\n""'), 'a')).message).toContain(
      'at or after its start 1.25',
    );
    expect(failure(() => parseTextGrid(short.replace('2.5\n2\n0', '2.5\n2000000000\n0'), 'a')).message).toContain(
      '2000000000',
    );
    expect(failure(() => parseTextGrid('hello', 'a')).message).toContain('ooTextFile');
    expect(failure(() => parseTextGrid(short.replace('"TextGrid"', '"Pitch"'), 'a')).message).toContain('Pitch');
    for (let length = 0; length < short.length - 2; length += 3)
      expect(failure(() => parseTextGrid(short.slice(0, length), 'a')).code).toBe('ERR_FORMAT');
  });

  it('picks a tier, or says which there are', () => {
    const found = parseTextGrid(short, 'a');
    expect(tierNamed(found, 'clicks', 'a').kind).toBe('TextTier');
    expect(failure(() => tierNamed(found, 'words', 'a')).message).toContain('did you mean `word`');
    expect(failure(() => tierNamed(found, undefined, 'a')).message).toContain('`word`, `clicks`');
  });
});
