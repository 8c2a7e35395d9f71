/** Weights of an ONNX file by the names that PyTorch gave them: as much of its protobuf as that takes. */
import { CortuneError } from '../errors.js';

export interface OnnxTensor {
  shape: number[];
  data: Float32Array;
}

/** Field numbers of onnx.proto, which never change. */
const kModelGraph = 7;
const kGraph = { node: 1, initializer: 5 };
const kNode = { input: 1, name: 3, type: 4 };
const kTensor = { dims: 1, type: 2, floats: 4, name: 8, raw: 9 };
const kFloat = 1;

interface Field {
  number: number;
  /** Of numbers. */
  value: number;
  /** Of all else. */
  bytes: Buffer;
}

const kNothing: Buffer = Buffer.alloc(0);

/** The fields of a message. Throws a RangeError where it is cut off. */
function* fields(message: Buffer): Generator<Field> {
  let at = 0;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = message.readUInt8(at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const key = varint();
    const [number, wire] = [Math.floor(key / 8), key % 8];
    let [value, bytes] = [0, kNothing] as [number, Buffer];
    if (wire === 0) value = varint();
    else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else if (wire === 2) {
      const length = varint();
      if (at + length > message.length) throw new RangeError('cut off');
      bytes = message.subarray(at, at + length);
      at += length;
    } else throw new RangeError(`unknown wire type ${wire}`);
    yield { number, value, bytes };
  }
}

function readTensor(message: Buffer): { name: string; type: number } & OnnxTensor {
  let [name, type, raw] = ['', 0, kNothing] as [string, number, Buffer];
  const shape: number[] = [];
  for (const field of fields(message)) {
    if (field.number === kTensor.name) name = field.bytes.toString();
    else if (field.number === kTensor.type) type = field.value;
    else if (field.number === kTensor.raw || field.number === kTensor.floats) raw = field.bytes;
    else if (field.number === kTensor.dims)
      if (field.bytes.length === 0) shape.push(field.value);
      else for (const packed of varints(field.bytes)) shape.push(packed);
  }
  // A copy, as the bytes lie anywhere and floats do not.
  const data =
    type === kFloat ? new Float32Array(Uint8Array.from(raw).buffer, 0, Math.floor(raw.length / 4)) : new Float32Array();
  return { name, type, shape, data };
}

function* varints(bytes: Buffer): Generator<number> {
  let [value, scale] = [0, 1];
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte >= 0x80) continue;
    yield value;
    [value, scale] = [0, 1];
  }
}

/** [in, out] -> [out, in] */
function transposed({ shape, data }: OnnxTensor): OnnxTensor {
  const [rows, columns] = shape as [number, number];
  const turned = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j]!;
  return { shape: [columns, rows], data: turned };
}

/**
 * The float32 weights of a model that PyTorch exported. Weights of linear modules, which the export turns and renames, get the name of the node that
 * multiplies by them: `/encoder/fc1/MatMul` is `encoder.fc1.weight`, [out, in] again. What has no name of its own (constants that were folded) is
 * called by its node, `encoder.Concat_6`.
 * @throws ERR_FORMAT for what is no whole ONNX file.
 */
export function readOnnxWeights(file: Buffer, path: string): Map<string, OnnxTensor> {
  try {
    return weightsIn(file);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new CortuneError(
      'ERR_FORMAT',
      `Expected ${path} to be a whole ONNX file, but it is ${cause.message}. Get it again.`,
      {
        cause,
      },
    );
  }
}

function weightsIn(file: Buffer): Map<string, OnnxTensor> {
  const stored = new Map<string, OnnxTensor>();
  const named = new Map<string, OnnxTensor>();
  const nodes: { name: string; type: string; inputs: string[] }[] = [];
  for (const graph of fields(file)) {
    if (graph.number !== kModelGraph) continue;
    for (const { number, bytes } of fields(graph.bytes)) {
      if (number === kGraph.initializer) {
        const { name, type, ...tensor } = readTensor(bytes);
        if (type === kFloat) stored.set(name, tensor);
      }
      if (number === kGraph.node) nodes.push(readNode(bytes));
    }
  }
  for (const { name, type, inputs } of nodes)
    for (const input of inputs) {
      const tensor = stored.get(input);
      if (!tensor) continue;
      const module = name.replace(/^\//, '').replaceAll('/', '.');
      if (!input.startsWith('onnx::')) named.set(input, tensor);
      else if (type === 'MatMul' && tensor.shape.length === 2)
        named.set(module.replace(/\.MatMul(_\d+)?$/, '.weight'), transposed(tensor));
      else named.set(module, tensor);
    }
  return named;
}

function readNode(message: Buffer) {
  const node = { name: '', type: '', inputs: [] as string[] };
  for (const { number, bytes } of fields(message)) {
    if (number === kNode.input) node.inputs.push(bytes.toString());
    if (number === kNode.name) node.name = bytes.toString();
    if (number === kNode.type) node.type = bytes.toString();
  }
  return node;
}
