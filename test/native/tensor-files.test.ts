/** Reading and writing tensor files: every type, no copies of float32, whole files or none. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { runJob } from '../../lib/native/jobs.js';
import { native } from '../../lib/native/load.js';
import { Tensor } from '../../lib/tensor.js';
import { readPlain } from '../helpers/safetensors.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { inspect, readTensors, safetensorsBytes } from '../helpers/tensor-files.js';

const folder = temporaryFolder();

/** A file with one tensor `x` of these numbers. */
function typed(dtype: string, values: ArrayBufferView & { length: number }): Buffer {
  const body = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return safetensorsBytes({ x: { dtype, shape: [values.length], data_offsets: [0, body.length] } }, body);
}

describe('reading safetensors', () => {
  const cases: [string, ArrayBufferView & { length: number }, number[]][] = [
    ['F64', new Float64Array([0.1, -1e300, 1e-320]), [Math.fround(0.1), -Infinity, 0]],
    ['F32', new Float32Array([1.5, -0, 3e-45]), [1.5, -0, Math.fround(3e-45)]],
    ['F16', new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7bff]), [1, -2, 2 ** -24, 65504]],
    ['BF16', new Uint16Array([0x3f80, 0xc000, 0x3e20]), [1, -2, 0.15625]],
    ['F8_E4M3', new Uint8Array([0x38, 0xb8, 0x7e]), [1, -1, 448]],
    ['F8_E5M2', new Uint8Array([0x3c, 0xbc, 0x7b]), [1, -1, 57344]],
    ['I64', new BigInt64Array([-5n, 2n ** 40n]), [-5, 2 ** 40]],
    ['I32', new Int32Array([-7, 2 ** 24]), [-7, 2 ** 24]],
    ['I16', new Int16Array([-300, 300]), [-300, 300]],
    ['I8', new Int8Array([-128, 127]), [-128, 127]],
    ['U64', new BigUint64Array([5n, 2n ** 63n]), [5, 2 ** 63]],
    ['U32', new Uint32Array([5, 2 ** 31]), [5, 2 ** 31]],
    ['U16', new Uint16Array([5, 65535]), [5, 65535]],
    ['U8', new Uint8Array([0, 255]), [0, 255]],
    ['BOOL', new Uint8Array([0, 1, 7]), [0, 1, 1]],
  ];
  it.each(cases)('%s becomes float32', async (dtype, stored, wanted) => {
    const path = join(folder, `${dtype}.safetensors`);
    writeFileSync(path, typed(dtype, stored));
    expect((await inspect(path)).tensors).toEqual([{ name: 'x', dtype, shape: [wanted.length] }]);
    const [tensor] = await readTensors(path, ['x']);
    expect([...tensor!.data]).toEqual(wanted);
  });

  it('takes scalars, empty tensors, odd alignment, escapes in names, metadata', async () => {
    const path = join(folder, 'odd.safetensors');
    const header = {
      __metadata__: { format: 'pt', é: '\u{1f407}' },
      flag: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
      'a"\\\n\u{1f407}': { dtype: 'F32', shape: [], data_offsets: [1, 5] },
      none: { dtype: 'F32', shape: [0, 3], data_offsets: [5, 5] },
    };
    const ascii = JSON.stringify(header).replace(
      /[^\x20-\x7e]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    const value = Buffer.alloc(4);
    value.writeFloatLE(2.5);
    writeFileSync(path, safetensorsBytes(ascii, Buffer.concat([Buffer.from([9]), value])));
    const { metadata, format } = await inspect(path);
    expect([format, metadata]).toEqual(['safetensors', header.__metadata__]);
    const [flag, scalar, none] = await readTensors(path, ['flag', 'a"\\\n\u{1f407}', 'none']);
    expect([flag!.data[0], scalar!.shape, scalar!.data[0], none!.shape]).toEqual([9, [], 2.5, [0, 3]]);
  });

  it('maps float32 instead of copying it', async () => {
    const path = join(folder, 'large.safetensors');
    const numbers = new Float32Array(16 * 2 ** 20).fill(1);
    writeFileSync(path, typed('F32', numbers));
    const anonymous = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
    const before = anonymous();
    const [handle] = await runJob(() => native().readTensors({ path, names: ['x'] }));
    expect(anonymous() - before).toBeLessThan(16); // MiB; a copy would take 64
    // The tensor outlives the file's name: the mapping lives as long as the tensor.
    rmSync(path);
    expect(handle!.shape).toEqual([numbers.length]);
    expect(native().tensorRead(handle!)[numbers.length - 1]).toBe(1);
    handle!.dispose();
  });

  it('says what is missing', async () => {
    const path = join(folder, 'F32.safetensors');
    await expect(readTensors(path, ['y'])).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: expect.stringContaining("'y'"),
    });
    await expect(inspect(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await expect(inspect(folder)).rejects.toMatchObject({ code: 'ERR_FORMAT' });
  });
});

describe('reading GGUF', () => {
  const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/gguf/${name}`, import.meta.url));
  const golden = readPlain(fixture('quants.safetensors'));

  it.each([...golden.keys()])('%s equals the gguf package bit for bit', async (name) => {
    const [tensor] = await readTensors(fixture('quants.gguf'), [name]);
    const wanted = golden.get(name)!;
    expect(tensor!.shape).toEqual(wanted.shape);
    expect(new Uint32Array(tensor!.data.buffer)).toEqual(new Uint32Array(wanted.data.buffer));
  });
});

describe('writing safetensors', () => {
  const write = (path: string, tensors: Record<string, Tensor>, metadata: Record<string, string> = {}) =>
    runJob(() =>
      native().writeSafetensors({
        path,
        names: Object.keys(tensors),
        tensors: Object.values(tensors).map((tensor) => tensor.handle),
        metadata,
      }),
    );

  it('gives back what was written', async () => {
    const path = join(folder, 'written.safetensors');
    using a = Tensor.from(new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3]);
    using b = Tensor.from(new Float32Array([Number.NaN, -0]), [2]);
    using none = Tensor.from(new Float32Array(0), [0, 4]);
    await write(path, { a, 'b "quoted" \u{1f407}': b, none }, { note: 'line\nbreak', ключ: 'значение' });
    expect((await inspect(path)).metadata).toEqual({ note: 'line\nbreak', ключ: 'значение' });
    const plain = readPlain(path);
    expect([...plain.keys()]).toEqual(['a', 'b "quoted" \u{1f407}', 'none']);
    expect(plain.get('a')).toEqual({ shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, 6]) });
    const [read] = await readTensors(path, ['b "quoted" \u{1f407}']);
    expect(new Uint32Array(read!.data.buffer)).toEqual(new Uint32Array(new Float32Array([Number.NaN, -0]).buffer));
    expect(Number(readFileSync(path).readBigUInt64LE(0)) % 8).toBe(0);
  });

  it('refuses duplicate names and folders that are not there', async () => {
    using a = Tensor.from(new Float32Array([1]), [1]);
    const twice = () =>
      native().writeSafetensors({
        path: join(folder, 'x'),
        names: ['a', 'a'],
        tensors: [a.handle, a.handle],
        metadata: {},
      });
    await expect(runJob(twice)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
    await expect(write(join(folder, 'no', 'x.safetensors'), { a })).rejects.toMatchObject({ code: 'ERR_IO' });
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });

  it('leaves nothing behind, and the old file as it was, when the disk takes no more', async () => {
    const path = join(folder, 'full.safetensors');
    using old = Tensor.from(new Float32Array([7]), [1]);
    await write(path, { old });
    const before = readFileSync(path);
    // A limit on file sizes stands for the full disk: both fail the write in its middle.
    const script = fileURLToPath(new URL('write-large.mjs', import.meta.url));
    const limited = 'ulimit -f 1024; exec "$0" "$@"';
    const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, script, path]);
    expect(stdout).toMatch(/^ERR_IO Could not write .*full\.safetensors.*free some space/);
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });
});
