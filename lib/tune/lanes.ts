/** The trained state of K lanes on one base model. */
import { expected } from '../errors.js';
import type { LaneSpec, LanesHandle } from '../native/types.js';

/** K runs of one method, tuned together. Free it with `dispose()` or `using`. */
export class Lanes implements Disposable {
  readonly handle: LanesHandle;
  /** Name of the method, as in `methods`. */
  readonly method: string;
  /** What each lane was asked to be. */
  readonly specs: readonly LaneSpec[];
  /** Names of the modules (adapters) or parameters (whole weights) that are trained. */
  readonly targets: readonly string[];

  constructor(handle: LanesHandle, method: string, specs: readonly LaneSpec[], targets: readonly string[]) {
    this.handle = handle;
    this.method = method;
    this.specs = specs;
    this.targets = targets;
  }

  /** K. */
  get count(): number {
    return this.specs.length;
  }

  /** What lane `lane` was asked to be. Throws a RangeError when there is no such lane. */
  spec(lane: number): LaneSpec {
    const spec = this.specs[lane];
    if (!spec) throw expected('lane', `an integer from 0 to ${this.count - 1}`, lane);
    return spec;
  }

  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
