/** A small seeded random generator with the same numbers on every machine. */

/** xoshiro128** (Blackman & Vigna 2021, ACM TOMS 47, 36), seeded by splitmix32. Arithmetic is on 32-bit integers only. */
export class Random {
  private readonly state = new Uint32Array(4);
  private spare: number | undefined;

  /** @param seed an integer; its low 32 bits count. */
  constructor(seed: number) {
    let mix = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e3779b9) >>> 0;
      let z = mix;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      this.state[i] = z ^ (z >>> 16);
    }
  }

  /** A whole number from 0 to 2^32 - 1. */
  uint32(): number {
    const s = this.state;
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotate(s[3]!, 11);
    return result;
  }

  /** Uniform in (0, 1), of 32 bits: never 0, so its logarithm is finite. */
  uniform(): number {
    return (this.uint32() + 0.5) / 2 ** 32;
  }

  /**
   * Standard normal, by Box and Muller (1958). V8 computes log, cos and sin in its own software, so results do not depend on
   * the processor or the system's mathematics library.
   */
  normal(): number {
    if (this.spare !== undefined) {
      const value = this.spare;
      this.spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** The numbers 0 to `count - 1` in random order (Fisher and Yates; Knuth's algorithm P). */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(this.uniform() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}
