/** Cases as lines for people. */

function amount(value, unit) {
  if (unit === 'bytes') return `${(value / 1048576).toFixed(0)} MiB`;
  if (unit === 'FLOP/s') return `${(value / 1e9).toFixed(1)} GFLOP/s`;
  return `${value} ${unit}`;
}

/** The lines of one case: its name, both sides, the ratio beside its goal, and what limits it. */
export function lineOf({ name, unit, ours, peer, peerName, ratio, goal, spread, limit }) {
  if (ratio === null) return `${name}\n  not available: ${limit}\n`;
  const verdict = goal > 0 ? ` (goal ${goal}${ratio < goal ? ', short' : ''})` : '';
  const sides = `  ours ${amount(ours, unit)}, ${peerName} ${amount(peer, unit)}`;
  const why = limit ? `\n  limited by: ${limit}` : '';
  return `${name}\n${sides}: ${ratio}x${verdict}, ${spread[0]} to ${spread[1]}${why}\n`;
}
