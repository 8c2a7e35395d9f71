/**
 * Interleaved timing: ours and every rival one after the other, round after round, so that what else the machine does hits all alike. Only
 * ratios within a round are trusted.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Four significant digits: more is noise. */
export function rounded(value) {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : value;
}

/** Seconds that `work` takes. */
export async function secondsOf(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** A rival this much slower than the best after the first timed round is not run again. */
const kHopeless = 1.4;
/** Milliseconds between two sides: the threads of the one that ended stop spinning. */
const kPause = 20;

/**
 * One case. `ours` and each rival's `run` do the work once and give the seconds it took. After a round that warms up (not where `warm`: each side
 * does it by itself) come `rounds` timed ones; the rival of the smallest median counts.
 * @param spec {name, goal, ours, peers: [{name, run}], limit?, warm?}; `limit` says what keeps the case below its goal.
 * @returns a case of the JSON; `ratio` is the median over rounds of theirs / ours, `spread` its least and greatest.
 */
export async function compare({ name, goal, ours, peers, limit, warm = false }, rounds) {
  const mine = [];
  const theirs = peers.map(() => []);
  let running = peers.map((_, i) => i);
  for (let round = warm ? 1 : 0; round <= rounds; round++) {
    await sleep(kPause);
    const seconds = await ours();
    if (round > 0) mine.push(seconds);
    for (const i of running) {
      await sleep(kPause);
      const taken = await peers[i].run();
      if (round > 0) theirs[i].push(taken);
    }
    if (round === 1) {
      const best = Math.min(...running.map((i) => theirs[i][0]));
      running = running.filter((i) => theirs[i][0] <= kHopeless * best);
    }
  }
  const best = running.reduce((a, b) => (median(theirs[b]) < median(theirs[a]) ? b : a));
  const ratios = mine.map((seconds, round) => theirs[best][round] / seconds);
  return caseOf({
    name,
    goal,
    ours: median(mine),
    peer: median(theirs[best]),
    peerName: peers[best].name,
    ratios,
    limit,
  });
}

/** A case of the JSON from ratios that were measured in another way. `unit` of `ours` and `peer`: seconds unless said. */
export function caseOf({ name, goal, ours, peer, peerName, ratios, unit = 's', limit }) {
  const ratio = rounded(median(ratios));
  return {
    name,
    unit,
    ours: rounded(ours),
    peer: rounded(peer),
    peerName,
    ratio,
    goal,
    spread: [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))],
    ...(limit !== undefined && ratio < goal ? { limit } : {}),
  };
}

/** A case that cannot run here, with the reason; its figures are null. */
export function unavailable(name, goal, reason) {
  return { name, unit: 's', ours: null, peer: null, peerName: '', ratio: null, goal, spread: null, limit: reason };
}
