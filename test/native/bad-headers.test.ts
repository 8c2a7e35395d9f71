/** Headers that lie: each ends in one sentence that names the file and the fault, never in a crash. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CortuneError } from '../../lib/errors.js';
import { type GgufFile, type GgufTensor, ggufBytes } from '../helpers/gguf.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { inspect, safetensorsBytes } from '../helpers/tensor-files.js';

const folder = temporaryFolder();
const path = join(folder, 'model');

async function refused(bytes: Uint8Array, fault: RegExp): Promise<void> {
  writeFileSync(path, bytes);
  const error = await inspect(path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CortuneError);
  expect(error).toMatchObject({ code: 'ERR_FORMAT', message: expect.stringContaining(path) });
  expect((error as Error).message).toMatch(fault);
  expect((error as Error).message).not.toMatch(/\n/);
}

const x = (fields: object = {}) => ({ dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields });
const body = new Uint8Array(8);

describe('safetensors', () => {
  const huge = 2 ** 53 - 1;
  const cases: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /empty/],
    ['a few bytes', new Uint8Array(5), /5 bytes/],
    ['a length past the end', safetensorsBytes({ x: x() }, body, 5000n), /5000 bytes, but only \d+ follow/],
    ['a length past the format', safetensorsBytes({ x: x() }, body, 2n ** 63n), /more than the format allows/],
    ['a truncated body', safetensorsBytes({ x: x() }, body.subarray(3)), /'x' ends at byte 8 .* past its end at 5/],
    ['bytes of no tensor', safetensorsBytes({ x: x() }, new Uint8Array(9)), /1 bytes that belong to no tensor/],
    ['a hole', safetensorsBytes({ x: x({ data_offsets: [4, 12] }) }, new Uint8Array(12)), /hole of 4 bytes/],
    ['an overlap', safetensorsBytes({ x: x(), y: x({ data_offsets: [4, 12] }) }, new Uint8Array(12)), /'y' overlaps/],
    ['offsets in reverse', safetensorsBytes({ x: x({ data_offsets: [8, 0] }) }, body), /not \[begin, end\]/],
    ['three offsets', safetensorsBytes({ x: x({ data_offsets: [0, 4, 8] }) }, body), /not \[begin, end\]/],
    ['negative offsets', safetensorsBytes({ x: x({ data_offsets: [-8, 0] }) }, body), /whole numbers from 0/],
    ['a fractional shape', safetensorsBytes({ x: x({ shape: [1.5] }) }, body), /whole numbers from 0/],
    ['an overflowing shape', safetensorsBytes({ x: x({ shape: [huge, huge, huge] }) }, body), /size overflows/],
    ['a shape of another size', safetensorsBytes({ x: x({ shape: [3] }) }, body), /needs 12 bytes .* has 8/],
    ['an unknown type', safetensorsBytes({ x: x({ dtype: 'Q9' }) }, body), /type 'Q9'\. Expected one of F64, F32/],
    ['a type that is no text', safetensorsBytes({ x: x({ dtype: 5 }) }, body), /not a string/],
    ['no shape', safetensorsBytes({ x: { dtype: 'F32', data_offsets: [0, 8] } }, body), /lacks `shape`/],
    [
      'a name twice',
      safetensorsBytes('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"x":{}}', body),
      /duplicate name 'x'/,
    ],
    ['an array', safetensorsBytes([1], body), /not a JSON object/],
    ['metadata of numbers', safetensorsBytes({ __metadata__: { a: 1 } }, new Uint8Array(0)), /__metadata__/],
    ['deep nesting', safetensorsBytes('['.repeat(100000), body), /nesting too deep/],
    ['text without end', safetensorsBytes('{"x', body), /without end/],
    ['no UTF-8', safetensorsBytes('{"\xff": 1}', body), /not UTF-8/],
    ['half a surrogate', safetensorsBytes('{"\\ud800": 1}', body), /surrogate/],
    ['text after the end', safetensorsBytes('{} {}', new Uint8Array(0)), /after the end/],
    ['words of JavaScript', safetensorsBytes('{"x": NaN}', body), /expected a value/],
    ['a PyTorch checkpoint', Buffer.from('PK\x03\x04 and more bytes'), /convert it to safetensors/],
    ['a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /git lfs pull/],
  ];
  it.each(cases)('refuses %s', async (_, bytes, fault) => refused(bytes, fault));
});

const tensor = (fields: Partial<GgufTensor> = {}): GgufTensor => ({
  name: 'x',
  shape: [2, 32],
  type: 0,
  data: new Uint8Array(256),
  ...fields,
});
const file = (fields: Partial<GgufFile> = {}): Buffer =>
  ggufBytes({
    metadata: { 'general.architecture': { type: 'string', value: 'llama' } },
    tensors: [tensor()],
    ...fields,
  });

describe('GGUF', () => {
  const whole = file();
  const replaced = (from: string, to: string) => Buffer.from(whole.toString('latin1').replace(from, to), 'latin1');
  const cases: [string, Uint8Array, RegExp][] = [
    ['four bytes', Buffer.from('GGUF'), /ends within the version/],
    ['version 1', file({ version: 1 }), /got version 1/],
    ['big-endian', file({ version: 0x03000000 }), /got a big-endian file/],
    ['too many tensors', file({ tensorCount: 2n ** 62n }), /4611686018427387904 tensors, more than fit/],
    ['too many metadata entries', file({ metadataCount: 2n ** 60n }), /metadata entries, more than fit/],
    ['one tensor too many', file({ tensorCount: 2n }), /tensor without a name/],
    ['a truncated header', whole.subarray(0, 60), /ends|past the end/],
    ['truncated data', whole.subarray(0, whole.length - 1), /'x' needs 256 bytes at byte 0 .* has 255/],
    [
      'an offset past the end',
      file({ tensors: [tensor({ offset: 1n << 40n })] }),
      /'x' needs 256 bytes at byte 1099511627776/,
    ],
    ['an odd offset', file({ tensors: [tensor({ offset: 3n })] }), /not a multiple of 32/],
    ['an overlap', file({ tensors: [tensor(), tensor({ name: 'y', offset: 32n })] }), /'y' overlaps 'x'/],
    ['a name twice', file({ tensors: [tensor(), tensor()] }), /'x' occurs twice/],
    ['an overflowing shape', file({ tensors: [tensor({ shape: [2n ** 40n, 2n ** 40n] })] }), /overflows/],
    ['a size past 63 bits', file({ tensors: [tensor({ shape: [2n ** 63n] })] }), /overflows/],
    ['five dimensions', file({ tensors: [tensor({ shape: [1, 1, 1, 1, 1] })] }), /5 dimensions/],
    ['an unknown type', file({ tensors: [tensor({ type: 99 })] }), /type number 99\. Expected one of F32, F16, Q4_0/],
    ['half blocks', file({ tensors: [tensor({ type: 2, shape: [2, 33] })] }), /does not fill whole blocks of Q4_0/],
    ['an odd alignment', file({ metadata: { 'general.alignment': { type: 'u32', value: 12 } } }), /not a power of two/],
    [
      'an alignment of text',
      file({ metadata: { 'general.alignment': { type: 'string', value: 'x' } } }),
      /not a power of two/,
    ],
    ['a boolean of 2', file({ metadata: { flag: { type: 'bool', value: 2 } } }), /boolean of value 2/],
    ['no UTF-8', replaced('llama', 'll\xffma'), /not UTF-8/],
    [
      'a key twice',
      Buffer.from(
        file({ metadata: { ab: { type: 'u8', value: 1 }, ac: { type: 'u8', value: 1 } } })
          .toString('latin1')
          .replace('ac', 'ab'),
        'latin1',
      ),
      /'ab' occurs twice/,
    ],
    ['an array of an unknown type', arrayOf(77, 1n), /unknown type 77/],
    ['an array past the end', arrayOf(4, 2n ** 61n), /array items, more than fit/],
    ['arrays in arrays in arrays', nestedArrays(50), /too deep/],
  ];
  it.each(cases)('refuses %s', async (_, bytes, fault) => refused(bytes, fault));

  it('takes a file of metadata alone', async () => {
    writeFileSync(
      path,
      file({
        tensors: [],
        metadata: { __proto__x: { type: 'i64', value: -3n }, ['__proto__']: { type: 'u8', value: 1 } },
      }),
    );
    const { metadata, tensors } = await inspect(path);
    expect(tensors).toEqual([]);
    expect(Object.entries(metadata)).toContainEqual(['__proto__x', -3]);
  });
});

/** A header with one metadata array, whose type and count are as given. */
function arrayOf(type: number, count: bigint): Buffer {
  const bytes = file({ tensors: [], metadata: { list: { type: 'array', of: 'u8', value: [1, 2, 3, 4] } } });
  const at = bytes.indexOf('list') + 4 + 4; // after the key and "array"
  bytes.writeUInt32LE(type, at);
  bytes.writeBigUInt64LE(count, at + 4);
  return bytes;
}

function nestedArrays(depth: number): Buffer {
  const one = Buffer.alloc(12);
  one.writeUInt32LE(9, 0);
  one.writeBigUInt64LE(1n, 4);
  const bytes = file({ tensors: [], metadata: { list: { type: 'array', of: 'u8', value: [] } } });
  const at = bytes.indexOf('list') + 8;
  return Buffer.concat([bytes.subarray(0, at), ...Array.from({ length: depth }, () => one), Buffer.alloc(64)]);
}

describe('mutated headers', () => {
  const wholes = {
    safetensors: safetensorsBytes(
      { __metadata__: { a: 'b' }, x: x(), y: x({ data_offsets: [8, 16] }) },
      new Uint8Array(16),
    ),
    gguf: file({
      tensors: [tensor(), tensor({ name: 'y', type: 2, data: new Uint8Array(36) })],
      metadata: { list: { type: 'array', of: 'string', value: ['a', 'b'] }, number: { type: 'f32', value: 1 } },
    }),
  };
  const change = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('set', 'cut', 'insert', 'drop', 'number'),
    byte: fc.integer({ min: 0, max: 255 }),
    number: fc.constantFrom(0n, 1n, 255n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 64n - 1n),
  });

  function mutate(bytes: Buffer, changes: { at: number; kind: string; byte: number; number: bigint }[]): Buffer {
    let out = Buffer.from(bytes);
    for (const { at: place, kind, byte, number } of changes) {
      if (out.length < 9) break;
      const at = place % (out.length - 8);
      if (kind === 'set') out[at] = byte;
      else if (kind === 'number') out.writeBigUInt64LE(number, at);
      else if (kind === 'cut') out = out.subarray(0, at);
      else if (kind === 'drop') out = Buffer.concat([out.subarray(0, at), out.subarray(at + 1)]);
      else out = Buffer.concat([out.subarray(0, at), Buffer.from([byte]), out.subarray(at)]);
    }
    return out;
  }

  it.each(['safetensors', 'gguf'] as const)('%s: a header or one error of format', async (format) => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        writeFileSync(path, mutate(wholes[format], changes));
        const result = await inspect(path).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toMatchObject({ code: 'ERR_FORMAT' });
        else expect(result).toHaveProperty('tensors');
      }),
      { numRuns: 500, seed: 20240 },
    );
  });
});
