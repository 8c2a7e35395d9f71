/** Files that lie about their size, bombs, and files cut off or changed anywhere: refused in one sentence, in bounded memory. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type MatrixOptions, readMatrix } from '../../lib/data/formats/index.js';
import { readRecords } from '../../lib/data/formats/records.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { kMakingTime, madeFiles } from './made-files.js';

const scratch = temporaryFolder();
let folder = '';
beforeAll(async () => {
  folder = await madeFiles();
}, kMakingTime);
const read = (name: string, options: MatrixOptions = {}) => readMatrix(join(folder, name), options);
/** One sentence or two, one line. */
const sentence = expect.stringMatching(/^[^\n]{10,500}$/);
const refused = (...codes: string[]) =>
  expect.objectContaining({ code: expect.toSatisfy((code: string) => codes.includes(code)), message: sentence });

describe('sizes that lie', () => {
  it.each<[string, RegExp]>([
    ['lying.nii', /Expected \d+ bytes for shape \[30000, 30000, 30000, 3\], got 1348/],
    ['bomb.nii.gz', /its values to unpack to at most 100 times its packed \d+ bytes, its header says 5368709472/],
    ['lying.h5', /`x` to unpack to at most 100 times|a matrix of at most half of this machine's memory/],
    ['lying73.mat', /`x` to unpack to at most 100 times|a matrix of at most half of this machine's memory/],
    ['lying.nc', /Expected a whole netCDF file .*`data` up to byte 16000000200 in a file of \d+/],
  ])('%s', async (name, message) => {
    const error = await read(name).then(
      () => undefined,
      (cause) => cause,
    );
    expect(error).toEqual(refused('ERR_FORMAT', 'ERR_DATA', 'ERR_MEMORY'));
    expect(error.message).toMatch(message);
  });

  it('a gzip bomb behind an honest header is not unpacked further than that', async () => {
    const honest = readFileSync(join(folder, 'series.nii'));
    const path = join(scratch, 'tail.nii.gz');
    writeFileSync(path, gzipSync(Buffer.concat([honest, Buffer.alloc(100 * 2 ** 20)])));
    const { matrix } = await readMatrix(path);
    expect(matrix).toMatchObject({ rows: 40, columns: 60 });
  });
});

/** Reads every copy that `change` makes of a file: it may be read or refused, and nothing else may happen. */
async function tryAll(
  name: string,
  copies: Iterable<Uint8Array>,
  options: MatrixOptions,
  records = false,
): Promise<number> {
  let failures = 0;
  const extension = name.slice(name.indexOf('.'));
  const path = join(scratch, `changed${extension}`);
  for (const copy of copies) {
    writeFileSync(path, copy);
    try {
      await (records ? readRecords(path) : readMatrix(path, options));
    } catch (error) {
      failures++;
      expect(error).toEqual(refused('ERR_FORMAT', 'ERR_DATA', 'ERR_MEMORY', 'ERR_NOT_FOUND'));
    }
  }
  return failures;
}

const kFiles: [string, MatrixOptions][] = [
  ['series.nii', {}],
  ['series.nii.gz', {}],
  ['responses.dtseries.nii', {}],
  ['responses.h5', {}],
  ['one73.mat', {}],
  ['assembly.nc', {}],
  ['netcdf3_classic.nc', {}],
  ['responses.parquet', {}],
  ['packed.npz', {}],
];

describe.each(kFiles)('%s', (name, options) => {
  it('cut off anywhere is refused', async () => {
    const bytes = readFileSync(join(folder, name));
    const lengths = Array.from({ length: 24 }, (_, i) => Math.floor((bytes.length * i) / 24));
    const failures = await tryAll(
      name,
      lengths.map((length) => bytes.subarray(0, length)),
      options,
    );
    // HDF5 notices a missing tail only where something of it is read.
    expect(failures).toBeGreaterThanOrEqual(/h5|mat|assembly/.test(name) ? 16 : 24);
  });

  it('with bytes changed is read or refused', async () => {
    const bytes = readFileSync(join(folder, name));
    // Headers lie at the beginning, and Parquet's at the end.
    const places = fc.sample(fc.oneof(fc.nat(Math.min(600, bytes.length - 1)), fc.nat(bytes.length - 1)), {
      numRuns: 40,
      seed: 3,
    });
    const copies = places.map((place, i) => {
      const copy = Uint8Array.from(bytes);
      const at = name.endsWith('parquet') && i % 2 ? bytes.length - 1 - (place % 400) : place;
      copy[at] = copy[at]! ^ (1 << (i % 8)) ^ (i % 3 === 0 ? 0xf0 : 0);
      return copy;
    });
    await tryAll(name, copies, options, name === 'assembly.nc');
  });

  it('that is something else is refused', async () => {
    const text = new TextEncoder().encode('This is a text and no such file at all. '.repeat(40));
    const other = readFileSync(join(folder, name === 'responses.npy' ? 'series.nii' : 'responses.npy'));
    expect(await tryAll(name, [new Uint8Array(), text, other], options)).toBe(3);
  });
});

describe('memory', () => {
  let idle: number | undefined;
  /** The most memory of a process that does this, in MB, beyond one that does nothing. */
  function peak(code: string): number {
    const run = (body: string) => {
      const script = `import { readMatrix } from '${fileURLToPath(new URL('../../dist/data/formats/index.js', import.meta.url))}'; ${body}; console.log(process.resourceUsage().maxRSS / 1024)`;
      const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(stderr);
      return Number(stdout.trim().split('\n').at(-1));
    };
    idle ??= run('await Promise.resolve()');
    return run(code) - idle;
  }

  it('of a series is that of the voxels asked for and a volume', () => {
    // 400 volumes of 64 x 64 x 32 float32: 210 MB of zeros; the mask has 1 of 64 voxels: 3.3 MB.
    const header = readFileSync(join(folder, 'series.nii')).subarray(0, 352);
    const image = (path: string, lengths: number[], type: number, bits: number) => {
      const made = Buffer.from(header);
      for (const [i, length] of [lengths.length, ...lengths, 1, 1, 1].slice(0, 8).entries())
        made.writeInt16LE(length, 40 + 2 * i);
      made.writeInt16LE(type, 70);
      made.writeInt16LE(bits, 72);
      writeFileSync(path, made);
      return made;
    };
    const voxels = 64 * 64 * 32;
    const mask = join(scratch, 'large-mask.nii');
    image(mask, [64, 64, 32], 2, 8);
    appendFileSync(
      mask,
      Uint8Array.from({ length: voxels }, (_, i) => (i % 64 === 0 ? 1 : 0)),
    );
    const plain = join(scratch, 'large.nii');
    const first = image(plain, [64, 64, 32, 400], 16, 32);
    truncateSync(plain, 352 + voxels * 400 * 4);
    const packed = join(scratch, 'packed.nii.gz');
    const block = gzipSync(Buffer.alloc(voxels * 4 * 10), { level: 1 }); // members of a gzip file follow one another
    writeFileSync(packed, Buffer.concat([gzipSync(first), ...Array<Buffer>(40).fill(block)]));
    for (const path of [plain, packed]) {
      const used = peak(`const { matrix } = await readMatrix('${path}', { mask: '${mask}' });
        if (matrix.rows !== 400 || matrix.columns !== ${voxels / 64}) throw new Error('shape')`);
      expect(used).toBeLessThan(100); // 210 MB if it were read whole
    }
  });

  it('of files that lie is little', () => {
    // The HDF5 library itself takes some 50 MB.
    for (const name of ['lying.nii', 'bomb.nii.gz', 'lying.h5', 'lying.nc', 'lying73.mat'])
      expect(
        peak(`await readMatrix('${join(folder, name)}').then(() => { throw new Error('read') }, () => {})`),
      ).toBeLessThan(120);
  });
});
