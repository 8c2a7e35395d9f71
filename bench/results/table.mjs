/**
 * Results of the benchmarks as a page: `node bench/results/table.mjs FILE.json... > bench/results/README.md`. Ratios only: times belong to a
 * machine. A case that later files hold too is taken from the last. Why a case falls short is in limits.json, by a part of its name; notes.md follows
 * the table.
 */
import { readFileSync } from 'node:fs';

const limits = JSON.parse(readFileSync(new URL('./limits.json', import.meta.url), 'utf8'));
const files = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')));
if (files.length === 0) {
  process.stderr.write('Expected the JSON files that `npm run bench -- SUITE --json FILE` wrote, got none.\n');
  process.exit(2);
}

const limitOf = ({ name, limit }) =>
  limit ?? limits.find(({ pattern }) => new RegExp(pattern, 'i').test(name))?.why ?? 'not looked into yet';

function rowOf(each) {
  const { name, ratio, goal, spread, peerName } = each;
  const aim = goal > 0 ? String(goal) : '-';
  if (ratio === null) return [name, '-', '-', aim, '-', `not run: ${limitOf(each)}`];
  const short = goal > 0 && ratio < goal;
  const range = spread[0] === spread[1] ? '-' : `${spread[0].toFixed(2)} to ${spread[1].toFixed(2)}`;
  const reached = goal > 0 && ratio >= goal;
  const figure = ratio >= 100 ? ratio.toFixed(0) : ratio.toFixed(2);
  return [name, peerName, reached ? `**${figure}**` : figure, aim, range, short ? limitOf(each) : ''];
}

const cases = new Map(files.flatMap((file) => file.cases).map((each) => [each.name, each]));
const lines = [['case', 'against', 'ratio', 'goal', 'least to greatest', 'what limits it'], Array(6).fill('---')];
for (const each of cases.values()) lines.push(rowOf(each));
const { machine } = files.at(-1);
const units = machine.bf16Units === 'none' ? 'no bf16 units' : machine.bf16Units;
const bf16 = (machine.bf16GemmPeak / machine.sgemmPeak).toFixed(1);

/** Of a case measured in stages: each stage's ratio, and its share of either side. What only one side does has no ratio. */
function stagesOf({ name, ours, peer, stages }) {
  const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;
  const rest = (all, parts) => all - Object.values(parts).reduce((sum, value) => sum + value, 0);
  const [mine, theirs] = [
    stages.ours,
    Object.fromEntries(Object.keys(stages.ours).map((key) => [key, stages.peer[key]])),
  ];
  const rows = Object.keys(mine).map((stage) => [
    stage,
    (theirs[stage] / mine[stage]).toFixed(2),
    percent(mine[stage], ours),
    percent(theirs[stage], peer),
  ]);
  rows.push(['all else', '-', percent(rest(ours, mine), ours), percent(rest(peer, theirs), peer)]);
  const table = [['stage', 'ratio', 'of our time', "of the rival's"], Array(4).fill('---'), ...rows];
  return `\n${name}, stage by stage:\n\n${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}

const staged = [...cases.values()].filter(({ stages }) => stages).map(stagesOf);

process.stdout.write(`# Results

Made by \`bench/results/table.mjs\` from what \`npm run bench -- SUITE --json FILE\` wrote. Ratios of runs in turn on one machine, greater is better: the
median over rounds, and the least and greatest of a round. Bold: the goal is reached.

Machine: ${machine.threads} threads on ${machine.cores} virtual cores (${machine.cpu}), shared with other work, SIMD ${machine.simd}, ${units}; torch's bf16 matrix products ran
${bf16} times as fast as its fp32 ones. libtorch ${machine.libtorch} on both sides.

${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
${staged.join('')}
${readFileSync(new URL('./notes.md', import.meta.url), 'utf8')}`);
