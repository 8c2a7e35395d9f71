/** What the sweep suite makes of its measurements. */

/** Stages whose time is work; all else is planning, loading, storing, reporting. */
const kStages = ['tune', 'embed', 'encode'];

/** Seconds of each stage of a study. Records hold the times of their whole lane batch up to them: the last of a batch has all. */
export function stagesOf(batches, records) {
  const seconds = new Map(records.map((record) => [record.id, record.seconds]));
  const total = (stage) =>
    batches.reduce((sum, { runs }) => sum + Math.max(...runs.map((id) => seconds.get(id)?.[stage] ?? 0)), 0);
  return Object.fromEntries(kStages.map((stage) => [stage, total(stage)]));
}

/** Share of `wall` outside of the stages. */
export function overheadOf(wall, stages) {
  return 1 - kStages.reduce((sum, stage) => sum + stages[stage], 0) / wall;
}

/**
 * Seconds of all runs from those measured: of each method its runs x the mean of its sample, and what comes once.
 * @param runs the method of each run. @param sample {method, seconds: {stage: s}} of those measured.
 */
export function extrapolate(runs, sample, once) {
  const stages = {};
  for (const method of new Set(runs)) {
    const some = sample.filter((each) => each.method === method);
    if (some.length === 0) throw new Error(`Expected a run of \`${method}\` in the sample.`);
    const count = runs.filter((each) => each === method).length / some.length;
    for (const { seconds } of some)
      for (const [stage, value] of Object.entries(seconds)) stages[stage] = (stages[stage] ?? 0) + count * value;
  }
  return { seconds: once + Object.values(stages).reduce((sum, value) => sum + value, 0), stages };
}

/** The largest difference; NaN where one is not a number. */
export function largestDifference(a, b) {
  if (a.length !== b.length)
    throw new Error(`Expected as many numbers on both sides, got ${a.length} and ${b.length}.`);
  return a.reduce((worst, value, i) => (Number.isNaN(worst) ? worst : Math.max(worst, Math.abs(value - b[i]))), 0);
}

/** One run of each method, of different rates and seeds as far as there are. */
export function sampleOf(runs) {
  const methods = [...new Set(runs.map(({ labels }) => labels.method))];
  return methods.map((method, m) => {
    const own = runs.filter(({ labels }) => labels.method === method);
    const seeds = [...new Set(own.map(({ labels }) => labels.seed))];
    const seed = seeds[m % seeds.length];
    // Not the highest rate: there both sides may part after a few steps.
    const rates = own.filter(({ labels }) => labels.seed === seed);
    return rates[Math.min(m % 2, rates.length - 1)];
  });
}
