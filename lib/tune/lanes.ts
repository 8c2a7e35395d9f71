/** The trained state of K lanes on one base model. */
import { expected } from '../errors.js';
import type { LaneSpec, LanesHandle, MethodSpec } from '../native/types.js';

/** Lanes of one method of `methods` (lib/tune/methods.ts). */
export interface LaneMethod extends MethodSpec {
  /** Name of the method, as in `methods`. */
  name: string;
  /** The method's own options, with defaults. */
  settings: Record<string, unknown>;
}

/** One lane: its method, and what it was asked to be. */
export interface Lane {
  name: string;
  method: LaneMethod;
  spec: LaneSpec;
}

/** K runs tuned together, of one method or of several. Free it with `dispose()` or `using`. */
export class Lanes implements Disposable {
  readonly handle: LanesHandle;
  /** Lanes count through them in this order. */
  readonly methods: readonly LaneMethod[];
  /** Outputs of the sequence head trained beside the methods; 0 without one. */
  readonly outputs: number;
  readonly #lanes: readonly Lane[];

  constructor(handle: LanesHandle, methods: readonly LaneMethod[], outputs = 0) {
    this.handle = handle;
    this.methods = methods;
    this.outputs = outputs;
    this.#lanes = methods.flatMap((method) => method.lanes.map((spec) => ({ name: method.name, method, spec })));
  }

  /** K. */
  get count(): number {
    return this.#lanes.length;
  }

  /** Method and settings of lane `lane`. Throws a RangeError when there is no such lane. */
  lane(lane: number): Lane {
    const found = this.#lanes[lane];
    if (!found) throw expected('lane', `an integer from 0 to ${this.count - 1}`, lane);
    return found;
  }

  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
