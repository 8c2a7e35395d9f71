/** Slurm's words: time limits, what may go into a script, and the script itself. */
import { describe, expect, it } from 'vitest';
import { checkResources, type Resources, scriptText, timeLimit, warning } from '../../lib/study/slurm.js';

const plain: Resources = { mem: '1G', cpus: 1, more: [] };
const places = {
  node: '/usr/bin/node',
  program: '/it/cortune.mjs',
  out: '/res ults',
  folder: '/res ults/jobs/100%',
  job: 'x-00000000',
};

describe('time limits', () => {
  it.each([
    ['90', 5400],
    ['90:30', 5430],
    ['1:30:00', 5400],
    ['2-12', 216_000],
    ['1-0:30', 88_200],
    ['1-1:1:1', 90_061],
  ])('%s is %i seconds', (text, seconds) => expect(timeLimit(text)).toBe(seconds));

  it.each(['', '0', 'soon', '1:2:3:4', '-5', '1h', 'UNLIMITED', '1-2-3'])('`%s` is refused', (text) => {
    expect(() => timeLimit(text)).toThrow(/Expected `time` to be a time in Slurm's form, such as `90` \(minutes\)/);
  });

  it('are told of a tenth before, within bounds', () => {
    expect([60, 600, 86_400].map(warning)).toEqual([10, 60, 120]);
  });
});

describe('what goes into a script', () => {
  it.each([
    ['partition', { partition: 'cpu\n#SBATCH --uid=0' }],
    ['mem', { mem: 'lots' }],
    ['mem', { mem: '0' }],
    ['cpus', { cpus: 0 }],
    ['cpus', { cpus: 1.5 }],
    ['at-once', { atOnce: 0 }],
    ['sbatch', { more: ['account=a b'] }],
    ['sbatch', { more: ['account=$(id)'] }],
    ['sbatch', { more: ['; rm'] }],
    ['time', { time: 'soon' }],
  ])('a wrong `%s` is refused', (name, wrong) => {
    expect(() => checkResources({ ...plain, ...wrong })).toThrow(new RegExp(`Expected \`${name}\` to be `));
  });

  it.each(['"', '\n', '\\'])('a path with %j is refused', (char) => {
    expect(() => scriptText('s', plain, { ...places, out: `/a${char}b` })).toThrow(/Expected a path without quotes/);
  });

  it('is quoted', () => {
    const script = scriptText(
      "it's; a study",
      { ...plain, partition: 'cpu', time: '10', more: ['--account=lab'] },
      { ...places, out: "/it's" },
    );
    expect(script).toContain(
      '#SBATCH --job-name=it_s__a_study\n#SBATCH --partition=cpu\n#SBATCH --time=10\n#SBATCH --signal=B:USR1@60\n',
    );
    expect(script).toContain('#SBATCH --output="/res ults/jobs/100%%/task-%A_%a.log"\n#SBATCH --account=lab\n');
    expect(script).toContain(`exec '/usr/bin/node' '/it/cortune.mjs' worker '/it'\\''s' --job 'x-00000000' --task`);
  });
});
