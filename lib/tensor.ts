/** A float32 tensor owned by native code: its shape, a copy of its values, and when it is freed. */
import { expected } from './errors.js';
import { native } from './native/load.js';
import type { TensorHandle } from './native/types.js';

/**
 * A contiguous float32 tensor in native memory. Free it with `dispose()` or `using`; garbage collection is the fallback.
 * Any use after `dispose()` throws ERR_DISPOSED.
 */
export class Tensor implements Disposable {
  readonly handle: TensorHandle;
  /** Lengths of the axes, outermost first. */
  readonly shape: readonly number[];

  constructor(handle: TensorHandle) {
    this.handle = handle;
    this.shape = handle.shape;
  }

  /** Copies row-major `data` into a new tensor. Throws a RangeError when its length is not the product of `shape`. */
  static from(data: Float32Array, shape: readonly number[]): Tensor {
    const size = shape.reduce((product, length) => product * length, 1);
    if (size !== data.length) throw expected('data', `${size} values for shape [${shape.join(', ')}]`, data.length);
    return new Tensor(native().tensorFrom(data, [...shape]));
  }

  /** Number of values. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /** A row-major copy of the values. */
  toArray(): Float32Array {
    return native().tensorRead(this.handle);
  }

  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
