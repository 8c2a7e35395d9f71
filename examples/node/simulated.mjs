// What the examples measure instead of a brain: sentences, and responses made from one layer of a model plus noise.
const kWords = 'rabbit hill river rain door lamp bridge wind queen garden table cup road bird light stone'.split(' ');

/** Numbers in [0, 1) from a seed (mulberry32). */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` sentences of three words each. */
export function sentences(count, seed = 1) {
  const random = randomFrom(seed);
  const word = () => kWords[Math.floor(random() * kWords.length)];
  return Array.from({ length: count }, () => `the ${word()} saw a ${word()} near the ${word()}`);
}

/** [n, targets]: random mixtures of the centred states of `layer`, of variance 1, plus `noise` times as large noise. */
export function responsesFrom(features, { layer, targets, noise, seed = 2 }) {
  const [, n, width] = features.shape;
  const states = features.toArray().subarray(layer * n * width, (layer + 1) * n * width);
  const random = randomFrom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const data = new Float32Array(n * targets);
  for (let t = 0; t < targets; t++) {
    const weights = Float64Array.from({ length: width }, normal);
    const signal = Array.from({ length: n }, (_, i) =>
      weights.reduce((sum, w, c) => sum + w * states[i * width + c], 0),
    );
    const mean = signal.reduce((a, b) => a + b, 0) / n;
    const deviation = Math.sqrt(signal.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
    for (let i = 0; i < n; i++) data[i * targets + t] = (signal[i] - mean) / deviation + noise * normal();
  }
  return { data, rows: n, columns: targets };
}
