/**
 * HDF5 files (.h5, .hdf5, .hf5), read piece by piece by the HDF5 library itself, compiled to WebAssembly. The library sees one file and no other:
 * links out of it lead nowhere, and what a damaged file makes it do stays within its own memory, 2 GiB at most.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import type { Dataset, File } from 'h5wasm';
import { CortuneError } from '../../errors.js';
import { arrayMatrix, chooseArray, type StoredArray } from './arrays.js';
import { checkUnpacked, readFailure, readHead } from './bytes.js';
import { readTiles } from './hdf5-tiles.js';
import type { MatrixOptions, NamedMatrix } from './index.js';

/** Objects of a file that are looked at. */
const kMaxObjects = 20_000;
/** Texts of one array. */
const kMaxTexts = 5_000_000;

/** HDF5's numbers for classes of types. */
const kClass = { integer: 0, float: 1, text: 3, reference: 7, enumeration: 8 } as const;

const kSignature = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/** Whether a file is HDF5: its mark lies at byte 0, or at 512 after MATLAB's own header. @throws ERR_NOT_FOUND, ERR_IO. */
export async function isHdf5(path: string): Promise<boolean> {
  const head = await readHead(path, 520);
  return [0, 512].some((at) => kSignature.every((byte, i) => head[at + i] === byte));
}

/** A matrix of numbers; `key` is its path in the file. @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, ERR_DATA, ERR_MEMORY. */
export async function readHdf5Matrix(path: string, { key }: MatrixOptions): Promise<NamedMatrix> {
  const name = basename(path);
  return await withHdf5(path, (arrays) => {
    const matrix = arrayMatrix(chooseArray(arrays, key, name), name, false);
    return { matrix, columns: Array.from({ length: matrix.columns }, (_, i) => String(i)) };
  });
}

/** An open file: its arrays, and what only readers of one kind of HDF5 file need. */
export interface Hdf5Extras {
  file: File;
  dataset(path: string): Dataset;
}

/** What is used of the library's module beside its classes. */
interface Library {
  FS: Files;
  activate_throwing_error_handler(): number;
}
/** What is used of the library's file system: a file whose bytes we hand out. */
interface Files {
  createFile(folder: string, name: string, properties: object, read: boolean, write: boolean): Node;
  unlink(path: string): void;
}
interface Node {
  id: number;
  mode: number;
  node_ops: object;
  stream_ops: object;
}

let count = 0;

/** Opens a file, lists its arrays, and closes it when `use` is done. @throws ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, and what `use` throws. */
export async function withHdf5<T>(path: string, use: (arrays: StoredArray[], extras: Hdf5Extras) => T): Promise<T> {
  const name = basename(path);
  if (!(await isHdf5(path)))
    throw new CortuneError(
      'ERR_FORMAT',
      `${name}: Expected an HDF5 file (it begins with \\x89HDF), got something else.`,
    );
  const h5wasm = await import('h5wasm');
  const library = (await h5wasm.ready) as unknown as Library;
  library.activate_throwing_error_handler();
  const place = `/file${count++}`;
  let descriptor: number | undefined;
  let file: File | undefined;
  try {
    try {
      descriptor = openSync(path, 'r');
    } catch (cause) {
      throw readFailure(path, cause);
    }
    const size = fstatSync(descriptor).size;
    mountFile(library.FS, place, descriptor, size);
    file = new h5wasm.File(place, 'r');
    const open = file;
    const dataset = (at: string) => open.get(at) as Dataset;
    return use(listArrays(open, name, size), { file: open, dataset });
  } catch (cause) {
    if (cause instanceof CortuneError) throw cause;
    throw broken(name, cause);
  } finally {
    quietly(() => file?.close());
    quietly(() => library.FS.unlink(place));
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function quietly(call: () => unknown): void {
  try {
    call();
  } catch {
    // The file is damaged, and what was wrong with it is said already.
  }
}

/** What the library said, in one line: its stacks have many. */
function broken(name: string, cause: unknown): CortuneError {
  const said = String((cause as Error | undefined)?.message ?? cause);
  const reason =
    said
      .split('\n')
      .map((line) => line.trim())
      .find(Boolean)
      ?.slice(0, 160) ?? 'nothing that it says';
  return new CortuneError(
    'ERR_FORMAT',
    `${name}: Expected a whole HDF5 file, got: ${reason.replace(/\.$/, '')}. It is truncated or damaged; copy it again.`,
    { cause },
  );
}

/** A file of the library's own file system whose bytes come from `descriptor`, when they are asked for. */
function mountFile(files: Files, place: string, descriptor: number, size: number): void {
  const node = files.createFile('/', place.slice(1), {}, true, false);
  const epoch = new Date(0);
  node.node_ops = {
    ...node.node_ops,
    getattr: ({ id, mode }: Node) => ({
      dev: 1,
      ino: id,
      mode,
      nlink: 1,
      uid: 0,
      gid: 0,
      rdev: 0,
      size,
      atime: epoch,
      mtime: epoch,
      ctime: epoch,
      blksize: 4096,
      blocks: Math.ceil(size / 4096),
    }),
  };
  node.stream_ops = {
    llseek: (stream: { position: number }, offset: number, from: number) =>
      offset + (from === 1 ? stream.position : from === 2 ? size : 0),
    read: (_: unknown, target: Uint8Array, at: number, length: number, position: number) =>
      readSync(descriptor, target, at, length, position),
  };
}

function listArrays(file: File, name: string, size: number): StoredArray[] {
  const paths = file.paths();
  if (paths.length > kMaxObjects)
    throw new CortuneError('ERR_DATA', `${name}: Expected at most ${kMaxObjects} objects, got ${paths.length}.`);
  return paths
    .map((path) => file.get(path))
    .filter(
      (entity): entity is Dataset =>
        entity !== null && 'type' in entity && entity.type === ('Dataset' as typeof entity.type),
    )
    .map((dataset) => storedArray(dataset, name, size));
}

function kindOf({ metadata }: Dataset): StoredArray['kind'] {
  const { type, size } = metadata;
  if (type === kClass.text) return 'text';
  if (type === kClass.integer || type === kClass.enumeration) return 'numbers';
  return type === kClass.float && size >= 4 ? 'numbers' : 'other';
}

function storedArray(dataset: Dataset, name: string, size: number): StoredArray {
  const { shape, size: each, virtual_sources: sources } = dataset.metadata;
  const path = dataset.path.replace(/^\//, '');
  const elements = (shape ?? []).reduce((product, length) => product * length, 1);
  const check = () => {
    if (sources?.some(({ file_name: from }) => from !== '.'))
      throw new CortuneError(
        'ERR_DATA',
        `${name}: Expected the values of \`${path}\` in this file, they lie in others (a virtual dataset). Save it whole.`,
      );
    if (!Number.isSafeInteger(elements * each))
      throw new CortuneError(
        'ERR_FORMAT',
        `${name}: Expected \`${path}\` to have a size that can be, got [${shape?.join(', ')}].`,
      );
    checkUnpacked(name, `\`${path}\``, size, elements * each);
  };
  return {
    name: path,
    shape: shape ?? [],
    kind: shape === null || shape.length === 0 ? 'other' : kindOf(dataset),
    numbers: () => {
      check();
      return readTiles(dataset, name);
    },
    texts: () => {
      check();
      if (elements > kMaxTexts)
        throw new CortuneError(
          'ERR_DATA',
          `${name}: Expected at most ${kMaxTexts} texts in \`${path}\`, got ${elements}.`,
        );
      return elements === 0 ? [] : (dataset.value as string[]).map(String);
    },
  };
}
