/** `cortune data`: the list, a description, and copies that are whole, cut off, changed, or of something else. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../helpers/temporary.js';

const program = fileURLToPath(new URL('../../bin/cortune.mjs', import.meta.url));
const scratch = temporaryFolder();

function cortune(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'data', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const course = Array.from({ length: 12 }, (_, i) => `${Math.sin(i)} ${Math.cos(i)}`).join('\n');
const texts = Array.from({ length: 12 }, (_, i) => `Sentence ${i}.`).join('\n');

/** A copy of a small data set that describes itself. */
function copy(): string {
  const folder = mkdtempSync(join(scratch, 'copy-'));
  mkdirSync(join(folder, 'bold'));
  for (const subject of ['1', '2', '3']) writeFileSync(join(folder, 'bold', `s${subject}.txt`), course);
  writeFileSync(join(folder, 'texts.txt'), texts);
  const md5 = createHash('md5').update(course).digest('hex');
  writeFileSync(
    join(folder, 'sums.tsv'),
    `path\tbytes\tmd5\n${['1', '2', '3', '4'].map((s) => `bold/s${s}.txt\t${course.length}\t${md5}`).join('\n')}\n`,
  );
  writeFileSync(
    join(folder, 'dataset.yaml'),
    `name: small
source: https://example.org/small
stimuli: {kind: trials, file: texts.txt}
responses: {file: "bold/s{subject}.txt"}
files:
  - {path: "bold/s{subject}.txt", count: 4, rows: 12, columns: 2, about: courses}
  - {path: texts.txt, bytes: ${texts.length}}
  - {path: "movie.mp4", optional: true}
sums: sums.tsv
tried: true
`,
  );
  return folder;
}

describe('check', () => {
  it('a copy that lacks one person is told so, and reads', () => {
    const { status, stdout, stderr } = cortune('check', copy());
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/bold\/s\{subject\}.txt +some +3 of 4 \(courses\)/);
    expect(stdout).toMatch(/sums.tsv +some +3 of the 4 files .* \(3 checksums compared\)/);
    expect(stdout).toMatch(/bold\/s4.txt +not here/);
    expect(stdout).toMatch(/movie.mp4 +not here/);
    expect(stdout).toContain('Reads: 12 rows, 2 targets, 12 texts.');
    expect(stdout).toContain('Nothing that is needed is missing or wrong.');
  });

  it('files that were cut off, changed or lost are named, with what to do', () => {
    const folder = copy();
    writeFileSync(join(folder, 'bold', 's1.txt'), course.slice(0, 100));
    writeFileSync(join(folder, 'bold', 's2.txt'), course.replace('0 1', '1 1'));
    appendFileSync(join(folder, 'texts.txt'), '\nOne more.');
    const { status, stdout } = cortune('check', folder, '--json');
    expect(status).toBe(1);
    const { files, ok, advice, reading } = JSON.parse(stdout);
    expect(ok).toBe(false);
    const states = Object.fromEntries(files.map(({ path, state }: { path: string; state: string }) => [path, state]));
    expect(states).toMatchObject({
      'bold/s1.txt': 'wrong size',
      'bold/s2.txt': 'wrong checksum',
      'texts.txt': 'wrong size',
    });
    expect(files).toContainEqual({
      path: 'bold/s1.txt',
      state: expect.stringMatching(/wrong shape|unreadable/),
      detail: expect.any(String),
    });
    expect(advice.join(' ')).toMatch(/download them again/);
    expect(reading).toMatch(/^Not read/);

    rmSync(join(folder, 'texts.txt'));
    const lost = cortune('check', folder);
    expect(lost.stdout).toMatch(/texts.txt +missing/);
    expect(lost.stdout).toContain('Get what is missing: https://example.org/small');
  });

  it('a description that does not fit says what does not', () => {
    const folder = copy();
    rmSync(join(folder, 'sums.tsv'));
    writeFileSync(
      join(folder, 'dataset.yaml'),
      'name: small\nstimuli: {kind: trials, file: texts.txt}\nresponses: {file: "bold/s{subject}.txt", columns: [a, b, c]}\n',
    );
    const { status, stdout } = cortune('check', folder);
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /Does not read: bold\/s1.txt: Expected 3 columns, as many as `responses.columns` names, got 2/,
    );
  });

  it('a folder of nothing known, and one that is not there', () => {
    const empty = cortune('check', mkdtempSync(join(scratch, 'empty-')));
    expect([empty.status, empty.stderr]).toEqual([
      1,
      expect.stringMatching(/files of a known data set .*Name the data set with --as/),
    ]);
    const none = cortune('check', join(scratch, 'nowhere'));
    expect([none.status, none.stderr]).toEqual([1, expect.stringMatching(/Expected a data set: one of `alice`/)]);
    const elsewhere = cortune('check', 'nsd', '--data', join(scratch, 'nowhere'));
    expect(elsewhere.stderr).toMatch(
      /the data of `nsd` in .*nowhere, and there is no such folder.*naturalscenesdataset.org/,
    );
  });
});

it('list and describe', () => {
  const list = JSON.parse(cortune('list', '--json').stdout);
  expect(list.datasets.map(({ name }: { name: string }) => name)).toContain('lebel2023');
  expect(cortune().stdout).toMatch(/pereira2018 +trials/);
  const { stdout } = cortune('describe', 'lebel2023');
  expect(stdout).toMatch(/cite +LeBel, A./);
  expect(stdout).toMatch(/tried +no/);
  expect(cortune('describe', 'lebel202').stderr).toMatch(/nearest known: `lebel2023`/);
  expect(cortune('chek').status).toBe(2);
});
